;; The first is good, the second is the first's list with no address in it.
;; call: allocate
;; error: policy second_proposal_bad.wasm: allocate returned a bad proposal, number 2 of 2: it is empty
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2056) (i32.const 2))
  (i32.const 2048))
