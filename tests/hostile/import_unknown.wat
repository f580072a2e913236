;; call: allocate
;; refused: imports acme:dns/resolve, which is not part of the policy world
(component
  (import "acme:dns/resolve" (instance (export "now" (func (result u64)))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
