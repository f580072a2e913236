;; call: allocate
;; refused: does not fit the policy world: kube-ipam:policy/allocator@0.1.0 has no function describe
(component
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
