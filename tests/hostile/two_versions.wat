;; Speaks this version and one of the future: ours is the one that is used.
;; call: allocate
;; proposes: 10.0.0.9
;; world: both
(func (export "kube-ipam:policy/allocator@0.9.0#describe") (result i32) (unreachable))
