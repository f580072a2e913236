//! Pools of many single addresses, and annotations of any length, by whole processes.

use std::collections::BTreeSet;
use std::path::Path;

use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::program::{module, network};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};

/// The longest annotation that a policy is told.
const LONGEST: usize = 16 * 1024;

/// An ADD of one of the replicas that share annotations.
fn add(configuration: &Value, nth: usize, annotations: &Value) -> Answer {
    let mut configuration = configuration.clone();
    configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
    let name = format!("c{nth}");
    Call::new("ADD", &name, &configuration).for_pod("shop", &name, &format!("uid-{name}")).run()
}

/// So many replicas get addresses of the list, one each.
fn replicas(configuration: &Value, list: &[String], count: usize) {
    let annotations = json!({"kube-ipam.ip-pool": list.join(",")});
    let given: Vec<String> = (0..count).flat_map(|nth| add(configuration, nth, &annotations).addresses()).collect();
    let distinct: BTreeSet<&String> = given.iter().collect();
    assert_eq!(distinct.len(), count);
    assert!(distinct.iter().all(|address| list.contains(address)), "{given:?}");
}

/// Two hundred addresses all over 10.1.0.0/16, in no order.
fn scattered() -> Vec<String> {
    (0..200).map(|nth| nth * 37 % 200).map(|nth| format!("10.1.{}.{}", nth + 20, nth * 7 % 250 + 1)).collect()
}

fn neighbours() -> Vec<String> {
    (20..220).map(|last| format!("10.1.9.{last}")).collect()
}

#[test]
fn a_pool_of_two_hundred_single_addresses_serves_a_hundred_and_fifty_pods() {
    for list in [neighbours(), scattered()] {
        let directory = tempfile::tempdir().unwrap();
        replicas(&network(directory.path(), &json!({"subnet": "10.1.0.0/16"})), &list, 150);
    }
}

#[test]
fn a_pool_of_single_addresses_in_etcd() {
    let etcd = Setup::single().start();
    for (network, list) in [("near", neighbours()), ("far", scattered())] {
        let mut configuration = etcd.network(&json!({"subnet": "10.1.0.0/16"}));
        configuration["name"] = json!(network);
        configuration["ipam"]["domain"] = json!(network);
        replicas(&configuration, &list, 150);
    }
}

/// As long as an annotation may be, and the last of its addresses free: all of it within the limits of a call.
#[test]
fn the_longest_pool_is_searched_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/16"}));
    let mut list: Vec<String> = Vec::new();
    let mut length = 0;
    for nth in 0_usize.. {
        let address = format!("10.1.{}.{}", nth * 101 % 255, nth / 255 + 2);
        length += address.len() + 1;
        if length > LONGEST {
            break;
        }
        list.push(address);
    }
    assert!(list.len() > 1_300, "{}", list.len());
    let free = list.pop().unwrap();
    hold_all(directory.path(), &configuration, &list);
    list.push(free.clone());
    let annotations = json!({"kube-ipam.ip-pool": list.join(",")});
    assert_eq!(add(&configuration, 1, &annotations).addresses(), [free]);
    let (code, text) = add(&configuration, 2, &annotations).failure();
    assert!(code == 101 && text.contains(&format!("none of the {} addresses", list.len())), "{code} {text}");
}

/// Sixteen addresses are the most that one container may name.
fn hold_all(directory: &Path, configuration: &Value, list: &[String]) {
    let books = directory.join("books");
    std::fs::create_dir_all(books.join("blue")).unwrap();
    for (nth, address) in list.iter().enumerate() {
        std::fs::write(books.join("blue").join(address), format!("held-{nth}\r\neth0")).unwrap();
    }
    let books = books.display().to_string();
    let output = kube_ipam_tests::listing::operate(&["import", "--from", "host-local", &books, "--yes"], configuration);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_other_tools_write_makes_no_pod_fail_and_too_long_a_pool_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "logFile": log}));
    let manifest = "x".repeat(200 * 1024);
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": manifest, "kube-ipam.ip": "10.1.0.9"});
    assert_eq!(add(&configuration, 1, &annotations).addresses(), ["10.1.0.9"]);
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains("left out") && told.contains("last-applied-configuration"), "{told}");
    assert!(!told.contains("xxxx"));

    let long = "10.1.0.100,".repeat(LONGEST / 11 + 1);
    for name in ["kube-ipam.ip-pool", "kube-ipam.ip", "kube-ipam.gateway.blue", "kube-ipam.unknown"] {
        let mut annotations = json!({});
        annotations[name] = json!(long);
        let (code, text) = add(&configuration, 2, &annotations).failure();
        assert!(
            code == 103 && text.contains(&format!("annotation {name} of pod shop/c2: 16,390 bytes")),
            "{code} {text}"
        );
        assert!(text.contains("the limit is 16 KiB") && text.contains("subnets instead of single addresses"), "{text}");
    }
}

/// The site's rule gives namespace `shop` four addresses. A pod's author who makes the rule run out of fuel gets none.
#[test]
fn too_much_to_read_is_no_way_around_a_policy() {
    let directory = tempfile::tempdir().unwrap();
    let mut namespaces = json!({"shop": ["10.1.0.8-10.1.0.11"]});
    for nth in 0..700 {
        namespaces[format!("team-{nth}")] = json!([format!("10.1.{}.0/26", nth % 250 + 1)]);
    }
    let policy = json!({"module": module("by-namespace"), "settings": {"namespaces": namespaces}, "onFault": "default",
        "limits": {"fuel": 7_000_000}});
    let configuration =
        network(directory.path(), &json!({"subnet": "10.1.0.0/16", "policy": policy, "timeout": "60s"}));
    let given = add(&configuration, 1, &json!({})).addresses();
    assert!(["8", "9", "10", "11"].iter().any(|last| given == [format!("10.1.0.{last}")]), "{given:?}");
    let list: Vec<String> = (0..1_300).map(|nth| format!("10.1.{}.{}", nth % 250 + 1, nth / 250 + 2)).collect();
    let (code, text) = add(&configuration, 2, &json!({"kube-ipam.ip-pool": list.join(",")})).failure();
    assert!(code == 105 && text.contains("ran out of fuel: the limit is 7,000,000 units"), "{code} {text}");
    assert!(text.contains("policy.limits.fuel may be raised"), "{text}");
}
