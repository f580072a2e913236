;; call: allocate
;; refused: is not valid here
(memory $shared 1 1 shared)
