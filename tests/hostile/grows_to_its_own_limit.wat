;; Declares how far its memory may grow, asks for more until it is refused, and goes wrong for want of it.
;; call: allocate
;; error: policy grows_to_its_own_limit.wasm: allocate trapped: wasm `unreachable` instruction executed; before that, its memory could not grow any more
(memory (export "memory") 2 4)
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0))))
  (unreachable))
