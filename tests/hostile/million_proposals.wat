;; call: allocate
;; error: policy million_proposals.wasm: allocate handed over too much data: the limit is 1,024 KiB in one call
(memory (export "memory") 200)
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2052) (i32.const 65536))
  (i32.store (i32.const 2056) (i32.const 1000000))
  (i32.const 2048))
