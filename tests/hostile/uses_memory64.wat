;; call: allocate
;; refused: is not valid here
(component
  (core module (memory i64 1))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
