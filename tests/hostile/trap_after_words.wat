;; call: allocate
;; error: policy trap_after_words.wasm: allocate trapped: wasm `unreachable` instruction executed, after saying "all is lost"
(import "log" "write" (func $write (param i32 i32 i32)))
(data (i32.const 3072) "all is lost")
(func (export "allocator#allocate") (param i32) (result i32)
  (call $write (i32.const 3) (i32.const 3072) (i32.const 11))
  (unreachable))
