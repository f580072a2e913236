;; call: allocate
;; error: policy too_many_addresses.wasm: allocate returned too large a proposal: the limit is 16 addresses in one proposal
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2064) (i32.const 65536))
  (i32.store (i32.const 2068) (i32.const 17))
  (i32.const 2048))
