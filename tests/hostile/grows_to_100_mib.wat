;; Harmless with a higher limit.
;; call: allocate
;; error: policy grows_to_100_mib.wasm: allocate wanted more memory: the limit is 64 MiB
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $more
    (drop (memory.grow (i32.const 16)))
    (br_if $more (i32.lt_u (memory.size) (i32.const 1600))))
  (i32.const 2048))
