;; call: allocate
;; error: policy division_by_zero.wasm: allocate trapped: integer divide by zero
(func (export "allocator#allocate") (param i32) (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
