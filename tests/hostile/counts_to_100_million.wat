;; Harmless with a higher limit.
;; call: allocate
;; error: policy counts_to_100_million.wasm: allocate ran out of fuel: the limit is 50,000,000 units of fuel
(func (export "allocator#allocate") (param i32) (result i32)
  (local $n i32)
  (loop $more
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $n) (i32.const 100000000))))
  (i32.const 2048))
