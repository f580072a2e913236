;; call: allocate
;; error: policy empty_proposal.wasm: allocate returned a bad proposal, number 1 of 1: it is empty
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2068) (i32.const 0))
  (i32.const 2048))
