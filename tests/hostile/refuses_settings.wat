;; Whatever the settings, with a colour in its words.
;; call: validate-settings
;; refused: does not accept its settings: \u{1b}[1mno
(data (i32.const 1536) "\01\00\00\00\10\06\00\00\06\00\00\00")
(data (i32.const 1552) "\1b[1mno")
(func (export "allocator#validate-settings") (param i32 i32) (result i32) (i32.const 1536))
