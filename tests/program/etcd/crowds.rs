//! Many processes at once on a cluster of three.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use kube_ipam_tests::etcd::{Release, Setup};
use kube_ipam_tests::listing::held;
use kube_ipam_tests::program::{module, wait};
use serde_json::{Value, json};

use super::{add, all_at_once, answered, assert_empty, del, release_all};

#[test]
fn sixty_four_processes_race_for_sixty_addresses() {
    for release in Release::all() {
        let etcd = Setup::cluster().of(&release).start();
        let network = etcd.network(&json!({"subnet": "10.1.0.0/26", "rangeEnd": "10.1.0.61"}));
        let answers = all_at_once((0..64).map(|nth| add(&format!("c{nth}"), &network)));
        let given = answered(&answers);
        assert_eq!(given.len(), 60, "every address is used");
        assert_eq!(held(&network), given, "the store agrees with what was answered");
        for loser in answers.iter().filter(|answer| answer.status != Some(0)) {
            let (code, text) = loser.failure();
            assert_eq!(code, 101, "{text}");
            assert!(text.contains("60 of 60"), "{text}");
        }
        release_all(64, &network);
        assert_empty(&etcd, "/kube-ipam/");
    }
}

#[test]
fn a_crowd_of_128_processes_on_one_range_gets_an_address_each() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "60s"}));
    let answers = all_at_once((0..128).map(|nth| add(&format!("c{nth}"), &network)));
    answers.iter().for_each(|answer| drop(answer.success()));
    assert_eq!(held(&network), answered(&answers));
    release_all(128, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn sixty_four_pods_of_one_namespace_race_for_a_quota_of_seventeen() {
    let etcd = Setup::cluster().start();
    let policy = json!({"module": module("quota"), "settings": {"namespaces": {"shop": 17}}});
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "policy": policy, "timeout": "60s"}));
    let pod = |nth: usize| add(&format!("c{nth}"), &network).for_pod("shop", &format!("p{nth}"), &format!("u{nth}"));
    let answers = all_at_once((0..64).map(pod));
    let given = answered(&answers);
    assert_eq!(given.len(), 17, "all that may be had is had, and no more");
    assert_eq!(held(&network), given);
    for loser in answers.iter().filter(|answer| answer.status != Some(0)) {
        let (code, text) = loser.failure();
        assert!(code == 104 && text.contains("holds 17 of the 17 IPv4 addresses"), "{code} {text}");
    }
    release_all(64, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn a_crowd_of_128_processes_gets_sixteen_addresses_each() {
    let etcd = Setup::cluster().start();
    let ranges: Vec<Value> = (0..16).map(|nth| json!([{"subnet": format!("10.{nth}.0.0/16")}])).collect();
    let network = etcd.network(&json!({"ranges": ranges, "timeout": "60s"}));
    let answers = all_at_once((0..128).map(|nth| add(&format!("c{nth}"), &network)));
    for answer in &answers {
        let subnets: BTreeSet<String> =
            answer.addresses().iter().map(|address| address.split('.').nth(1).unwrap().to_owned()).collect();
        assert_eq!(subnets.len(), 16, "one of each range set: {answer:?}");
    }
    let given = answered(&answers);
    assert_eq!(given.len(), 128 * 16);
    assert_eq!(held(&network), given);
    release_all(128, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn one_attachment_asked_for_many_times_at_once_has_one_address() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let answers = all_at_once((0..32).map(|_| add("c0", &network)));
    let distinct: BTreeSet<Vec<String>> = answers.iter().map(kube_ipam_tests::Answer::addresses).collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(held(&network).len(), 1);
    all_at_once((0..32).map(|_| del("c0", &network))).iter().for_each(|answer| drop(answer.success()));
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn processes_killed_at_any_moment_double_nothing_and_a_del_releases_what_they_claimed() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let mut killed = 0;
    let mut answers = Vec::new();
    for nth in 0..150 {
        let mut child = add(&format!("c{nth}"), &network).start();
        if nth % 3 > 0 {
            // An ADD takes some milliseconds: this is before, amid and after its commit.
            thread::sleep(Duration::from_micros(nth * 97 % 9_000));
            child.kill().unwrap();
        }
        let answer = wait(child);
        killed += usize::from(answer.status.is_none());
        answers.push(answer);
    }
    let (given, listed) = (answered(&answers), held(&network));
    assert!(killed > 20 && given.len() >= 50, "{killed} killed, {} answered", given.len());
    for (address, holder) in &given {
        assert_eq!(listed.get(address), Some(holder), "{address} was lost");
    }
    release_all(150, &network);
    assert_empty(&etcd, "/kube-ipam/");
}
