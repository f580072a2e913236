//! STATUS of a network whose policy takes long to compile: bounded, and with a way out.

use std::fs;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::network;
use serde_json::json;

/// A component that keeps a compiler busy for much longer than STATUS has time.
fn slow_to_compile() -> Vec<u8> {
    let step = "(local.set 0 (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))";
    let functions = format!("(func (param i32) {})", step.repeat(20)).repeat(100_000);
    let export = r#"(instance $empty) (export "kube-ipam:policy/allocator@0.1.0" (instance $empty))"#;
    wat::parse_str(format!("(component (core module {functions}) {export})")).unwrap()
}

#[test]
fn a_policy_that_takes_long_to_compile_is_told_before_status_has_to_answer() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("slow.wasm");
    fs::write(&module, slow_to_compile()).unwrap();
    let policy = json!({"module": module, "limits": {"compileSeconds": 600}});
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "policy": policy}));
    let (code, said) = Call::new("STATUS", "", &configuration).run().failure();
    assert_eq!(code, 50, "{said}");
    assert!(said.contains("took too long to compile: the limit is 4 s"), "{said}");
    assert!(said.contains("kube-ipam policy install") && said.contains("slow.wasm"), "{said}");
}
