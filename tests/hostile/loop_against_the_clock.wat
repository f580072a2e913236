;; Fuel for minutes: the clock stops it.
;; call: allocate
;; limits: fuel=100000000000 milliseconds=50
;; error: policy loop_against_the_clock.wasm: allocate took too long: the limit is 50 ms
(func (export "allocator#allocate") (param i32) (result i32) (loop $for-ever (br $for-ever)) (unreachable))
