;; call: allocate
;; error: policy inverted_question.wasm: allocate asked a question without an answer: next-free-within 10.0.0.9 to 10.0.0.2: these are not in order
(import "pool" "next-free-within" (func $next-free-within (param i32 i32)))
(data (i32.const 4096) "\00\00\0a\00\00\09\00\00\00\00\00\00\00\00\00\00\00\00\00\00\0a\00\00\02")
(func (export "allocator#allocate") (param i32) (result i32)
  (call $next-free-within (i32.const 4096) (i32.const 3072))
  (i32.const 2048))
