;; call: validate-settings
;; error: policy trap_in_validate_settings.wasm: validate-settings trapped: integer divide by zero
(func (export "allocator#validate-settings") (param i32 i32) (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
