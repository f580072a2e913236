//! Nothing is free.

use std::fs;
use std::time::{Duration, SystemTime};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::Setup;
use serde_json::json;

use super::etcd::make_older;
use super::scene::Scene;
use super::{commands_in, fault};

/// Five addresses.
const SMALL: &str = "10.0.0.0/29";

/// A node's account may not list pods, so that the first command leads to a second one.
#[test]
fn a_range_full_of_pods_that_are_gone() {
    let (etcd, server) = (Setup::single().start(), ApiServer::double());
    let account = |name: &str, rules| server.kubeconfig(&server.user(name, rules)).display().to_string();
    let node = [Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] }];
    let reclaim = [
        Rule { verbs: &["list"], resources: &["pods", "nodes"] },
        Rule { verbs: &["get"], resources: &["namespaces"] },
    ];
    let ipam = json!({"subnet": SMALL, "kubeConfig": account("node", &node)});
    let Some(scene) = Scene::on(&etcd, &ipam) else { return };
    // The machine has been running for longer than the claims exist.
    boot_at(&scene, 1_500_000_000);
    server.node("node-1");
    for nth in 0..5 {
        let (pod, container) = (format!("web-{nth}"), format!("c{nth}"));
        let uid = server.pod("shop", &pod).on("node-1").phase("Running").create();
        scene.add_pod(&container, &pod, &uid).success();
        server.delete_pod("shop", &pod);
    }
    make_older(&etcd);
    let uid = server.pod("shop", "late").on("node-1").phase("Running").create();
    let told = fault("a range is full of pods that are gone").named(&scene, &scene.add_pod("late", "late", &uid));

    let (status, refused) = told.try_other("kube-ipam reclaim", &[]);
    assert_eq!(status, Some(1), "{refused}");
    for words in
        ["a node's account may not list pods", "`kubectl kube-ipam reclaim --network blue`", "--kubeconfig FILE"]
    {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let command =
        format!("{} --kubeconfig {} --pause 0s", told.command("kube-ipam reclaim"), account("reclaim", &reclaim));
    let (status, done) = scene.type_in(&command);
    assert!(status == Some(0) && done.contains("5 of 5 claims released"), "{done}");
    scene.add_pod("late", "late", &uid).address();
}

#[test]
fn one_of_two_range_sets_is_full() {
    let ipam = json!({"subnet": null, "ranges": [[{"subnet": SMALL}], [{"subnet": "fd00::/64"}]]});
    let Some(scene) = Scene::new(&ipam) else { return };
    for nth in 0..5 {
        scene.add(&format!("c{nth}")).success();
    }
    let told = fault("one of two range sets is full").named(&scene, &scene.add("late"));
    assert!(!told.hint.contains("range set 1"), "the other one is not the reason: {}", told.hint);
    scene.edit(|ipam| ipam["ranges"][0].as_array_mut().unwrap().push(json!({"subnet": "10.0.1.0/29"})));
    assert_eq!(scene.add("late").addresses()[0], "10.0.1.2");
}

#[test]
fn cool_downs_fill_a_range() {
    let Some(scene) = Scene::new(&json!({"subnet": SMALL, "cooldown": "1h"})) else { return };
    for nth in 0..5 {
        scene.add(&format!("c{nth}")).success();
        scene.del(&format!("c{nth}"));
    }
    let told = fault("cool-downs fill a range").named(&scene, &scene.add("late"));
    let listed = told.type_other("kube-ipam list", &[]);
    assert!(listed.contains("10.0.0.4") && listed.contains("cool-down"), "{listed}");
    told.type_in(&[("ADDRESS", "10.0.0.4")]);
    assert_eq!(scene.add("late").address(), "10.0.0.4/29");
}

#[test]
fn leaks_fill_a_range_after_a_reboot() {
    let Some(scene) = Scene::new(&json!({"subnet": SMALL})) else { return };
    for nth in 0..5 {
        scene.add(&format!("c{nth}")).success();
    }
    let booted = SystemTime::now() + Duration::from_secs(2);
    let seconds = booted.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    boot_at(&scene, seconds);
    let told = fault("leaks fill a range after a reboot").named(&scene, &scene.add("late"));
    // What is found is left to the operator, so that the status is 1.
    let (_, found) = told.try_other("kube-ipam fsck --containers", &[]);
    let commands = commands_in(&found);
    assert_eq!(commands.len(), 5, "{found}");
    for command in commands {
        let (status, done) = scene.type_in(&command);
        assert_eq!(status, Some(0), "{command}: {done}");
    }
    assert_eq!(scene.add("late").address(), "10.0.0.2/29");
}

/// Let the node say that it was started then.
fn boot_at(scene: &Scene, seconds: u64) {
    fs::write(scene.path("opt/stat"), format!("cpu 1\nbtime {seconds}\n")).unwrap();
    assert_eq!(scene.type_in("mount --bind /opt/stat /proc/stat").0, Some(0));
}
