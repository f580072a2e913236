;; call: allocate
;; error: policy bad_prefix_length.wasm: allocate returned a bad proposal, number 1 of 1: 10.0.0.9/33: the prefix length of an IPv4 address is 1 to 32
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2098) (i32.const 33))
  (i32.const 2048))
