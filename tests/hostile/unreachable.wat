;; call: allocate
;; error: policy unreachable.wasm: allocate trapped: wasm `unreachable` instruction executed
(func (export "allocator#allocate") (param i32) (result i32) (unreachable))
