;; What every guest here has, piece by piece; a guest that brings its own leaves the piece out. The harness wraps the
;; guest and the missing pieces into one core module and makes it a component of the policy world. Short names are
;; spelled out: "allocator#describe" stands for "kube-ipam:policy/allocator@0.1.0#describe", "pool" and "log" likewise.
;; A piece begins with `;;;` and the text by which a guest's own one is recognised; without such a text it always comes.
;;
;; The verdict lies at 2048: result<list<proposal>, refusal> is a tag and, at +4, address and length of the list.
;; At 2064 the one proposal, at 2080 its one assignment, dynamic 10.0.0.9/24 without gateway, hold and slot:
;;   2080 tag of the address, 2082 the address, 2098 prefix length, 2100 gateway, 2120 kind, 2128 hold, 2152 slot;
;;   the next would follow at 2168

;;; "memory"
(memory (export "memory") 2)

;;; "cabi_realloc"
(global $heap (mut i32) (i32.const 8192))
(func (export "cabi_realloc") (param $old i32) (param $had i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and
    (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
    (i32.sub (i32.const 0) (local.get $align))))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (local.get $at))

;;; "allocator#describe"
(data (i32.const 1024) "\40\04\00\00\05\00\00\00\46\04\00\00\05\00\00\00\4c\04\00\00\0f\00\00\00")
(data (i32.const 1088) "crime 0.0.1 a hostile guest")
(func (export "allocator#describe") (result i32) (i32.const 1024))

;;; "allocator#validate-settings"
(func (export "allocator#validate-settings") (param $at i32) (param $length i32) (result i32) (i32.const 1536))

;;; "allocator#allocate"
(func (export "allocator#allocate") (param $arguments i32) (result i32) (i32.const 2048))

;;;
(data (i32.const 2048) "\00\00\00\00\10\08\00\00\01\00\00\00")
(data (i32.const 2064) "\20\08\00\00\01\00\00\00")
(data (i32.const 2080) "\00\00\0a\00\00\09\00\00\00\00\00\00\00\00\00\00\00\00\18")
