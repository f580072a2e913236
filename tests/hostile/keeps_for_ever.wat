;; call: allocate
;; error: policy keeps_for_ever.wasm: allocate returned a bad proposal, number 1 of 1: the hold on 10.0.0.9 is for 18446744073709551615 s: the maximum is 7776000 s
(func (export "allocator#allocate") (param i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 47) (i32.const 8))
  (i32.store8 (i32.const 2128) (i32.const 1))
  (i32.store (i32.const 2136) (i32.const 65536))
  (i32.store (i32.const 2140) (i32.const 8))
  (i64.store (i32.const 2144) (i64.const -1))
  (i32.const 2048))
