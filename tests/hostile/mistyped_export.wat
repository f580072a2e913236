;; call: allocate
;; refused: does not fit the policy world: describe: expected 0-tuple, found 1-tuple
(component
  (core module $core
    (func (export "f") (param i32)))
  (core instance $core (instantiate $core))
  (func $f (param "number" u32) (canon lift (core func $core "f")))
  (instance $mistyped
    (export "describe" (func $f))
    (export "validate-settings" (func $f))
    (export "allocate" (func $f)))
  (export "kube-ipam:policy/allocator@0.1.0" (instance $mistyped)))
