//! The whole program on real etcd: the life of a pod, faults of every kind, users and certificates, and crowds.

mod access;
mod compaction;
mod crowds;
mod faults;
mod garbage;
mod isolation;
mod killed;
mod life;

use std::collections::BTreeMap;

use kube_ipam_tests::etcd::Etcd;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::program::wait;
use kube_ipam_tests::{Answer, Call};
use serde_json::Value;

fn add(container: &str, network: &Value) -> Call {
    Call::new("ADD", container, network)
}

fn del(container: &str, network: &Value) -> Call {
    Call::new("DEL", container, network)
}

fn all_at_once(calls: impl Iterator<Item = Call>) -> Vec<Answer> {
    let children: Vec<_> = calls.map(|call| call.start()).collect();
    children.into_iter().map(wait).collect()
}

/// DEL of `c0`, `c1`, …, all of which have to succeed.
fn release_all(count: usize, network: &Value) {
    for answer in all_at_once((0..count).map(|nth| del(&format!("c{nth}"), network))) {
        answer.success();
    }
}

/// What `c0`, `c1`, … were answered, by address; no address twice.
fn answered(answers: &[Answer]) -> BTreeMap<String, String> {
    let mut held = BTreeMap::new();
    for (nth, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status == Some(0)) {
        for address in answer.addresses() {
            let other = held.insert(address.clone(), format!("c{nth}"));
            assert_eq!(other, None, "{address} was given to c{nth}, too");
        }
    }
    held
}

/// All records are consistent.
fn assert_sound(network: &Value) {
    let output = operate(&["fsck"], network);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Nothing is left but the cursors, which say where to go on, and where each network has its books.
fn assert_empty(etcd: &Etcd, prefix: &str) {
    let keys = etcd.keys(prefix);
    let stays = |key: &String| key.contains("/l/") || key.contains("/networks/");
    assert!(keys.iter().all(stays), "left behind: {keys:?}");
}
