;; call: allocate
;; refused: speaks kube-ipam:policy/pool@0.2.0, this kube-ipam speaks kube-ipam:policy/pool@0.1.0
(component
  (import "kube-ipam:policy/pool@0.2.0" (instance (export "now" (func (result u64)))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
