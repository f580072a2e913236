//! Whatever an ADD waits for ends with its `timeout`, and is named: a compiler, another process that compiles, the turn to
//! write.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use kube_ipam_tests::Answer;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::node::Node;
use serde_json::{Value, json};

const TRY_AGAIN: u64 = 11;

/// A network whose calls have two seconds.
fn hurried(node: &Node, policy: Value) -> Value {
    let mut network = node.network(policy);
    network["ipam"]["timeout"] = json!("2s");
    network
}

/// The failure of a call, which has to take its two seconds and not much more.
fn late(call: impl FnOnce() -> Answer) -> String {
    let began = Instant::now();
    let (code, says) = call().failure();
    let took = began.elapsed();
    assert!((1_900..4_000).contains(&took.as_millis()), "{took:?}: {says}");
    assert_eq!(code, TRY_AGAIN, "{says}");
    says
}

#[test]
fn another_process_that_compiles_is_waited_for_until_the_deadline_and_named() {
    let node = Node::new();
    let network = hurried(&node, json!({"module": node.guest("good"), "onFault": "default"}));
    fs::create_dir_all(node.path("data/policies")).unwrap();
    fs::set_permissions(node.path("data/policies"), fs::Permissions::from_mode(0o700)).unwrap();
    let lock = File::create(node.path("data/policies/lock")).unwrap();
    lock.lock().unwrap();

    let says = late(|| node.call("ADD", "c1", &network));
    assert!(says.contains("timed out after 2s (ipam.timeout)"), "{says}");
    assert!(says.contains("good.wasm waits for another process of this node that compiles a policy, for "), "{says}");
    assert!(says.contains("kube-ipam policy install"), "{says}");
    let (code, says) = node.call("STATUS", "", &network).failure();
    assert!(code == 50 && says.contains("kube-ipam policy install"), "{says}");

    drop(lock);
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.2/24");
}

#[test]
fn a_turn_to_write_that_is_not_given_back_is_waited_for_until_the_deadline_and_named() {
    let node = Node::new();
    let network = hurried(&node, json!({}));
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.2/24");
    let turn = File::open(node.path("data/ipam.mdb")).unwrap();
    turn.lock().unwrap();
    for (verb, container) in [("ADD", "c2"), ("DEL", "c1"), ("DEL", "nobody")] {
        let says = late(|| node.call(verb, container, &network));
        assert!(says.contains("ipam.mdb locked for writing"), "{says}");
        assert!(says.contains("ipam.timeout") && says.contains("fuser -v"), "{says}");
    }
    let (status, told) = node.run(&["doctor", "--conf", &node.conf(&network)]);
    assert!(status == Some(2) && told.contains("✗ store") && told.contains("locked for writing"), "{told}");
    drop(turn);
    assert_eq!(node.call("ADD", "c2", &network).address(), "10.0.0.3/24");
    assert_eq!(node.call("DEL", "c1", &network).status, Some(0));
}

/// The good guest with so much beside it that a compiler takes some seconds.
fn slow_to_compile() -> Vec<u8> {
    let step = "(local.set 0 (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 7))))";
    let functions = format!("(func (param i32) {})", step.repeat(20)).repeat(150_000);
    Guest::with("good", &functions).module()
}

/// While etcd's answer travels, nobody may wait for a compiler: it was told as "etcd does not answer".
#[test]
fn a_slow_compiler_is_named_and_what_it_does_is_there_for_a_later_call() {
    let (node, etcd) = (Node::new(), Setup::single().start());
    let module = node.write("slow.wasm", &slow_to_compile());
    let limits = json!({"compileSeconds": 600});
    let mut network = hurried(&node, json!({"module": module, "limits": limits, "onFault": "default"}));
    network["ipam"]["etcdConfig"] = etcd.section();
    let says = late(|| node.call("ADD", "c1", &network));
    assert!(says.contains("slow.wasm is still being compiled, for ") && !says.contains("etcd"), "{says}");
    assert!(says.contains("for 1 s so far") || says.contains("for 2 s so far"), "{says}");
    assert!(says.contains("kube-ipam policy install") && says.contains("ipam.timeout"), "{says}");
    // The compiler works on: others wait for it, and whoever has the time gets what it made.
    let other = hurried(&node, json!({"module": node.guest("good")}));
    let says = late(|| node.call("ADD", "c1", &other));
    assert!(says.contains("good.wasm waits for another process of this node that compiles a policy, for "), "{says}");
    let (code, says) = node.call("STATUS", "", &network).failure();
    assert!(code == 50 && says.contains("slow.wasm is still being compiled, for "), "{says}");
    assert!(["for 3 s", "for 4 s", "for 5 s", "for 6 s", "for 7 s"].iter().any(|time| says.contains(time)), "{says}");
    assert!(says.contains("kube-ipam policy install"), "{says}");
    network["ipam"]["timeout"] = json!("5m");
    assert_eq!(node.call("ADD", "c1", &network).address(), "10.0.0.2/24");
    let left = node.names("data/policies");
    assert!(left.iter().all(|name| !name.ends_with(".draft")), "{left:?}");
    network["ipam"]["timeout"] = json!("10s");
    assert_eq!(node.call("ADD", "c2", &network).address(), "10.0.0.3/24");
}
