;; call: allocate
;; error: policy realloc_misaligned.wasm: allocate handed over malformed data: realloc return: result not aligned
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8193))
