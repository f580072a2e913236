;; Imports of a component inside are not the policy's own; but what it exports is not a policy.
;; call: allocate
;; refused: does not fit the policy world: kube-ipam:policy/allocator@0.1.0 has no function describe
(component
  (component
    (component (import "acme:dns/resolve" (instance))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
