//! Policy `by-topology`: addresses follow the labels of the node.

use kube_ipam_tests::program::module;
use serde_json::{Value, json};

use super::{Site, add, del};

fn by_zone(site: &Site, more: &Value) -> Value {
    let places = json!({"zone-a": ["10.188.0.16/28"], "zone-b": ["10.188.0.32/28"]});
    let mut section = json!({
        "policy": {
            "module": module("by-topology"),
            "settings": {"places": places, "strategy": "lowest"},
            "cacheDir": site.directory().join("cache"),
        },
        "kubernetes": {"include": ["node"]},
    });
    section.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    site.network(&section)
}

fn label(site: &Site, node: &str, zone: &Value) {
    let labels = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
    site.server.patch("nodes", "", node, &labels);
}

fn denied(network: &Value, container: &str, uid: &str, says: &str) {
    let (code, text) = add(network, container, "web-0", uid).failure();
    assert!(code == 104 && text.contains(says), "{code} {text}");
}

#[test]
fn a_pod_gets_an_address_of_its_nodes_zone() {
    let site = Site::new();
    site.server.node("node-2");
    label(&site, "node-1", &json!("zone-a"));
    label(&site, "node-2", &json!("zone-b"));
    let uid = site.pod("web-0").create();
    let here = by_zone(&site, &json!({}));
    let there = by_zone(&site, &json!({"nodeName": "node-2"}));
    assert_eq!(add(&here, "c1", "web-0", &uid).addresses(), ["10.188.0.16"]);
    // Rescheduled to the other zone: the old address is not taken along.
    assert_eq!(add(&there, "c2", "web-0", &uid).addresses(), ["10.188.0.32"]);
    del(&there, "c2");
    // The node is moved: what counts is its label at the time.
    label(&site, "node-1", &json!("zone-b"));
    assert_eq!(add(&here, "c3", "web-0", &uid).addresses(), ["10.188.0.32"]);
}

#[test]
fn an_address_of_another_zone_is_denied_by_name() {
    let site = Site::new();
    label(&site, "node-1", &json!("zone-a"));
    let uid = site.fixed_pod("web-0", "10.188.0.33");
    let text = "node \"node-1\" (topology.kubernetes.io/zone \"zone-a\") may not use 10.188.0.33";
    denied(&by_zone(&site, &json!({})), "c1", &uid, text);
}

#[test]
fn a_node_outside_every_place_is_told_what_is_missing() {
    let site = Site::new();
    let uid = site.pod("web-0").create();
    let network = by_zone(&site, &json!({}));
    denied(&network, "c1", &uid, "node \"node-1\" (no label topology.kubernetes.io/zone) has no addresses");
    label(&site, "node-1", &json!("zone-c"));
    denied(&network, "c1", &uid, "node \"node-1\" (topology.kubernetes.io/zone \"zone-c\") has no addresses");
    let blind = by_zone(&site, &json!({"kubernetes": {"include": []}}));
    denied(&blind, "c1", &uid, "by-topology needs \"kubernetes\": {\"include\": [\"node\"]}");
}
