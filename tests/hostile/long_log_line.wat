;; 8 MiB in one line: more than one call may hand over.
;; call: allocate
;; error: policy long_log_line.wasm: allocate handed over too much data: the limit is 1,024 KiB in one call
(import "log" "write" (func $write (param i32 i32 i32)))
(memory (export "memory") 256)
(func (export "allocator#allocate") (param i32) (result i32)
  (call $write (i32.const 1) (i32.const 65536) (i32.const 8388608))
  (i32.const 2048))
