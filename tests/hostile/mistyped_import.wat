;; call: allocate
;; refused: does not fit the policy world
(component
  (import "kube-ipam:policy/log@0.1.0" (instance (export "write" (func (param "number" u64)))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
