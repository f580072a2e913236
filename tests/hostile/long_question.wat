;; call: allocate
;; error: policy long_question.wasm: allocate named too long an identity: the limit is 512 bytes in one identity
(import "pool" "held-for" (func $held-for (param i32 i32 i32)))
(func (export "allocator#allocate") (param i32) (result i32)
  (call $held-for (i32.const 65536) (i32.const 513) (i32.const 3072))
  (i32.const 2048))
