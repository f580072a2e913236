;; call: allocate
;; error: policy propose_outside.wasm: allocate returned a bad proposal, number 1 of 1: 10.0.9.9 is outside every configured subnet
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2084) (i32.const 9))
  (i32.store8 (i32.const 2085) (i32.const 9))
  (i32.const 2048))
