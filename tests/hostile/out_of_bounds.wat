;; call: allocate
;; error: policy out_of_bounds.wasm: allocate trapped: out of bounds memory access, or its stack overflowed
(func (export "allocator#allocate") (param i32) (result i32) (i32.load (i32.const 0x7fffffff)))
