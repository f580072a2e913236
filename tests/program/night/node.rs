//! The node and what it is called, its neighbours and its clock.

use kube_ipam_tests::etcd::Setup;
use serde_json::json;

use super::fault;
use super::scene::Scene;

#[test]
fn two_networks_have_one_subnet() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    scene.add("c1").address();
    let mut green = scene.network();
    green["name"] = json!("green");
    scene.write("/etc/cni/net.d/20-green.conf", &green);
    let told = fault("two networks have one subnet").named(&scene, &scene.call_in(&green, "ADD", "c2").run());
    assert!(told.hint.contains("the same one in both to share the addresses"), "{}", told.hint);
    // The name of a network is its domain where it has no other.
    scene.edit(|ipam| ipam["domain"] = json!("blue"));
    green["ipam"]["domain"] = json!("blue");
    scene.write("/etc/cni/net.d/20-green.conf", &green);
    assert_eq!(scene.call_in(&green, "ADD", "c2").run().address(), "10.0.0.3/24");
    assert_eq!(scene.add("c3").address(), "10.0.0.4/24");
}

#[test]
fn the_node_has_another_name() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({})) else { return };
    scene.add("c1").address();
    scene.edit(|ipam| ipam["nodeName"] = json!("node-9"));
    let fault = fault("the node has another name than before");
    let name = fault.diagnosed(&scene).word_after("set ipam.nodeName back to ");
    scene.edit(|ipam| ipam["nodeName"] = json!(name));
    assert!(scene.doctor().iter().any(|check| check["name"] == "machine" && check["verdict"] == "good"));
    scene.add("c2").address();
}

/// The node's clock is behind, so that the certificate of a member is not valid yet.
#[test]
fn the_clock_is_off() {
    let etcd = Setup::single().with_certificates().start();
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    etcd.authority().issue_between("server", 2998, 2999);
    let told = fault("the clock is off").named(&scene, &scene.add("c1"));
    assert!(told.type_in(&[]).contains("UTC"));
    // A member reads its certificate again at every connection.
    etcd.authority().issue("server", 2999);
    scene.add("c1").address();
}
