;; call: validate-settings
;; error: policy loop_in_validate_settings.wasm: validate-settings ran out of fuel: the limit is 50,000,000 units of fuel
(func (export "allocator#validate-settings") (param i32 i32) (result i32) (loop $for-ever (br $for-ever)) (unreachable))
