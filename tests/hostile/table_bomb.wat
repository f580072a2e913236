;; call: allocate
;; error: policy table_bomb.wasm: allocate wanted a larger table: the limit is 100,000 table elements
(table $table 1 funcref)
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $more (br_if $more (i32.ge_s (table.grow $table (ref.null func) (i32.const 1000)) (i32.const 0))))
  (i32.const 2048))
