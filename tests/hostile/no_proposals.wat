;; call: allocate
;; error: policy no_proposals.wasm: allocate returned neither a proposal nor a refusal
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2056) (i32.const 0))
  (i32.const 2048))
