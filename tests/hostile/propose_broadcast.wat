;; call: allocate
;; error: policy propose_broadcast.wasm: allocate returned a bad proposal, number 1 of 1: 10.0.0.255 is the broadcast address of 10.0.0.0/24
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2084) (i32.const 0))
  (i32.store8 (i32.const 2085) (i32.const 255))
  (i32.const 2048))
