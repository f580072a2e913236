;; Just within the limit: what it holds can still be released, and is kept.
;; call: allocate
;; proposes: 10.0.0.9
(func (export "allocator#allocate") (param i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 47) (i32.const 512))
  (i32.store8 (i32.const 2128) (i32.const 1))
  (i32.store (i32.const 2136) (i32.const 65536))
  (i32.store (i32.const 2140) (i32.const 512))
  (i64.store (i32.const 2144) (i64.const 7776000))
  (i32.const 2048))
