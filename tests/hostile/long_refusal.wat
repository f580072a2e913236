;; call: allocate
;; error: policy long_refusal.wasm: allocate returned too long a text: the limit is 4,096 bytes in one text
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 1))
  (i32.store8 (i32.const 2052) (i32.const 0))
  (i32.store (i32.const 2056) (i32.const 65536))
  (i32.store (i32.const 2060) (i32.const 4097))
  (i32.const 2048))
