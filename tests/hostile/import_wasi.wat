;; call: allocate
;; refused: imports the system interface wasi:clocks/wall-clock@0.2.3, but a policy has no system
(component
  (import "wasi:clocks/wall-clock@0.2.3" (instance (export "now" (func (result u64)))))
  (instance $empty)
  (export "kube-ipam:policy/allocator@0.1.0" (instance $empty)))
