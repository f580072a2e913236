//! Many processes at once on one embedded store: no duplicate, no loss, exact exhaustion.

use std::collections::BTreeSet;
use std::path::Path;

use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::{module, network, wait};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};

use super::alone;

fn all_at_once(calls: impl Iterator<Item = Call>) -> Vec<Answer> {
    let children: Vec<_> = calls.map(|call| call.start()).collect();
    children.into_iter().map(wait).collect()
}

fn listed(configuration: &Value) -> BTreeSet<String> {
    held(configuration).into_keys().collect()
}

/// All records are consistent.
fn assert_sound(configuration: &Value) {
    let output = operate(&["fsck"], configuration);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn eighty_processes_race_for_sixty_addresses() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    // .2 to .61: sixty addresses
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/26", "rangeEnd": "10.1.0.61"}));
    let answers = all_at_once((0..80).map(|n| Call::new("ADD", &format!("c{n}"), &configuration)));

    let (winners, losers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == Some(0));
    let addresses: Vec<String> = winners.iter().flat_map(Answer::addresses).collect();
    let distinct: BTreeSet<String> = addresses.iter().cloned().collect();
    assert_eq!(addresses.len(), 60, "every address is used");
    assert_eq!(distinct.len(), 60, "no address twice: {addresses:?}");
    assert_eq!(listed(&configuration), distinct, "the store agrees with what was answered");
    for loser in losers {
        let (code, text) = loser.failure();
        assert_eq!(code, 101, "{text}");
        assert!(text.starts_with("network \"blue\" has no free address") && text.contains("60 of 60"), "{text}");
    }

    for answer in all_at_once((0..80).map(|n| Call::new("DEL", &format!("c{n}"), &configuration))) {
        answer.success();
    }
    assert!(listed(&configuration).is_empty());
}

#[test]
fn one_attachment_asked_for_twice_at_once_has_one_address() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    let answers = all_at_once((0..16).map(|_| Call::new("ADD", "c1", &configuration)));
    let distinct: BTreeSet<Vec<String>> = answers.iter().map(Answer::addresses).collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(listed(&configuration).len(), 1);
}

#[test]
fn forty_pods_want_one_fixed_address_and_one_gets_it() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let mut configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.1.0.216"}});
    let call = |n: usize| {
        Call::new("ADD", &format!("c{n}"), &configuration).for_pod("shop", &format!("p{n}"), &format!("u{n}"))
    };
    let answers = all_at_once((0..40).map(call));
    let winners = answers.iter().filter(|answer| answer.status == Some(0)).count();
    assert_eq!(winners, 1);
    for answer in answers.iter().filter(|answer| answer.status != Some(0)) {
        let (code, text) = answer.failure();
        assert_eq!(code, 102, "{text}");
        assert!(text.contains("10.1.0.216") && text.contains("shop/p"), "{text}");
    }
}

/// Every slot is taken, and none twice: as exact as the addresses themselves.
#[test]
fn sixty_pods_of_one_namespace_race_for_a_quota_of_seventeen() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let configuration = with_quota(directory.path(), 17);
    let add = |namespace: &str, n: usize| {
        let (container, name) = (format!("{namespace}-{n}"), format!("p{n}"));
        Call::new("ADD", &container, &configuration).for_pod(namespace, &name, &container)
    };
    let mut freed = 0;
    for round in 0..3 {
        let crowd = (0..60).map(|n| add("shop", round * 60 + n)).chain((0..10).map(|n| add("lab", round * 10 + n)));
        let answers = all_at_once(crowd);
        let (shop, lab) = answers.split_at(60);
        assert!(lab.iter().all(|answer| answer.status == Some(0)), "nobody else is kept from anything: {lab:?}");
        let winners: Vec<usize> = (0..60).filter(|&n| shop[n].status == Some(0)).collect();
        assert_eq!(winners.len(), if round == 0 { 17 } else { freed }, "all that may be had is had, and no more");
        for loser in shop.iter().filter(|answer| answer.status != Some(0)) {
            let (code, text) = loser.failure();
            assert!(code == 104 && text.contains("holds 17 of the 17 IPv4 addresses"), "{code} {text}");
        }
        // Some go; as many of the next crowd may come.
        freed = winners.len() / 2;
        for n in winners.into_iter().take(freed) {
            Call::new("DEL", &format!("shop-{}", round * 60 + n), &configuration).run().success();
        }
    }
    assert_sound(&configuration);
}

/// Releases and claims at once, of containers that are killed now and then: never more than the quota.
#[test]
fn a_quota_holds_while_pods_come_and_go_and_processes_are_killed() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let configuration = with_quota(directory.path(), 5);
    let call = |verb: &str, n: usize| {
        Call::new(verb, &format!("c{n}"), &configuration).for_pod("shop", &format!("p{n}"), &format!("u{n}"))
    };
    for round in 0..20_usize {
        let new: Vec<usize> = (round * 4..round * 4 + 4).collect();
        let old = (round * 4).saturating_sub(8)..round * 4;
        let mut children: Vec<_> = new.iter().map(|&n| call("ADD", n).start()).collect();
        children.extend(old.map(|n| call("DEL", n).start()));
        std::thread::sleep(std::time::Duration::from_micros(round as u64 * 397 % 4000));
        children[0].kill().unwrap();
        children.into_iter().map(wait).for_each(drop);
        let held = listed(&configuration).len();
        assert!(held <= 5, "{held} addresses in round {round}");
    }
    assert_sound(&configuration);
}

fn with_quota(directory: &Path, limit: u32) -> Value {
    let policy = json!({"module": module("quota"), "settings": {"namespaces": {"shop": limit}}});
    network(directory, &json!({"subnet": "10.1.0.0/24", "policy": policy, "timeout": "60s"}))
}

#[test]
fn processes_killed_at_any_moment_lose_and_double_nothing() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    for round in 0..60_u64 {
        let call = |n: usize| Call::new("ADD", &format!("r{round}-{n}"), &configuration);
        let mut children: Vec<_> = (0..4).map(|n| call(n).start()).collect();
        std::thread::sleep(std::time::Duration::from_micros(round * 97 % 4000));
        children[0].kill().unwrap();
        children[1].kill().unwrap();
        let answers: Vec<Answer> = children.into_iter().map(wait).collect();
        let addresses: Vec<String> =
            answers.iter().filter(|answer| answer.status == Some(0)).flat_map(Answer::addresses).collect();
        let distinct: BTreeSet<&String> = addresses.iter().collect();
        assert_eq!(distinct.len(), addresses.len(), "an address twice: {addresses:?}");
        assert!(addresses.len() >= 2, "those that were not killed succeed: {answers:?}");
        for n in 0..4 {
            Call::new("DEL", &format!("r{round}-{n}"), &configuration).run().success();
        }
    }
    assert!(listed(&configuration).is_empty(), "a DEL releases also what a killed ADD had claimed");
}
