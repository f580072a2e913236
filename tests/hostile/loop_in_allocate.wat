;; call: allocate
;; error: policy loop_in_allocate.wasm: allocate ran out of fuel: the limit is 50,000,000 units of fuel
(func (export "allocator#allocate") (param i32) (result i32) (loop $for-ever (br $for-ever)) (unreachable))
