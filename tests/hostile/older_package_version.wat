;; call: allocate
;; refused: speaks kube-ipam:policy/allocator@0.0.9, this kube-ipam speaks kube-ipam:policy/allocator@0.1.0
(component
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.0.9" (instance $empty)))
