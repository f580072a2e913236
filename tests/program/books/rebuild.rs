//! A store that has forgotten what lives learns it again.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use kube_ipam_tests::program;
use serde_json::json;

use super::Node;

/// 125 addresses.
const SUBNET: &str = "10.1.0.0/25";
const REPAIR: [&str; 4] = ["fsck", "--containers", "--repair", "--yes"];

fn populated(mut node: Node, containers: usize) -> Node {
    (0..containers).for_each(|nth| drop(node.add(&format!("c{nth}"))));
    node
}

/// Nothing is found any more, and when all have ended nothing is left.
fn ends_well(mut node: Node) {
    node.knows_the_living();
    node.collect_garbage();
    assert_eq!(node.run(&["fsck", "--containers"]).0, 0, "{}", node.run(&["fsck", "--containers"]).1);
    assert_eq!(node.run(&["fsck"]).0, 0, "{}", node.run(&["fsck"]).1);
    for container in node.living.keys().cloned().collect::<Vec<_>>() {
        node.del(&container);
    }
    node.collect_garbage();
    assert_eq!(node.held().len(), 0);
    assert_eq!(node.run(&["fsck"]).0, 0);
}

#[test]
fn a_store_that_was_deleted_is_rebuilt() {
    for node in Node::each(&json!({"ranges": [[{"subnet": SUBNET}], [{"subnet": "fd00::/64"}]]})) {
        let node = populated(node, 100);
        node.lose();
        let (status, plan) = node.run(&["fsck", "--containers"]);
        assert!(status == 1 && plan.contains("100 inconsistencies") && plan.contains("--repair to fix them"), "{plan}");
        let (status, plan) = node.run(&["fsck", "--containers", "--repair"]);
        assert!(status == 1 && plan.contains("--yes repairs without asking"), "{plan}");
        assert!(node.held().is_empty(), "without a yes nothing is written");
        let (status, done) = node.run(&REPAIR);
        assert!(status == 0 && done.contains("100 of 100 repairs done"), "{done}");
        node.knows_the_living();
        let (status, well) = node.run(&["fsck", "--containers"]);
        assert_eq!((status, well.as_str()), (0, "100 containers run here, and the store knows them all\n"));
        assert_eq!(node.fill(), 25);
        ends_well(node);
    }
}

/// Without the rebuilding the very next ADD is a duplicate: what the test above proves is not given anyway.
#[test]
fn without_it_the_next_address_is_somebodys() {
    let node = populated(Node::embedded(&json!({"subnet": SUBNET})), 3);
    node.lose();
    let next = node.try_add("next").unwrap();
    assert!(node.living.values().any(|addresses| addresses.contains(&next)));
}

/// The copy gives addresses to containers that have ended since, and that others have by now.
#[test]
fn a_store_that_was_rolled_back_is_brought_up_to_date() {
    for node in Node::each(&json!({"subnet": SUBNET})) {
        let mut node = populated(node, 100);
        let copy = node.copy();
        (0..40).for_each(|nth| node.del(&format!("c{nth}")));
        let mut reused = 0;
        for nth in 0..60 {
            let number: u8 = node.add(&format!("d{nth}"))[0].rsplit('.').next().unwrap().parse().unwrap();
            reused += usize::from(number < 42);
        }
        assert_eq!(reused, 35, "those of containers that have ended");
        node.roll_back(&copy);
        assert_eq!(node.run(&["fsck"]).0, 0, "the records agree, and are wrong");

        let (status, done) = node.run(&REPAIR);
        // What is left are the claims of the forty that have ended: shown, not released.
        assert!(status == 1 && done.contains("60 of 60 repairs done, 40 left to you"), "{done}");
        node.knows_the_living();
        assert_eq!(node.run(&["fsck"]).0, 0, "{}", node.run(&["fsck"]).1);
        assert_eq!(node.fill(), 0, "five are free, and claimed by containers that ended: until somebody releases them");
        let (_, left) = node.run(&["fsck", "--containers"]);
        assert_eq!(left.matches("but libcni has no result for it").count(), 40, "{left}");
        ends_well(node);
    }
}

#[test]
fn keys_that_were_removed_at_random_are_written_again() {
    for seed in [1_u64, 7, 42] {
        let node = populated(Node::on_etcd(&json!({"subnet": SUBNET})), 100);
        let mut state = seed;
        let mut removed = BTreeSet::new();
        for key in node.etcd.as_ref().unwrap().keys("/kube-ipam/v2/blue/") {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 62 == 0 && !key.contains("/l/") {
                node.etcd.as_ref().unwrap().control(&["del", &key]);
                removed.insert(key);
            }
        }
        assert!(removed.len() > 50, "{}", removed.len());
        let (_, done) = node.run(&REPAIR);
        let (status, records) = node.run(&["fsck", "--repair", "--yes"]);
        assert_eq!(status, 0, "seed {seed}: {done}\n{records}");
        node.knows_the_living();
        assert_eq!(node.fill(), 25, "seed {seed}");
        ends_well(node);
    }
}

/// Somebody has the address of a living container by now: both are named, and neither loses it.
#[test]
fn two_that_share_an_address_are_both_named() {
    for node in Node::each(&json!({"subnet": SUBNET})) {
        let mut node = populated(node, 2);
        node.lose();
        // The newer of the two is a container of this node as well, and libcni knows it.
        let stolen = node.add("thief");
        assert_eq!(stolen, node.living["c0"]);
        let (status, done) = node.run(&REPAIR);
        assert!(status == 1 && done.contains("1 of 1 repairs done, 1 left to you"), "{done}");
        for name in ["pod shop/pod-c0, container c0", "pod shop/pod-thief, container thief", "the two share it"] {
            assert!(done.contains(name), "{name}: {done}");
        }
        assert_eq!(node.held()[&stolen[0]], "thief");
        node.living.remove("c0");
        node.knows_the_living();
    }
}

/// A container that was started again, and whose older sandbox is still in the cache: the younger has the address.
#[test]
fn of_two_sandboxes_of_one_pod_the_younger_has_the_address() {
    let mut node = Node::embedded(&json!({"subnet": SUBNET}));
    let addresses = node.add("old");
    node.lose();
    let result = fs::read_to_string(node.result("old")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(node.result("new"), result.replace(r#""containerId":"old""#, r#""containerId":"new""#)).unwrap();
    let (status, done) = node.run(&REPAIR);
    assert!(status == 0 && done.contains("1 of 1 repairs done"), "{done}");
    assert_eq!(node.held()[&addresses[0]], "new");
}

/// Word for word what the error says.
#[test]
fn the_hint_of_a_damaged_file_leads_to_a_store_that_knows_the_living() {
    let node = populated(Node::embedded(&json!({"subnet": SUBNET})), 20);
    fs::write(node.database(), "not a database").unwrap();
    let answer = kube_ipam_tests::Call::new("ADD", "next", &node.configuration).run();
    let (code, text) = answer.failure();
    let steps =
        ["take the network's file out of /etc/cni/net.d", "move ", "kube-ipam fsck --containers --repair --conf"];
    assert!(code == 5 && steps.iter().all(|step| text.contains(step)) && text.len() <= 700, "{code} {text}");
    fs::rename(node.database(), node.database().with_extension("broken")).unwrap();
    let (status, done) = node.run(&REPAIR);
    assert!(status == 0 && done.contains("20 of 20 repairs done"), "{done}");
    assert_eq!(node.fill(), 105);
    ends_well(node);
}

#[test]
fn the_daemon_set_rebuilds_when_it_is_told_to() {
    for node in Node::each(&json!({"subnet": SUBNET})) {
        let node = populated(node, 10);
        node.lose();
        let install = |more: &[String]| {
            let mut command = Command::new(program());
            command.args(["install-node", "--rebuild-books"]).arg(node.file()).arg("--cache-dir").arg(node.cache());
            let output = command.args(more).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let told = install(&[]);
        assert_eq!(told.matches("(done)").count(), 10, "{told}");
        node.knows_the_living();
        let absent = format!("--rebuild-books={}", node.cache().join("absent.conflist").display());
        assert_eq!(install(&[absent]), "", "a network that is not there yet is passed over");
    }
}

#[test]
fn the_doctor_says_whether_the_store_knows_who_runs() {
    let node = populated(Node::embedded(&json!({"subnet": SUBNET})), 2);
    let check = |node: &Node| {
        let (status, checks) = node.json(&["doctor"]);
        let check = checks.as_array().unwrap().iter().find(|check| check["name"] == "containers").unwrap().clone();
        (status, check["verdict"].clone(), check["detail"].as_str().unwrap().to_owned(), check["hint"].clone())
    };
    let well = (0, json!("good"), "2 containers in libcni's cache, all in the store".to_owned(), json!(null));
    assert_eq!(check(&node), well);
    fs::remove_file(node.result("c1")).unwrap();
    assert_eq!((check(&node).0, check(&node).1), (1, json!("warning")), "a claim too many costs an address");
    node.lose();
    let (status, verdict, detail, hint) = check(&node);
    assert_eq!((status, verdict), (2, json!("bad")));
    assert!(
        detail.contains("does not know 1 of them") && hint.as_str().unwrap().contains("fsck --containers"),
        "{detail}"
    );
}
