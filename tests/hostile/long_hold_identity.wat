;; call: allocate
;; error: policy long_hold_identity.wasm: allocate named too long an identity: the limit is 512 bytes in one identity
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2128) (i32.const 1))
  (i32.store (i32.const 2136) (i32.const 65536))
  (i32.store (i32.const 2140) (i32.const 5000))
  (i32.const 2048))
