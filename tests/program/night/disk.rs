//! The node's disk, and who may write to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::access::with_users;
use super::fault;
use super::scene::Scene;

const DATA: &str = "/var/lib/cni/kube-ipam";

#[test]
fn the_disk_is_read_only() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    scene.add("c1").address();
    let remount = |how: &str| {
        let (status, told) = scene.type_in(&format!("mount -o remount,bind,{how} {DATA}"));
        assert_eq!(status, Some(0), "{told}");
    };
    assert_eq!(scene.type_in(&format!("mount --bind {DATA} {DATA}")).0, Some(0));
    remount("ro");
    let told = fault("the disk is read-only").named(&scene, &scene.add("c2"));
    let mounted = told.type_in(&[]);
    assert!(mounted.contains(DATA) && mounted.contains("ro,"), "{mounted}");
    remount("rw");
    scene.add("c2").address();
}

#[test]
fn the_disk_is_full() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    let (status, told) = scene.type_in(&format!("mkdir {DATA} && mount -t tmpfs -o size=1m,mode=700 none {DATA}"));
    assert_eq!(status, Some(0), "{told}");
    scene.add("c1").address();
    scene.type_in(&format!("head -c 2M /dev/zero >{DATA}/filler"));
    // Its file has room inside for a while.
    let mut refused = None;
    for nth in 2..250 {
        let answer = scene.add(&format!("c{nth}"));
        if answer.status != Some(0) {
            refused = Some((nth, answer));
            break;
        }
    }
    let (nth, answer) = refused.expect("the disk is full");
    let told = fault("the disk is full").named(&scene, &answer);
    let shown = told.type_in(&[]);
    assert!(shown.contains("100%"), "{shown}");
    assert_eq!(scene.type_in(&format!("rm {DATA}/filler")).0, Some(0));
    scene.add(&format!("c{nth}")).address();
}

#[test]
fn others_may_write_what_only_root_should() {
    let Some(scene) = Scene::new(&json!({})) else { return };
    scene.add("c1").address();
    fs::set_permissions(scene.path(DATA), fs::Permissions::from_mode(0o777)).unwrap();
    fault("others may write what only root should").diagnosed(&scene).type_in(&[]);
    assert!(scene.doctor().iter().any(|check| check["name"] == "permissions" && check["verdict"] == "good"));
    scene.add("c2").address();
}

#[test]
fn others_may_read_the_password() {
    let (etcd, ipam) = with_users("readwrite");
    let Some(scene) = Scene::on(&etcd, &ipam) else { return };
    fs::set_permissions(etcd.directory().join("password"), fs::Permissions::from_mode(0o644)).unwrap();
    fault("others may read the password").diagnosed(&scene).type_in(&[]);
    assert!(scene.doctor().iter().any(|check| check["name"] == "permissions" && check["verdict"] == "good"));
    scene.add("c1").address();
}
