//! What may happen to etcd. After each fault: no address twice, none lost.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Setup, free_port};
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::wait;
use serde_json::json;

use super::{add, all_at_once, answered, assert_empty, assert_sound, del, release_all};

/// What a busy machine may add to a `timeout` of two seconds.
const SLACK: Duration = Duration::from_secs(10);

#[test]
fn a_member_that_is_gone_is_passed_over() {
    let etcd = Setup::single().start();
    let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let live = etcd.section()["etcdURL"].as_str().unwrap().to_owned();
    network["ipam"]["etcdConfig"]["etcdURL"] = json!(format!("http://127.0.0.1:{},{live}", free_port()));
    // Processes begin with different members.
    let answers: Vec<_> = (0..8).map(|nth| add(&format!("c{nth}"), &network).run()).collect();
    assert_eq!(held(&network), answered(&answers));
    assert_eq!(answers.len(), 8);
    answers.iter().for_each(|answer| drop(answer.success()));
    assert_sound(&network);
}

/// Cut off from the others, a member takes connections and cannot answer: it knows no leader.
#[test]
fn a_member_that_is_cut_off_from_the_others_is_passed_over() {
    let (cluster, live) = (Setup::cluster().start(), Setup::single().start());
    [1, 2].iter().for_each(|nth| cluster.kill(*nth));
    let mut network = live.network(&json!({"subnet": "10.1.0.0/24", "timeout": "20s"}));
    let urls = [&cluster.endpoints()[0], &live.endpoints()[0]].map(String::as_str).join(",");
    network["ipam"]["etcdConfig"]["etcdURL"] = json!(urls);
    // Processes begin with different members.
    let answers = all_at_once((0..8).map(|nth| add(&format!("c{nth}"), &network)));
    answers.iter().for_each(|answer| drop(answer.success()));
    assert_eq!(held(&network), answered(&answers));
    Call::new("STATUS", "", &network).run().success();
    release_all(8, &network);
    assert_empty(&live, "/kube-ipam/");
}

#[test]
fn etcd_that_is_absent_is_told_before_the_deadline() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "2s"}));
    etcd.kill(0);
    for verb in ["ADD", "DEL"] {
        let start = Instant::now();
        let (code, text) = Call::new(verb, "c0", &network).run().failure();
        assert_eq!(code, 11, "{text}");
        assert!(text.contains("Connection refused") && text.contains(&etcd.endpoints()[0]), "{text}");
        assert!(start.elapsed() < SLACK);
    }
    assert_eq!(Call::new("STATUS", "", &network).run().failure().0, 50);
    etcd.launch(0);
    etcd.wait_for(0);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn frozen_etcd_is_given_up_at_the_deadline_and_nothing_is_claimed() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "2s"}));
    etcd.freeze(0);
    let start = Instant::now();
    for answer in all_at_once(
        ["ADD", "DEL", "ADD"].iter().enumerate().map(|(nth, verb)| Call::new(verb, &format!("c{nth}"), &network)),
    ) {
        let (code, text) = answer.failure();
        assert_eq!(code, 11, "{text}");
    }
    assert_eq!(Call::new("STATUS", "", &network).run().failure().0, 50);
    assert!(start.elapsed() < SLACK);
    etcd.thaw(0);
    etcd.wait_for(0);
    assert_empty(&etcd, "/kube-ipam/");
    assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.2"]);
}

#[test]
fn status_answers_soon_however_long_a_call_may_take() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "600s"}));
    (0..3).for_each(|nth| etcd.freeze(nth));
    let (code, text) = Call::new("STATUS", "", &network).run().failure();
    assert_eq!(code, 50, "{text}");
    let endpoints = etcd.endpoints();
    let silent = endpoints.iter().filter(|endpoint| text.contains(&format!("{endpoint}: no answer"))).count();
    assert!(silent < 3, "it waited for every member: {text}");
}

#[test]
fn frozen_amid_a_burst_doubles_nothing_and_a_del_releases_what_is_open() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "4s"}));
    let leader = etcd.leader();
    let children: Vec<_> = (0..48).map(|nth| add(&format!("c{nth}"), &network).start()).collect();
    etcd.freeze(leader);
    let answers: Vec<_> = children.into_iter().map(wait).collect();
    etcd.thaw(leader);
    (0..3).for_each(|nth| etcd.wait_for(nth));
    assert_sound(&network);
    let (given, listed) = (answered(&answers), held(&network));
    for (address, holder) in &given {
        assert_eq!(listed.get(address), Some(holder), "{address} was lost");
    }
    answers.iter().filter(|answer| answer.status != Some(0)).for_each(|answer| assert_eq!(answer.failure().0, 11));
    release_all(48, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn a_frozen_follower_costs_patience_and_no_pod() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    etcd.freeze((etcd.leader() + 1) % 3);
    let answers = all_at_once((0..12).map(|nth| add(&format!("c{nth}"), &network)));
    assert_eq!(answered(&answers).len(), 12, "{answers:?}");
    assert_eq!(held(&network), answered(&answers));
    assert_sound(&network);
}

#[test]
fn allocations_survive_the_death_of_every_member() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let before = answered(&all_at_once((0..20).map(|nth| add(&format!("c{nth}"), &network))));
    assert_eq!(before.len(), 20);
    (0..3).for_each(|nth| etcd.kill(nth));
    (0..3).for_each(|nth| etcd.launch(nth));
    (0..3).for_each(|nth| etcd.wait_for(nth));
    assert_eq!(held(&network), before);
    assert_sound(&network);
    assert_eq!(answered(&all_at_once((0..20).map(|nth| add(&format!("c{nth}"), &network)))), before);
    release_all(20, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn without_a_majority_nothing_is_claimed_and_afterwards_all_goes_on() {
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "2s"}));
    assert_eq!(add("c0", &network).run().addresses(), ["10.1.0.2"]);
    etcd.kill(1);
    assert_eq!(held(&network).len(), 1, "two of three go on");
    etcd.kill(2);
    let start = Instant::now();
    let (code, text) = add("c1", &network).run().failure();
    assert_eq!(code, 11, "{text}");
    assert!(start.elapsed() < SLACK);
    etcd.launch(1);
    (0..2).for_each(|nth| etcd.wait_for(nth));
    assert_eq!(held(&network), BTreeMap::from([("10.1.0.2".to_owned(), "c0".to_owned())]));
    assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.3"]);
    assert_sound(&network);
}

#[test]
fn a_full_etcd_still_releases_and_says_what_to_do() {
    [Setup::single(), Setup::cluster()].into_iter().for_each(full_still_releases);
}

fn full_still_releases(setup: Setup) {
    let etcd = setup.with(&["--quota-backend-bytes", "2000000"]).start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "cooldown": "30s"}));
    add("c1", &network).run().success();
    let junk = "x".repeat(100_000);
    let filled = (0..100).any(|nth| !etcd.ask(&[0], &["put", &format!("/junk/{nth}"), &junk]).status.success());
    assert!(filled, "the quota does not hold");

    let (code, text) = add("c2", &network).run().failure();
    assert_eq!(code, 11, "{text}");
    assert!(text.contains("is full") && text.contains("NOSPACE") && text.contains("defragment"), "{text}");
    let (code, text) = Call::new("STATUS", "", &network).run().failure();
    assert_eq!(code, 50, "{text}");
    assert!(text.contains("NOSPACE"), "{text}");
    assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.2"], "what is held is answered");
    del("c1", &network).run().success();
    assert_eq!(held(&network).len(), 0);

    etcd.control(&["del", "/junk/", "--prefix"]);
    etcd.control(&["compact", &revision(&etcd).to_string()]);
    etcd.control(&["defrag"]);
    etcd.control(&["alarm", "disarm"]);
    assert_eq!(add("c2", &network).run().addresses().len(), 1);
    assert_sound(&network);
}

#[test]
fn a_damaged_record_is_named_and_disturbs_nobody_else() {
    [Setup::single(), Setup::cluster()].into_iter().for_each(a_damaged_record_is_named);
}

fn a_damaged_record_is_named(setup: Setup) {
    let etcd = setup.start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    for container in ["c0", "c1", "c2"] {
        add(container, &network).run().success();
    }
    let (claim, address) = ("/kube-ipam/v2/blue/c/c1/eth0", "/kube-ipam/v2/blue/a/4/0a010003");
    etcd.control(&["put", claim, "{\"attachment\": 5"]);
    for call in [add("c1", &network), del("c1", &network)] {
        let (code, text) = call.run().failure();
        assert_eq!(code, 5, "{text}");
        assert!(text.contains(claim) && text.contains("kube-ipam fsck --repair --yes"), "{text}");
    }
    etcd.control(&["put", address, "nonsense"]);
    let listing = operate(&["list", "-o", "json"], &network);
    assert!(listing.status.success());
    assert_eq!(held(&network).into_values().collect::<Vec<_>>(), ["c0", "c2"]);

    // It stands in nobody's way, and its address is not given away.
    assert_eq!(add("c3", &network).run().addresses(), ["10.1.0.5"]);
    del("c2", &network).run().success();
    let mut fixed = network.clone();
    fixed["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.1.0.3"}});
    let (code, text) = add("c4", &fixed).for_pod("shop", "web-0", "u1").run().failure();
    assert!(code == 5 && text.contains(address), "{code} {text}");
    assert_eq!(held(&network).into_values().collect::<Vec<_>>(), ["c0", "c3"]);
}

#[test]
fn compaction_hurts_nobody() {
    [Setup::single(), Setup::cluster()].into_iter().for_each(compacted_all_the_time);
}

fn compacted_all_the_time(setup: Setup) {
    let etcd = setup.start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/16"}));
    let answers = thread::scope(|scope| {
        let calls = scope.spawn(|| (0..40).map(|nth| add(&format!("c{nth}"), &network).run()).collect::<Vec<_>>());
        while !calls.is_finished() {
            // Far more often, and far closer to the present, than anybody configures it.
            etcd.ask(&[0], &["compact", &revision(&etcd).to_string()]);
        }
        calls.join().unwrap()
    });
    for answer in answers.iter().filter(|answer| answer.status != Some(0)) {
        let (code, text) = answer.failure();
        assert!(code == 11 && text.contains("compacted"), "{code} {text}");
    }
    let given = answered(&answers);
    assert!(given.len() >= 30, "{answers:?}");
    assert_eq!(held(&network), given);
    assert_sound(&network);
}

pub(super) fn revision(etcd: &kube_ipam_tests::etcd::Etcd) -> i64 {
    let answer: serde_json::Value = serde_json::from_str(&etcd.control(&["get", "/", "--write-out", "json"])).unwrap();
    answer["header"]["revision"].as_i64().unwrap()
}
