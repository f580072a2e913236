;; call: describe
;; error: policy question_in_describe.wasm: describe asked a question without an answer: the pool may only be asked by allocate
(import "pool" "last-claimed" (func $last-claimed (param i32 i32)))
(func (export "allocator#describe") (result i32)
  (call $last-claimed (i32.const 0) (i32.const 3072))
  (i32.const 1024))
