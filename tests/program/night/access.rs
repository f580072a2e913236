//! etcd and whom it lets in.

use std::fs;

use kube_ipam_tests::authority::Authority;
use kube_ipam_tests::etcd::{Etcd, Setup};
use serde_json::{Value, json};

use super::scene::Scene;
use super::{fault, word_after};

/// An authority that nobody else knows.
fn stranger(etcd: &Etcd) -> Authority {
    let directory = etcd.directory().join("stranger");
    fs::create_dir_all(&directory).unwrap();
    Authority::new(&directory)
}

#[test]
fn etcd_is_of_another_authority() {
    let etcd = Setup::single().with_certificates().start();
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    let right = etcd.section()["etcdTrustedCAFileFile"].clone();
    scene.edit(|ipam| ipam["etcdConfig"]["etcdTrustedCAFileFile"] = json!(stranger(&etcd).certificate()));
    fault("etcd's certificate is of another authority").named(&scene, &scene.add("c1"));
    scene.edit(|ipam| ipam["etcdConfig"]["etcdTrustedCAFileFile"] = right);
    scene.add("c1").address();
}

#[test]
fn the_client_certificate_has_expired() {
    let etcd = Setup::single().with_certificates().start();
    etcd.authority().issue("client", 2020);
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    let told = fault("the client certificate has expired").named(&scene, &scene.add("c1"));
    assert_eq!(word_after(&told.message, "etcdCertFile "), etcd.authority().path("client.pem").display().to_string());
    etcd.authority().issue("client", 2999);
    scene.add("c1").address();
}

#[test]
fn the_client_certificate_is_of_another_authority() {
    let etcd = Setup::single().with_certificates().start();
    let stranger = stranger(&etcd);
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    let right = etcd.section();
    scene.edit(|ipam| {
        ipam["etcdConfig"]["etcdCertFile"] = json!(stranger.path("client.pem"));
        ipam["etcdConfig"]["etcdKeyFile"] = json!(stranger.path("client.key"));
    });
    fault("the client certificate is of another authority").named(&scene, &scene.add("c1"));
    scene.edit(|ipam| ipam["etcdConfig"] = right);
    scene.add("c1").address();
}

/// An etcd that tells its users apart, and a network in the name of the user `ipam`.
pub(super) fn with_users(role: &str) -> (Etcd, Value) {
    let etcd = Setup::single().with(&["--bcrypt-cost", "4"]).start();
    let grant = format!("role grant-permission ipam {role} /kube-ipam/ --prefix");
    for command in [
        "user add root:secret",
        "user grant-role root root",
        "role add ipam",
        grant.as_str(),
        "user add ipam:word",
        "user grant-role ipam ipam",
        "auth enable",
    ] {
        etcd.control(&command.split(' ').collect::<Vec<_>>());
    }
    let file = etcd.directory().join("password");
    fs::write(&file, "word\n").unwrap();
    let mut section = etcd.section();
    section["etcdUsername"] = json!("ipam");
    section["etcdPasswordFile"] = json!(file);
    (etcd, json!({"etcdConfig": section}))
}

#[test]
fn the_password_is_wrong() {
    let (etcd, ipam) = with_users("readwrite");
    let Some(scene) = Scene::on(&etcd, &ipam) else { return };
    let file = etcd.directory().join("password");
    fs::write(&file, "mistaken\n").unwrap();
    fault("the password of etcd's user is wrong").named(&scene, &scene.add("c1"));
    fs::write(&file, "word\n").unwrap();
    scene.add("c1").address();
}

#[test]
fn the_role_may_only_read() {
    let (etcd, ipam) = with_users("read");
    let Some(scene) = Scene::on(&etcd, &ipam) else { return };
    let scene = scene.set("ETCDCTL_USER", "root:secret");
    let told = fault("the role of etcd's user may only read").named(&scene, &scene.add("c1"));
    told.type_in(&[("ROLE", "ipam"), ("PREFIX", "/kube-ipam")]);
    scene.add("c1").address();
}
