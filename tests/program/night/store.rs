//! The store is damaged, or is not the one that it was.

use std::fs;

use kube_ipam_tests::etcd::Setup;
use serde_json::json;

use super::fault;
use super::scene::Scene;

const FILE: &str = "/var/lib/cni/kube-ipam/ipam.mdb";

#[test]
fn the_store_is_damaged() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    let living: Vec<String> = (0..3).map(|nth| scene.add(&format!("c{nth}")).address()).collect();
    fs::write(scene.path(FILE), "not a store any more").unwrap();
    let told = fault("the store is damaged").named(&scene, &scene.add("late"));

    // Word for word: the network's file is taken out, the damaged file is moved away, and the network comes back.
    let (directory, away) = (told.word_after("file out of "), told.word_after("move "));
    assert_eq!((directory.as_str(), away.as_str()), ("/etc/cni/net.d", FILE));
    assert_eq!(scene.type_in(&format!("mv {directory}/10-blue.conf /opt && mv {away} {away}.damaged")).0, Some(0));
    told.type_in(&[("FILE", "/opt/10-blue.conf")]);
    assert_eq!(scene.type_in(&format!("mv /opt/10-blue.conf {directory}")).0, Some(0));
    let next = scene.add("late").address();
    assert!(!living.contains(&next), "{next} is in use by one of {living:?}");
}

#[test]
fn a_record_is_damaged() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({})) else { return };
    scene.add("c1").address();
    etcd.control(&["put", "/kube-ipam/v2/blue/c/c1/eth0", "{\"a"]);
    let told = fault("a record of the store is damaged").named(&scene, &scene.add("c1"));
    told.type_other("kube-ipam fsck --repair --yes", &[]);
    assert_eq!(scene.add("c1").address(), "10.0.0.2/24");
}

#[test]
fn the_store_is_an_older_copy() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    scene.add("c1").address();
    let copy = fs::read(scene.path(FILE)).unwrap();
    let youngest = scene.add("c2").address();
    fs::write(scene.path(FILE), copy).unwrap();
    let told = fault("the store is an older copy").diagnosed(&scene);
    let (_, shown) = told.try_other("kube-ipam fsck --containers", &[]);
    assert!(shown.contains("run again with --repair to fix it"), "{shown}");
    let (status, done) = scene.type_in(&format!("{} --repair", told.command("kube-ipam fsck --containers")));
    assert_eq!(status, Some(0), "{done}");
    assert_ne!(scene.add("c3").address(), youngest);
}
