;; Asks for the first free address of range set 0 and proposes it.
;; call: allocate
;; proposes: 10.0.0.2
(import "pool" "next-free"
  (func $next-free (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(func (export "allocator#allocate") (param $arguments i32) (result i32)
  (call $next-free (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3072))
  (i32.store (i32.const 2082) (i32.load (i32.const 3076)))
  (i32.const 2048))
