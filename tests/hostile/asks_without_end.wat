;; Who holds 10.0.1.200, who 10.0.2.200, …: each answer is one more read of the store.
;; call: allocate
;; unread: HolderOf(10.0.1.200)
(import "pool" "holder-of" (func $holder-of (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(func (export "allocator#allocate") (param i32) (result i32)
  (local $n i32)
  (loop $more
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (call $holder-of (i32.const 0) (i32.const 10) (i32.const 0) (local.get $n) (i32.const 200) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 3072))
    (br_if $more (i32.lt_u (local.get $n) (i32.const 255))))
  (i32.const 2048))
