;; Fuel for minutes, spent in the host.
;; call: allocate
;; limits: fuel=100000000000 hostCalls=1000000 milliseconds=20
;; error: policy questions_against_the_clock.wasm: allocate took too long: the limit is 20 ms
(import "pool" "last-claimed" (func $last-claimed (param i32 i32)))
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $for-ever
    (call $last-claimed (i32.const 0) (i32.const 3072))
    (br $for-ever))
  (unreachable))
