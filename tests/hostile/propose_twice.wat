;; Two assignments, the second a copy of the first.
;; call: allocate
;; error: policy propose_twice.wasm: allocate returned a bad proposal, number 1 of 1: 10.0.0.9 appears twice
(func (export "allocator#allocate") (param i32) (result i32)
  (memory.copy (i32.const 2168) (i32.const 2080) (i32.const 88))
  (i32.store (i32.const 2068) (i32.const 2))
  (i32.const 2048))
