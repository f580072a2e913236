//! What runs is never taken for what is wrong.

use std::fs;

use serde_json::json;

use super::Node;

/// A key was deleted by hand for want of another way, and its address given out again. The container still runs.
#[test]
fn the_claim_of_a_running_container_is_not_ended() {
    let mut node = Node::on_etcd(&json!({"subnet": "10.1.0.0/29", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2"}));
    node.add("c1");
    let etcd = node.etcd.as_ref().unwrap();
    etcd.control(&["del", "/kube-ipam/v2/blue/a/4/0a010002"]);
    assert_eq!(node.try_add("c2"), Ok("10.1.0.2".to_owned()));
    let before = etcd.control(&["get", "--prefix", "/kube-ipam/v2/"]);
    let (status, printed) = node.run(&["fsck", "--repair", "--yes"]);
    let named = ["leave it", "container c1 interface eth0", "container c2 interface eth0", "fsck --containers"];
    assert!(status == 1 && named.iter().all(|name| printed.contains(name)), "{printed}");
    assert!(!printed.contains("end the claim"), "{printed}");
    assert_eq!(etcd.control(&["get", "--prefix", "/kube-ipam/v2/"]), before, "nothing is written");

    // Where the node does not know it, the record decides, as ever.
    fs::remove_file(node.result("c1")).unwrap();
    let (status, printed) = node.run(&["fsck", "--repair", "--yes"]);
    assert!(status == 0 && printed.contains("end the claim of container c1"), "{printed}");
}

#[test]
fn what_is_claimed_and_does_not_run_is_shown_and_stays() {
    for mut node in Node::each(&json!({"subnet": "10.1.0.0/24"})) {
        ["c1", "c2"].iter().for_each(|container| drop(node.add(container)));
        fs::remove_file(node.result("c2")).unwrap();
        for arguments in [&["fsck", "--containers"][..], &["fsck", "--containers", "--repair", "--yes"]] {
            let (status, printed) = node.run(arguments);
            assert!(status == 1 && printed.contains("container c2 interface eth0 holds 10.1.0.3"), "{printed}");
            assert!(printed.contains("kube-ipam release c2") && printed.contains("1 left to you"), "{printed}");
        }
        assert_eq!(node.held().len(), 2);
        let (status, found) = node.json(&["fsck", "--containers"]);
        assert_eq!((status, found[0]["outcome"].as_str()), (1, Some("left")), "{found}");
    }
}

/// Its DEL got lost, and its network namespace tells: it gets no claim, and the one it has is shown.
#[test]
fn a_container_whose_network_namespace_is_gone_does_not_run() {
    let mut node = Node::embedded(&json!({"subnet": "10.1.0.0/24"}));
    let netns = node.cache().join("netns");
    fs::create_dir(&netns).unwrap();
    for container in ["c1", "c2"] {
        node.add(container);
        let result = fs::read_to_string(node.result(container)).unwrap();
        let path = netns.join(container).display().to_string();
        fs::write(node.result(container), result.replacen('{', &format!(r#"{{"netns":"{path}","#), 1)).unwrap();
        fs::write(path, "").unwrap();
    }
    assert_eq!(node.run(&["fsck", "--containers"]).0, 0);
    fs::remove_file(netns.join("c2")).unwrap();
    let (status, printed) = node.run(&["fsck", "--containers"]);
    assert!(status == 1 && printed.contains("holds 10.1.0.3, but its network namespace"), "{printed}");
    node.lose();
    let (_, printed) = node.run(&["fsck", "--containers", "--repair", "--yes"]);
    assert!(printed.contains("1 of 1 repairs done"), "{printed}");
    assert_eq!(node.held().keys().collect::<Vec<_>>(), ["10.1.0.2"]);
}

#[test]
fn an_address_that_the_container_was_not_told_is_named() {
    let mut node = Node::embedded(&json!({"subnet": "10.1.0.0/24"}));
    node.add("c1");
    let result = fs::read_to_string(node.result("c1")).unwrap();
    fs::write(node.result("c1"), result.replace("10.1.0.2/24", "10.1.0.77/24")).unwrap();
    let (status, printed) = node.run(&["fsck", "--containers"]);
    assert!(status == 1 && printed.contains("the store has 10.1.0.2 for pod shop/pod-c1"), "{printed}");
    assert!(printed.contains("has 10.1.0.77, of which the store does not know"), "{printed}");
    let (_, printed) = node.run(&["fsck", "--containers", "--repair", "--yes"]);
    assert!(printed.contains("(done)"), "{printed}");
    assert_eq!(node.held().keys().collect::<Vec<_>>(), ["10.1.0.2", "10.1.0.77"], "nothing is released");
}

#[test]
fn results_that_cannot_be_read_and_a_node_without_any_are_named() {
    let node = Node::embedded(&json!({"subnet": "10.1.0.0/24"}));
    fs::write(node.result("half"), r#"{"kind":"cniCacheV1","cont"#).unwrap();
    let (status, printed) = node.run(&["fsck", "--containers"]);
    assert!(status == 1 && printed.contains("blue-half-eth0 cannot be read as a result of libcni"), "{printed}");
    fs::remove_dir_all(node.cache()).unwrap();
    let (status, printed) = node.run(&["fsck", "--containers"]);
    assert!(
        status == 1 && printed.contains("no libcni cache found in") && printed.contains("--cache-dir"),
        "{printed}"
    );
    assert_eq!(node.run(&["fsck"]).0, 0, "the records can be compared without");
}
