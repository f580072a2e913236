;; call: allocate
;; error: policy loop_in_start.wasm: its start ran out of fuel: the limit is 50,000,000 units of fuel
(func $start (loop $for-ever (br $for-ever)))
(start $start)
