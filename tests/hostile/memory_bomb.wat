;; call: allocate
;; error: policy memory_bomb.wasm: allocate wanted more memory: the limit is 64 MiB
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
  (i32.const 2048))
