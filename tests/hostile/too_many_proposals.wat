;; 65 empty lists: within the bytes, not within the count.
;; call: allocate
;; error: policy too_many_proposals.wasm: allocate returned too many proposals: the limit is 64 proposals
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2052) (i32.const 65536))
  (i32.store (i32.const 2056) (i32.const 65))
  (i32.const 2048))
