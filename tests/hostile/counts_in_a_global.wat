;; The same with a global variable.
;; call: allocate
;; proposes: 10.0.0.10
(global $calls (mut i32) (i32.const 9))
(func (export "allocator#allocate") (param i32) (result i32)
  (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
  (i32.store8 (i32.const 2085) (global.get $calls))
  (i32.const 2048))
