;; Asks, one by one, what is kept for a hundred identities: more than is read of a store for one decision.
;; call: allocate
;; unread: HeldFor("aa")
(import "pool" "held-for" (func $held-for (param i32 i32 i32)))
(func (export "allocator#allocate") (param i32) (result i32)
  (local $nth i32)
  (loop $more
    (i32.store8 (i32.const 3072) (i32.add (i32.const 97) (i32.rem_u (local.get $nth) (i32.const 26))))
    (i32.store8 (i32.const 3073) (i32.add (i32.const 97) (i32.div_u (local.get $nth) (i32.const 26))))
    (call $held-for (i32.const 3072) (i32.const 2) (i32.const 3080))
    (local.set $nth (i32.add (local.get $nth) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $nth) (i32.const 100))))
  (i32.const 2048))
