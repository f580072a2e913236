;; An 8 MiB refusal: stopped before it is copied.
;; call: allocate
;; error: policy oversized_string.wasm: allocate handed over too much data: the limit is 1,024 KiB in one call
(memory (export "memory") 256)
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 1))
  (i32.store8 (i32.const 2052) (i32.const 0))
  (i32.store (i32.const 2056) (i32.const 65536))
  (i32.store (i32.const 2060) (i32.const 8388608))
  (i32.const 2048))
