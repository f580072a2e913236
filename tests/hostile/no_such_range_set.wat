;; call: allocate
;; error: policy no_such_range_set.wasm: allocate asked a question without an answer: there is no range set 9
(import "pool" "last-claimed" (func $last-claimed (param i32 i32)))
(func (export "allocator#allocate") (param i32) (result i32)
  (call $last-claimed (i32.const 9) (i32.const 3072))
  (i32.const 2048))
