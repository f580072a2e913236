;; call: allocate
;; refuses: \u{1b}[2J\nfull
(data (i32.const 3072) "\1b[2J\0afull")
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2048) (i32.const 1))
  (i32.store8 (i32.const 2052) (i32.const 0))
  (i32.store (i32.const 2056) (i32.const 3072))
  (i32.store (i32.const 2060) (i32.const 9))
  (i32.const 2048))
