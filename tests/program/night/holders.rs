//! The one address that a pod wants.

use std::fs;

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::guest::Guest;
use serde_json::{Value, json};

use super::etcd::make_older;
use super::fault;
use super::scene::Scene;

const ADDRESS: &str = "10.0.0.9";
const WANTED: (&str, &str) = ("kube-ipam.ip", ADDRESS);

const NODE: [Rule; 2] = [
    Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] },
    Rule { verbs: &["get"], resources: &["replicasets"] },
];

/// A cluster in which a pod `old` has the address on this node, and the uid of a pod `new` that wants it.
fn cluster(node: &str) -> Option<(ApiServer, Scene, String)> {
    let server = ApiServer::double();
    server.node("node-1");
    server.node("node-2");
    let kubeconfig = server.kubeconfig(&server.user("node", &NODE));
    let scene = Scene::new(&json!({"kubeConfig": kubeconfig, "handOverWait": "0s", "nodeName": node}))?;
    let wants = |name: &str, node: &str| {
        server.pod("shop", name).on(node).phase("Running").annotated(WANTED.0, WANTED.1).create()
    };
    let (old, new) = (wants("old", node), wants("new", "node-1"));
    assert_eq!(scene.add_pod("c-old", "old", &old).addresses(), [ADDRESS]);
    scene.edit(|ipam| ipam["nodeName"] = json!("node-1"));
    Some((server, scene, new))
}

#[test]
fn a_fixed_address_of_a_living_pod() {
    let Some((server, scene, new)) = cluster("node-1") else { return };
    let told = fault("a fixed address is held by a living pod").named(&scene, &scene.add_pod("c-new", "new", &new));
    assert!(told.hint.starts_with("that pod still exists; "), "{}", told.hint);
    server.delete_pod("shop", "old");
    assert_eq!(scene.add_pod("c-new", "new", &new).addresses(), [ADDRESS]);
}

#[test]
fn a_fixed_address_of_a_dead_pod() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({})) else { return };
    let mut network = scene.network();
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {WANTED.0: WANTED.1}});
    scene.call_in(&network, "ADD", "c-old").for_pod("shop", "old", "u1").run().success();
    make_older(&etcd);
    let told = fault("a fixed address is held by a dead pod").named(&scene, &scene.add_annotated("new", WANTED));
    told.type_in(&[]);
    assert_eq!(scene.add_annotated("new", WANTED).addresses(), [ADDRESS]);
}

#[test]
fn a_fixed_address_of_a_pod_of_a_lost_node() {
    let Some((server, scene, new)) = cluster("node-2") else { return };
    server.terminate_pod("shop", "old");
    let told =
        fault("a fixed address is held by a pod of a lost node").named(&scene, &scene.add_pod("c-new", "new", &new));
    taint(&server, &told.command("kubectl taint node"));
    assert_eq!(scene.add_pod("c-new", "new", &new).addresses(), [ADDRESS]);
}

/// What kubectl makes of `kubectl taint node NAME KEY=VALUE:EFFECT`: the double takes no writes of clients.
fn taint(server: &ApiServer, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let [_, _, _, node, taint] = words[..] else { panic!("{command}") };
    let (key, rest) = taint.split_once('=').unwrap();
    let (value, effect) = rest.split_once(':').unwrap();
    let taints: Value = json!([{"key": key, "value": value, "effect": effect}]);
    server.patch("nodes", "", node, &json!({"spec": {"taints": taints}}));
}

/// Proposes 10.0.0.9, and keeps it for `web-0` for ninety days.
const STICKY: &str = "(data (i32.const 4096) \"web-0\")
(func (export \"allocator#allocate\") (param i32) (result i32)
  (i32.store8 (i32.const 2128) (i32.const 1))
  (i32.store (i32.const 2136) (i32.const 4096))
  (i32.store (i32.const 2140) (i32.const 5))
  (i64.store (i32.const 2144) (i64.const 7776000))
  (i32.const 2048))";

#[test]
fn a_fixed_address_that_is_on_hold() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    // The policy of a while ago.
    fs::write(scene.path("opt/sticky.wasm"), Guest::of("sticky", STICKY).module()).unwrap();
    scene.edit(|ipam| ipam["policy"] = json!({"module": "/opt/sticky.wasm"}));
    assert_eq!(scene.add("c1").addresses(), [ADDRESS]);
    scene.del("c1");
    scene.edit(|ipam| drop(ipam.as_object_mut().unwrap().remove("policy")));
    let told = fault("a fixed address is on hold").named(&scene, &scene.add_annotated("new", WANTED));
    told.type_in(&[]);
    assert_eq!(scene.add_annotated("new", WANTED).addresses(), [ADDRESS]);
}
