;; What the SDK's panic hook does: the reason on the log, then the trap.
;; call: allocate
;; error: policy panic_with_text.wasm: allocate panicked at src/lib.rs:7:5: \u{1b}[31mno such range
(import "log" "write" (func $write (param i32 i32 i32)))
(data (i32.const 3072) "panicked at src/lib.rs:7:5: \1b[31mno such range")
(func (export "allocator#allocate") (param i32) (result i32)
  (call $write (i32.const 3) (i32.const 3072) (i32.const 46))
  (unreachable))
