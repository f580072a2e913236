;; call: allocate
;; refused: does not export kube-ipam:policy/allocator@0.1.0
(component)
