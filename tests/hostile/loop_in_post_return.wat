;; call: allocate
;; error: policy loop_in_post_return.wasm: allocate ran out of fuel: the limit is 50,000,000 units of fuel
(func (export "cabi_post_allocator#allocate") (param i32) (loop $for-ever (br $for-ever)))
