;; Container c7 gets the seventh address after 10.0.0.10: no two of them contend.
;; call: allocate
;; proposes: 10.0.0.11
(func (export "allocator#allocate") (param $request i32) (result i32)
  (local $at i32) (local $end i32) (local $n i32)
  (local.set $at (i32.load offset=8 (local.get $request)))
  (local.set $end (i32.add (local.get $at) (i32.load offset=12 (local.get $request))))
  (loop $digits
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.lt_u (local.get $at) (local.get $end)) (then
      (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10))
        (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
      (br $digits))))
  (i32.store8 (i32.const 2085) (i32.add (i32.const 10) (local.get $n)))
  (i32.const 2048))
