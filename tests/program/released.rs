//! A store as each released version wrote it: this program reads it, repeats what it holds, and releases it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::module;
use serde_json::{Value, json};

/// Where each version has its own.
fn released() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("released")
}

/// A dynamic address, one by annotation, one with a hold after its release, one of a list with slots, and a reservation.
fn fill(network: &Value) {
    Call::new("ADD", "dynamic", network).run().success();
    Call::new("ADD", "gone", network).for_pod("shop", "db-0", "uid-0").run().success();
    Call::new("DEL", "gone", network).run().success();
    let mut fixed = network.clone();
    fixed["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.0.0.77"}});
    Call::new("ADD", "fixed", &fixed).for_pod("shop", "web-0", "uid-1").run().success();
    let mut quota = network.clone();
    quota["ipam"]["policy"] = json!({"module": module("quota"), "settings": {"namespaces": {"lab": 2}}});
    Call::new("ADD", "limited", &quota).for_pod("lab", "job-1", "uid-2").run().success();
    let reserved = operate(&["reserve", "10.0.0.9", "--reason", "a printer", "--by", "tests", "--yes"], network);
    assert!(reserved.status.success(), "{reserved:?}");
}

fn ipam() -> Value {
    json!({"subnet": "10.0.0.0/24", "cooldown": "24h", "timeout": "60s", "nodeName": "node-1", "type": "kube-ipam"})
}

fn with_etcd(etcd: &Etcd) -> Value {
    let mut network = etcd.network(&ipam());
    network["ipam"]["nodeName"] = json!("node-1");
    network
}

/// Write what this version leaves in either store. Once it is released, it is never written again.
#[test]
#[ignore = "done once for each release, see tests/released/README.md"]
fn keep_the_store_of_this_version() {
    let directory = released().join(env!("CARGO_PKG_VERSION")).join("store");
    fs::create_dir_all(&directory).unwrap();
    let (node, etcd) = (Node::new(), Setup::single().start());
    let mut embedded = node.network(json!({}));
    embedded["ipam"].as_object_mut().unwrap().extend(ipam().as_object().unwrap().clone());
    let shared = with_etcd(&etcd);
    fill(&embedded);
    fill(&shared);
    assert_eq!(held(&embedded), held(&shared));
    fs::copy(node.path("data/ipam.mdb"), directory.join("ipam.mdb")).unwrap();
    let mut entries = BTreeMap::new();
    for key in etcd.keys("/kube-ipam/") {
        let value = etcd.control(&["get", &key, "--print-value-only"]);
        entries.insert(key, value.trim_end_matches('\n').to_owned());
    }
    let expected = json!({"ipam": ipam(), "held": held(&shared), "reserved": "10.0.0.9", "etcd": entries});
    fs::write(directory.join("store.json"), serde_json::to_string_pretty(&expected).unwrap() + "\n").unwrap();
}

#[test]
fn a_store_of_every_released_version_is_read() {
    let mut versions = 0;
    for version in fs::read_dir(released()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let kept = version.join("store");
        let expected: Value = serde_json::from_slice(&fs::read(kept.join("store.json")).unwrap()).unwrap();
        let node = Node::new();
        fs::create_dir(node.path("data")).unwrap();
        fs::copy(kept.join("ipam.mdb"), node.path("data/ipam.mdb")).unwrap();
        let mut network = node.network(json!({}));
        network["ipam"].as_object_mut().unwrap().extend(expected["ipam"].as_object().unwrap().clone());
        lives_on(&network, &expected);

        let etcd = Setup::single().start();
        for (key, value) in expected["etcd"].as_object().unwrap() {
            etcd.control(&["put", "--", key, value.as_str().unwrap()]);
        }
        let mut network = with_etcd(&etcd);
        network["ipam"].as_object_mut().unwrap().extend(expected["ipam"].as_object().unwrap().clone());
        lives_on(&network, &expected);
        versions += 1;
    }
    assert!(versions > 0);
}

fn lives_on(network: &Value, expected: &Value) {
    let is_sound = || assert!(operate(&["fsck"], network).status.success(), "{:?}", operate(&["fsck"], network));
    let standing: BTreeMap<String, String> = serde_json::from_value(expected["held"].clone()).unwrap();
    assert_eq!(held(network), standing);
    is_sound();
    for (address, container) in &standing {
        assert_eq!(Call::new("ADD", container, network).run().addresses(), [address.as_str()], "{container}");
    }
    let mut fixed = network.clone();
    let reserved = expected["reserved"].as_str().unwrap();
    fixed["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": reserved}});
    let (code, text) = Call::new("ADD", "wants", &fixed).for_pod("shop", "p", "u").run().failure();
    assert!(code == 102 && text.contains("a printer"), "{code} {text}");
    let new = Call::new("ADD", "new", network).run().addresses().remove(0);
    assert!(!standing.contains_key(&new), "{new} is held");
    for container in standing.values().chain([&"new".to_owned()]) {
        Call::new("DEL", container, network).run().success();
    }
    assert_eq!(held(network), BTreeMap::new());
    is_sound();
}
