//! STATUS of a network whose policy takes long to compile: bounded, honest about how long it has been, and done in the end.

use std::fs;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::program::network;
use serde_json::json;

/// The good guest with so much beside it that a compiler takes longer than STATUS waits.
fn slow_to_compile() -> Vec<u8> {
    let step = "(local.set 0 (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))";
    let functions = format!("(func (param i32) {})", step.repeat(20)).repeat(100_000);
    Guest::with("good", &functions).module()
}

/// Seconds, of "for 4 s so far".
fn so_far(said: &str) -> u64 {
    let seconds = said.split(", for ").nth(1).and_then(|rest| rest.split(' ').next());
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("no time in {said}"))
}

/// A runtime asks STATUS again and again, and starts no pod before it succeeds: what no ADD compiles has to be compiled here.
#[test]
fn a_policy_that_takes_long_to_compile_is_compiled_by_status_which_says_for_how_long() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("slow.wasm");
    fs::write(&module, slow_to_compile()).unwrap();
    let policy = json!({"module": module, "limits": {"compileSeconds": 600}});
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "policy": policy}));
    let end = Instant::now() + Duration::from_secs(300);
    let mut told = Vec::new();
    loop {
        let began = Instant::now();
        let answer = Call::new("STATUS", "", &configuration).run();
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        if answer.status == Some(0) {
            break;
        }
        let (code, said) = answer.failure();
        assert_eq!(code, 50, "{said}");
        assert!(said.contains("slow.wasm is still being compiled"), "{said}");
        assert!(said.contains("kube-ipam policy install"), "{said}");
        told.push(so_far(&said));
        assert!(Instant::now() < end, "never compiled: {told:?}");
    }
    assert!(!told.is_empty(), "it is slow to compile");
    assert!(told.is_sorted(), "{told:?}");
}
