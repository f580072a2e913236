;; A count kept in memory: every call finds a fresh instance, and counts to the same number.
;; call: allocate
;; proposes: 10.0.0.10
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2085) (i32.add (i32.load8_u (i32.const 2085)) (i32.const 1)))
  (i32.const 2048))
