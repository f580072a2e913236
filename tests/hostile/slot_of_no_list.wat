;; call: allocate
;; error: policy slot_of_no_list.wasm: allocate returned a bad proposal, number 1 of 1: the slot of 10.0.0.9 does not name a list
(func (export "allocator#allocate") (param i32) (result i32)
  (i32.store8 (i32.const 2152) (i32.const 1))
  (i32.const 2048))
