;; Name, version, summary and settings schema would clear the screen.
;; call: describe
;; described: \u{1b}[2Jcrime
(data (i32.const 1024) "\40\04\00\00\09\00\00\00\40\04\00\00\09\00\00\00\40\04\00\00\09\00\00\00\40\04\00\00\09\00\00\00")
(data (i32.const 1088) "\1b[2Jcrime")
(func (export "allocator#describe") (result i32) (i32.const 1024))
