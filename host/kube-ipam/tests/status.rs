//! STATUS of a network whose policy takes long to compile: bounded, and with a way out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

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
    let configuration = json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": {
        "type": "kube-ipam", "subnet": "10.1.0.0/24", "dataDir": directory.path(),
        "policy": {"module": module, "limits": {"compileSeconds": 600}},
    }});
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-ipam"))
        .env_clear()
        .envs([("CNI_COMMAND", "STATUS"), ("CNI_PATH", "/usr/lib/cni")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(configuration.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["code"], 50, "{answer}");
    let said = answer.to_string();
    assert!(said.contains("took too long to compile: the limit is 4 s"), "{said}");
    assert!(said.contains("kube-ipam policy install --conf NETWORK.conflist") && said.contains("slow.wasm"), "{said}");
}
