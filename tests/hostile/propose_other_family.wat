;; An IPv6 address where only IPv4 is configured.
;; call: allocate
;; error: policy propose_other_family.wasm: allocate returned a bad proposal, number 1 of 1: a:900:: is outside every configured subnet
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2080) (i32.const 1))
  (i32.store16 (i32.const 2098) (i32.const 0))
  (i32.store8 (i32.const 2098) (i32.const 24))
  (i32.store16 (i32.const 2082) (i32.const 10))
  (i32.store16 (i32.const 2084) (i32.const 0x900))
  (i32.const 2048))
