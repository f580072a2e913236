;; call: allocate
;; error: policy bad_variant_tag.wasm: allocate handed over malformed data: unexpected discriminant: 7
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2080) (i32.const 7))
  (i32.const 2048))
