;; call: allocate
;; error: policy huge_table.wasm: its start wanted a larger table: the limit is 100,000 table elements
(table 10000000 funcref)
