//! Many processes at once on one embedded store: no duplicate, no loss, exact exhaustion.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use kube_ipam_tests::program::{network, wait};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};

fn all_at_once(calls: impl Iterator<Item = Call>) -> Vec<Answer> {
    let children: Vec<_> = calls.map(|call| call.start()).collect();
    children.into_iter().map(wait).collect()
}

fn listed(directory: &Path, configuration: &Value) -> BTreeSet<String> {
    let file = directory.join("blue.conf");
    std::fs::write(&file, configuration.to_string()).unwrap();
    let output = std::process::Command::new(kube_ipam_tests::program())
        .args(["list", "-o", "json", "--conf"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    list.as_array().unwrap().iter().map(|row| row["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn eighty_processes_race_for_sixty_addresses() {
    let directory = tempfile::tempdir().unwrap();
    // .2 to .61: sixty addresses
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/26", "rangeEnd": "10.1.0.61"}));
    let answers = all_at_once((0..80).map(|n| Call::new("ADD", &format!("c{n}"), &configuration)));

    let (winners, losers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == Some(0));
    let addresses: Vec<String> = winners.iter().flat_map(Answer::addresses).collect();
    let distinct: BTreeSet<String> = addresses.iter().cloned().collect();
    assert_eq!(addresses.len(), 60, "every address is used");
    assert_eq!(distinct.len(), 60, "no address twice: {addresses:?}");
    assert_eq!(listed(directory.path(), &configuration), distinct, "the store agrees with what was answered");
    for loser in losers {
        let (code, text) = loser.failure();
        assert_eq!(code, 101, "{text}");
        assert!(text.starts_with("network \"blue\" has no free address") && text.contains("60 of 60"), "{text}");
    }

    for answer in all_at_once((0..80).map(|n| Call::new("DEL", &format!("c{n}"), &configuration))) {
        answer.success();
    }
    assert!(listed(directory.path(), &configuration).is_empty());
}

#[test]
fn one_attachment_asked_for_twice_at_once_has_one_address() {
    let directory = tempfile::tempdir().unwrap();
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    let answers = all_at_once((0..16).map(|_| Call::new("ADD", "c1", &configuration)));
    let distinct: BTreeSet<Vec<String>> = answers.iter().map(Answer::addresses).collect();
    assert_eq!(distinct.len(), 1, "{distinct:?}");
    assert_eq!(listed(directory.path(), &configuration).len(), 1);
}

#[test]
fn forty_pods_want_one_fixed_address_and_one_gets_it() {
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

#[test]
fn processes_killed_at_any_moment_lose_and_double_nothing() {
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
    assert!(listed(directory.path(), &configuration).is_empty(), "a DEL releases also what a killed ADD had claimed");
}
