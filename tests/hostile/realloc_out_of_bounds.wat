;; call: allocate
;; error: policy realloc_out_of_bounds.wasm: allocate handed over malformed data: realloc return: beyond end of memory
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x7ffffff0))
