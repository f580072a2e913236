//! A range that is exhausted after a reboot: the error says what nobody can be using any more, and who releases it.

use std::time::{Duration, SystemTime};

use kube_ipam_tests::node::Node;
use serde_json::json;

#[test]
fn claims_that_are_older_than_the_boot_are_counted() {
    let node = Node::new();
    let mut network = node.network(json!({}));
    network["ipam"]["subnet"] = json!("10.0.0.0/29");
    for nth in 0..5 {
        node.call("ADD", &format!("c{nth}"), &network).address();
    }
    let (code, says) = node.call("ADD", "late", &network).failure();
    assert!(code == 101 && says.contains("kube-ipam reclaim") && says.contains("GC"), "{says}");
    assert!(!says.contains("boot"), "the machine was started before: {says}");

    let booted = SystemTime::now() + Duration::from_secs(5);
    let seconds = booted.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let stat = node.write("stat", format!("cpu 1\nbtime {seconds}\n").as_bytes());
    let reboot = format!("mount --bind {} /proc/stat", stat.display());
    let Some(added) = node.call_after(&reboot, "ADD", "late", &network) else { return };
    let (code, says) = added.failure();
    assert!(code == 101 && says.contains("5 claims of this node are older than its boot at "), "{says}");
    assert!(says.contains("5 of 5 addresses of range set 0 are held"), "{says}");
    assert!(says.contains("`kube-ipam fsck --containers --network blue` there says what releases each"), "{says}");
    node.call("DEL", "c0", &network);
    let added = node.call_after(&reboot, "ADD", "late", &network).unwrap();
    assert_eq!(added.address(), "10.0.0.2/29");
}
