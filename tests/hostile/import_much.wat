;; call: allocate
;; refused: imports the system interface wasi:clocks/wall-clock@0.2.3, but a policy has no system
(component
  (import "wasi:clocks/wall-clock@0.2.3" (instance (export "now" (func (result u64)))))
  (import "acme:dns/resolve" (instance (export "now" (func (result u64))))))
