//! Certificates, users and passwords.

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::{add, del};

#[test]
fn a_bad_certificate_is_named_with_its_file_and_date() {
    let etcd = Setup::single().with_certificates().start();
    etcd.authority().issue("expired", 2020);
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    for (name, says) in [("expired.pem", "it expired on 2020-05-06"), ("none.pem", "No such file")] {
        let mut wrong = network.clone();
        wrong["ipam"]["etcdConfig"]["etcdCertFile"] = json!(etcd.authority().path(name));
        for call in [add("c1", &wrong), del("c1", &wrong)] {
            let (code, text) = call.run().failure();
            assert_eq!(code, 7, "{text}");
            assert!(text.contains("etcdCertFile") && text.contains(name) && text.contains(says), "{text}");
        }
    }
    // Renewed in place, it serves: nothing remembers the old one.
    let mut renewed = network.clone();
    renewed["ipam"]["etcdConfig"]["etcdCertFile"] = json!(etcd.authority().path("expired.pem"));
    renewed["ipam"]["etcdConfig"]["etcdKeyFile"] = json!(etcd.authority().path("expired.key"));
    etcd.authority().issue("expired", 2999);
    assert_eq!(add("c1", &renewed).run().addresses(), ["10.1.0.2"]);
}

#[test]
fn without_a_certificate_etcd_does_not_answer() {
    let etcd = Setup::single().with_certificates().start();
    let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "2s"}));
    let section = network["ipam"]["etcdConfig"].as_object_mut().unwrap();
    section.remove("etcdCertFile");
    section.remove("etcdKeyFile");
    let (code, text) = add("c1", &network).run().failure();
    assert_eq!(code, 11, "{text}");
    assert!(text.contains(&etcd.endpoints()[0]) && text.contains("certificate"), "{text}");
}

#[test]
fn a_user_sees_its_prefix_and_a_wrong_password_is_told_as_such() {
    let etcd = Setup::single().with(&["--bcrypt-cost", "4"]).start();
    for command in [
        "user add root:secret",
        "user grant-role root root",
        "role add ipam",
        "role grant-permission ipam readwrite /kube-ipam/ --prefix",
        "user add ipam:word",
        "user grant-role ipam ipam",
        "auth enable",
    ] {
        etcd.control(&command.split(' ').collect::<Vec<_>>());
    }
    let file = etcd.directory().join("password");
    let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    network["ipam"]["etcdConfig"]["etcdUsername"] = json!("ipam");
    network["ipam"]["etcdConfig"]["etcdPasswordFile"] = json!(file);

    let (code, text) = add("c1", &network).run().failure();
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("etcdPasswordFile") && text.contains("password"), "{text}");
    std::fs::write(&file, "mistaken\n").unwrap();
    let (code, text) = add("c1", &network).run().failure();
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("authentication failed") && !text.contains("mistaken"), "{text}");

    std::fs::write(&file, "word\n").unwrap();
    assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.2"]);
    assert_eq!(held(&network).len(), 1);
    let mut elsewhere = network.clone();
    elsewhere["ipam"]["etcdConfig"]["etcdPrefix"] = json!("/other");
    let (code, text) = add("c1", &elsewhere).run().failure();
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("permission denied") && text.contains("etcdPrefix"), "{text}");
    del("c1", &network).run().success();
    assert_eq!(held(&network).len(), 0);
}

/// The network as this user sees it.
fn network_of(etcd: &Etcd, user: &str) -> Value {
    let file = etcd.directory().join("word");
    std::fs::write(&file, "word\n").unwrap();
    let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    network["ipam"]["etcdConfig"]["etcdUsername"] = json!(user);
    network["ipam"]["etcdConfig"]["etcdPasswordFile"] = json!(file);
    network
}

/// Exit status and what the doctor prints.
fn doctor(network: &Value) -> (Option<i32>, String) {
    let output = operate(&["doctor"], network);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_doctor_tries_what_an_add_does_and_leaves_nothing() {
    let etcd = Setup::single().with(&["--bcrypt-cost", "4"]).start();
    for command in [
        "user add root:secret",
        "user grant-role root root",
        "role add writer",
        "role grant-permission writer readwrite /kube-ipam/ --prefix",
        "role add reader",
        "role grant-permission reader read /kube-ipam/ --prefix",
        "role grant-permission reader read /etcd-cni/ --prefix",
        "role add half",
        "role grant-permission half read /kube-ipam/ --prefix",
        "role grant-permission half write /kube-ipam/v2/blue/a/ --prefix",
        "user add writer:word",
        "user grant-role writer writer",
        "user add reader:word",
        "user grant-role reader reader",
        "user add half:word",
        "user grant-role half half",
        "auth enable",
    ] {
        etcd.control(&command.split(' ').collect::<Vec<_>>());
    }
    for user in ["reader", "half"] {
        let network = network_of(&etcd, user);
        let (code, text) = doctor(&network);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("✗ store") && text.contains("refused to write: etcdserver: permission denied"), "{text}");
        assert!(text.contains("the role must allow reading and writing under etcdPrefix"), "{text}");
        assert_eq!(add("c1", &network).run().failure().0, 11, "and so an ADD finds");
    }
    let network = network_of(&etcd, "writer");
    let (code, text) = doctor(&network);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("✓ store") && text.contains("; an ADD could write"), "{text}");
    assert!(text.contains("! predecessor    etcd does not let this user read /etcd-cni/networks/blue/used/"), "{text}");
    assert!(
        text.contains("cannot tell whether some are still in use") && text.contains("if kube-ipam 0.x never ran here"),
        "{text}"
    );
    assert!(!text.contains("the role must allow"), "{text}");
    let keys = etcd.control(&["--user", "root:secret", "get", "--prefix", "--keys-only", "/"]);
    assert_eq!(keys, "", "nothing is left behind");
    assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.2"]);
}
