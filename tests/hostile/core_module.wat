;; call: allocate
;; refused: is a core module, not a component
;; core
