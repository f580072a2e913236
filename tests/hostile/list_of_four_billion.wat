;; call: allocate
;; error: policy list_of_four_billion.wasm: allocate handed over malformed data: list pointer/length out of bounds
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store (i32.const 2056) (i32.const -1))
  (i32.const 2048))
