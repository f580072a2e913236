;; call: allocate
;; error: policy propose_gateway.wasm: allocate returned a bad proposal, number 1 of 1: 10.0.0.1 is the gateway of 10.0.0.0/24
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2084) (i32.const 0))
  (i32.store8 (i32.const 2085) (i32.const 1))
  (i32.const 2048))
