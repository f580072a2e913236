;; call: allocate
;; error: policy bad_indirect_call.wasm: allocate trapped: uninitialized element
(table 1 funcref)
(func (export "allocator#allocate") (param i32) (result i32) (call_indirect (result i32) (i32.const 0)))
