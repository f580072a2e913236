//! etcd itself.

use kube_ipam_tests::etcd::{Etcd, Setup};
use serde_json::{Value, json};

use super::fault;
use super::scene::Scene;

/// Let every claim be of a day long gone: what is released by hand or by `reclaim` may not be of an ADD that still runs.
pub(super) fn make_older(etcd: &Etcd) {
    let printed = etcd.control(&["get", "--prefix", "/kube-ipam/v2/"]);
    let lines: Vec<&str> = printed.lines().collect();
    for pair in lines.chunks(2) {
        let Ok(mut record) = serde_json::from_str::<Value>(pair[1]) else { continue };
        if record["t"].is_string() {
            record["t"] = json!("2020-01-01T00:00:00Z");
            etcd.control(&["put", pair[0], &record.to_string()]);
        }
    }
}

#[test]
fn etcd_is_down() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    etcd.kill(0);
    let told = fault("etcd is down").named(&scene, &scene.add("c1"));
    assert!(told.message.contains(&etcd.endpoints()[0]), "{}", told.message);
    etcd.launch(0);
    etcd.wait_for(0);
    scene.add("c1").address();
}

#[test]
fn etcd_is_frozen() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    etcd.freeze(0);
    let fault = fault("etcd is frozen");
    let told = fault.named(&scene, &scene.add("c1"));
    assert!(told.command("kube-ipam doctor").ends_with("--network blue"));
    let found = fault.said_by(&scene, "store");
    assert!(found.message.contains(&etcd.endpoints()[0]) && found.message.contains("no answer"), "{}", found.message);
    assert!(found.hint.contains("check that the etcd members are up"), "{}", found.hint);
    etcd.thaw(0);
    etcd.wait_for(0);
    scene.add("c1").address();
}

#[test]
fn etcd_has_used_up_its_quota() {
    let etcd = Setup::single().with(&["--quota-backend-bytes", "2000000"]).start();
    let Some(scene) = Scene::on(&etcd, &json!({})) else { return };
    // One key that is written again and again: what fills the disk is history.
    let value = "x".repeat(100_000);
    assert!((0..100).any(|_| !etcd.ask(&[0], &["put", "/filler", &value]).status.success()), "the quota does not hold");
    let told = fault("etcd has used up its quota").named(&scene, &scene.add("c1"));
    let status: Value = serde_json::from_str(&etcd.control(&["get", "/", "--write-out", "json"])).unwrap();
    told.type_in(&[("REVISION", &status["header"]["revision"].to_string())]);
    told.type_other("etcdctl defrag", &[]);
    told.type_other("etcdctl alarm disarm", &[]);
    scene.add("c1").address();
}

#[test]
fn etcd_has_no_quorum() {
    let etcd = Setup::cluster().start();
    let Some(scene) = Scene::on(&etcd, &json!({"timeout": "2s"})) else { return };
    [1, 2].iter().for_each(|nth| etcd.kill(*nth));
    assert_eq!(scene.add("c1").failure().0, 11);
    fault("etcd has no quorum").diagnosed(&scene);
    [1, 2].iter().for_each(|nth| etcd.launch(*nth));
    (0..3).for_each(|nth| etcd.wait_for(nth));
    scene.add("c1").address();
}

#[test]
fn keys_of_the_predecessor_are_left() {
    let etcd = Setup::single().start();
    let Some(scene) = Scene::on(&etcd, &json!({})) else { return };
    etcd.control(&["put", "/etcd-cni/networks/blue/used/10.0.0.2", "c0"]);
    let told = fault("keys of kube-ipam 0.x are left").diagnosed(&scene);
    let imported = told.type_in(&[]);
    assert!(imported.contains("10.0.0.2"), "{imported}");
    assert_eq!(scene.add("c1").address(), "10.0.0.3/24", "what the predecessor gave out is not given out again");
}
