;; A guest keeps most of its stack in its memory, growing down: below 0 is the end of the address space.
;; call: allocate
;; error: policy shadow_stack_overflow.wasm: allocate trapped: out of bounds memory access, or its stack overflowed
(global $stack (mut i32) (i32.const 4096))
(func $down
  (global.set $stack (i32.sub (global.get $stack) (i32.const 256)))
  (i32.store (global.get $stack) (i32.const 1))
  (call $down))
(func (export "allocator#allocate") (param i32) (result i32) (call $down) (i32.const 2048))
