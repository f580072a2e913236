;; call: allocate
;; error: policy huge_initial_memory.wasm: its start wanted more memory: the limit is 64 MiB
(memory (export "memory") 40000)
