;; call: allocate
;; refused: is not valid here
(func (export "simd") (result v128) (v128.const i64x2 1 2))
