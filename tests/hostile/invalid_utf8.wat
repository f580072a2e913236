;; call: allocate
;; error: policy invalid_utf8.wasm: allocate handed over malformed data: invalid utf-8 sequence of 1 bytes from index 0
(data (i32.const 3072) "\ff\fe")
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 1))
  (i32.store8 (i32.const 2052) (i32.const 0))
  (i32.store (i32.const 2056) (i32.const 3072))
  (i32.store (i32.const 2060) (i32.const 2))
  (i32.const 2048))
