;; call: allocate
;; refused: does not fit the policy world: instance export `kube-ipam:policy/allocator@0.1.0` does not have export `describe`
(component
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
