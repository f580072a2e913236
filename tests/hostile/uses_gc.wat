;; call: allocate
;; refused: is not valid here
(component
  (core module (type (struct (field i32))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
