;; Says something with a colour in it, then asks.
;; call: allocate
;; proposes: 10.0.0.9
(import "log" "write" (func $write (param i32 i32 i32)))
(import "pool" "next-free"
  (func $next-free (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(data (i32.const 3072) "hello\1b[31m")
(func (export "allocator#allocate") (param i32) (result i32)
  (call $write (i32.const 1) (i32.const 3072) (i32.const 10))
  (call $next-free (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3104))
  (i32.const 2048))
