//! `release` ends what was shown, and nothing that lives.

use std::fs;

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use serde_json::{Value, json};

use super::Node;
use super::node::uid;

fn outcomes(found: &Value) -> Vec<&str> {
    found.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect()
}

#[test]
fn what_lives_is_released_by_force_only() {
    for mut node in Node::each(&json!({"subnet": "10.1.0.0/24"})) {
        node.add("c1");
        for what in ["10.1.0.2", "c1", "shop/pod-c1"] {
            let (status, printed) = node.run(&["release", what, "--yes"]);
            assert!(status == 1 && printed.contains("it is running") && printed.contains("--force"), "{printed}");
            let (status, found) = node.json(&["release", what, "--yes"]);
            assert_eq!((status, outcomes(&found)), (1, vec!["refused"]));
            assert_eq!(found[0]["claim"]["container"], "c1");
        }
        assert_eq!(node.held().len(), 1);
        let (status, printed) = node.run(&["release", "c1", "--force", "--dry-run"]);
        assert!(status == 0 && printed.contains("1 of 1 would be released"), "{printed}");
        let (status, printed) = node.run(&["release", "c1", "--force"]);
        assert!(status == 1 && printed.contains("--yes releases the rest"), "nobody said yes: {printed}");
        assert_eq!(node.held().len(), 1);
        let (status, printed) = node.run(&["release", "c1", "--force", "--yes"]);
        assert!(status == 0 && printed.contains("1 of 1 released"), "{printed}");
        assert!(node.held().is_empty());
        assert_eq!(node.run(&["fsck"]).0, 0);
    }
}

#[test]
fn what_the_node_no_longer_has_is_released() {
    for mut node in Node::each(&json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]})) {
        ["abc1", "abc2"].iter().for_each(|container| drop(node.add(container)));
        fs::remove_file(node.result("abc1")).unwrap();
        let (status, printed) = node.run(&["release", "abc", "--yes"]);
        assert!(status == 1 && printed.contains("abc1, abc2"), "one container is meant, or none: {printed}");
        let (status, printed) = node.run(&["release", "10.1.0.2", "--yes"]);
        assert!(status == 0 && printed.contains("10.1.0.2, fd00::2: pod shop/pod-abc1"), "the whole claim: {printed}");
        assert_eq!(node.held().len(), 2);
        let (status, printed) = node.run(&["release", "abc1", "--yes"]);
        assert!(status == 1 && printed.contains("no claim and no hold found for abc1"), "{printed}");
    }
}

/// A claim of another node: without an API server nobody here can tell.
#[test]
fn where_nobody_can_tell_force_is_needed() {
    let mut node = Node::on_etcd(&json!({"subnet": "10.1.0.0/24", "nodeName": "node-2"}));
    node.add("c1");
    fs::remove_file(node.result("c1")).unwrap();
    node.configuration["ipam"]["nodeName"] = json!("node-1");
    let node = node.written();
    let (status, found) = node.json(&["release", "c1", "--yes"]);
    assert_eq!((status, outcomes(&found), &found[0]["life"]["is"]), (1, vec!["refused"], &json!("unknown")));
    let (_, printed) = node.run(&["release", "c1", "--yes"]);
    let reasons = ["cannot tell whether it still exists", "it belongs to node node-2", "ipam.kubeConfig is not set"];
    assert!(reasons.iter().all(|reason| printed.contains(reason)), "{printed}");
    assert_eq!(node.run(&["release", "c1", "--yes", "--force"]).0, 0);
    assert!(node.held().is_empty());
}

/// The API server's word counts on every node, and a pod it knows lives, whatever the node says.
#[test]
fn the_api_server_is_asked_where_there_is_one() {
    let server = ApiServer::double();
    let rules = [Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] }];
    let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam", &rules));
    server.create("namespaces", "", &json!({"metadata": {"name": "shop"}}));
    server.node("node-2");
    let capability = json!({"io.kubernetes.cri.pod-annotations": {}});
    let ipam = json!({"subnet": "10.1.0.0/24", "nodeName": "node-2", "kubeConfig": kubeconfig});
    let mut node = Node::on_etcd(&ipam);
    node.configuration["runtimeConfig"] = capability;
    ["gone", "there"].iter().for_each(|container| drop(node.add(container)));
    node.configuration["ipam"]["nodeName"] = json!("node-1");
    let node = node.written();
    let made = server.pod("shop", "pod-there").on("node-2").phase("Running").create();
    assert_ne!(made, uid("there"), "a pod of the same name, recreated");
    ["gone", "there"].iter().for_each(|container| fs::remove_file(node.result(container)).unwrap());

    let (status, printed) = node.run(&["release", "gone", "--yes"]);
    assert!(status == 0 && printed.contains("1 of 1 released"), "{printed}");
    let (status, printed) = node.run(&["release", "shop/pod-there", "--yes"]);
    assert!(status == 0 && printed.contains("1 of 1 released"), "its pod was replaced: {printed}");

    // Now the very pod.
    let call = kube_ipam_tests::Call::new("ADD", "very", &node.configuration).for_pod("shop", "pod-there", &made);
    call.run().success();
    let (status, printed) = node.run(&["release", "very", "--yes"]);
    assert!(status == 1 && printed.contains("it still exists: the API server has pod shop/pod-there"), "{printed}");
}

#[test]
fn holds_and_cool_downs_end_by_address_and_by_identity() {
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]], "cooldown": "1h"});
    for mut node in Node::each(&ipam) {
        ["c1", "c2"].iter().for_each(|container| drop(node.add(container)));
        node.del("c1");
        let (status, printed) = node.run(&["release", "10.1.0.2", "--dry-run"]);
        assert!(status == 0 && printed.contains("10.1.0.2: cooling down until"), "{printed}");
        let (status, found) = node.json(&["release", "10.1.0.2", "--yes"]);
        assert_eq!((status, outcomes(&found)), (0, vec!["released"]));
        assert_eq!(found[0]["hold"]["address"], "10.1.0.2");
        let (status, printed) = node.run(&["release", "10.1.0.2", "--yes"]);
        assert!(status == 1 && printed.contains("no claim and no hold"), "{printed}");
        let (status, printed) = node.run(&["release", "--identity", "nobody", "--yes"]);
        assert!(status == 1 && printed.contains("no address is on hold for \"nobody\""), "{printed}");
        assert_eq!(node.run(&["fsck"]).0, 0);
    }
}
