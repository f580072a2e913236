;; call: allocate
;; error: policy result_pointer_out_of_bounds.wasm: allocate handed over malformed data: pointer out of bounds
(func (export "allocator#allocate") (param i32) (result i32) (i32.const 0x7ffffff0))
