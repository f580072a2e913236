;; call: describe
;; error: policy loop_in_describe.wasm: describe ran out of fuel: the limit is 50,000,000 units of fuel
(func (export "allocator#describe") (result i32) (loop $for-ever (br $for-ever)) (unreachable))
