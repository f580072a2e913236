;; Few instructions, much work: every fill writes 32 MiB. Fuel counts the bytes.
;; call: allocate
;; error: policy bulk_fill.wasm: allocate ran out of fuel: the limit is 50,000,000 units of fuel
(memory (export "memory") 512)
(func (export "allocator#allocate") (param i32) (result i32)
  (loop $for-ever
    (memory.fill (i32.const 4096) (i32.const 1) (i32.const 33000000))
    (br $for-ever))
  (unreachable))
