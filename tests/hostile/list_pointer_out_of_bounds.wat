;; call: allocate
;; error: policy list_pointer_out_of_bounds.wasm: allocate handed over malformed data: list pointer/length out of bounds
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2052) (i32.const 0x10000000))
  (i32.const 2048))
