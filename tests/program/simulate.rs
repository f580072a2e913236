//! `kube-ipam policy simulate` and `policy bench`, on the built-in policy and on a module.

use std::process::{Command, Output};

use kube_ipam_tests::program::{module, program};
use serde_json::Value;

const SETTINGS: &str = r#"{"namespaces": {"namespace-1": ["10.0.0.0/25"]}, "default": ["10.0.0.128/25"]}"#;

fn policy(arguments: &[&str]) -> Output {
    let output = Command::new(program()).arg("policy").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "a progress bar is for terminals: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(arguments: &[&str]) -> Value {
    let output = policy(&[arguments, &["-o", "json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(arguments: &[&str]) -> String {
    String::from_utf8(policy(arguments).stdout).unwrap()
}

#[test]
fn the_built_in_policy_is_simulated_to_the_same_report_twice() {
    let arguments = ["simulate", "--ranges", "10.0.0.0/24,fd00::/64", "--pods", "1500", "--churn", "0.3", "2"];
    let mut one = json(&arguments);
    assert_eq!(one["allocations"], 1_500, "{one}");
    assert_eq!(one["refusals"], serde_json::json!({}));
    assert_eq!(one["policy"]["name"], "range-fixed");
    assert!(one["rangeSets"][0]["reuse"]["count"].as_u64().unwrap() > 500, "{one}");
    assert!(one["times"]["decisionMicros"]["median"].is_u64(), "{one}");
    let mut two = json(&arguments);
    for report in [&mut one, &mut two] {
        report.as_object_mut().unwrap().remove("times").unwrap();
    }
    assert_eq!(one, two);
}

#[test]
fn a_module_is_simulated_with_its_settings_and_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let picture = directory.path().join("space.svg");
    let module = module("by-namespace");
    let printed = text(&[
        "simulate",
        module.to_str().unwrap(),
        "--ranges=10.0.0.0/24",
        "--settings",
        SETTINGS,
        "--namespaces=2",
        "--fill=0.9",
        "--pods=2000",
        "--contention=8",
        "--svg",
        picture.to_str().unwrap(),
    ]);
    for wanted in ["by-namespace", "allocations", "exhausted", "utilisation", "largest run", "after claims"] {
        assert!(printed.contains(wanted), "{wanted} is missing:\n{printed}");
    }
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    assert!(picture.contains("policy by-namespace") && picture.contains("level-8"));
}

/// What the policy `sticky` is for.
#[test]
fn pods_of_a_stateful_set_come_back_to_their_addresses() {
    let sticky = module("sticky");
    let simulate = |module: &str| {
        // Of pods, only who asks for labels learns the controller.
        let network = r#"{"subnet": "10.0.0.0/24", "kubernetes": {"include": ["labels"]}}"#;
        let arguments =
            ["simulate", module, "--network", network, "--pods", "2000", "--fill", "0.5", "--stateful", "0.4"];
        let printed = text(&arguments);
        let report = json(&arguments);
        let returns = |key: &str| report["returns"][key].as_u64().unwrap();
        let (count, same) = (returns("count"), returns("sameAddresses"));
        assert!(printed.contains(" pods came back under their name, "), "{printed}");
        assert!(count > 500, "{report}");
        same as f64 / count as f64
    };
    assert!(simulate(sticky.to_str().unwrap()) == 1.0);
    assert!(simulate("builtin") < 0.2);
}

#[test]
fn the_cost_of_a_module_is_told_beside_that_of_the_built_in_policy() {
    let module = module("by-namespace");
    let arguments =
        ["bench", module.to_str().unwrap(), "--settings", r#"{"namespaces": {}, "default": ["10.0.0.0/16"]}"#];
    let measured = json(&arguments);
    assert_eq!(measured["module"]["bytes"], module.metadata().unwrap().len());
    let levels = measured["levels"].as_array().unwrap();
    let held: Vec<u64> = levels.iter().map(|level| level["held"].as_u64().unwrap()).collect();
    assert_eq!(held, [0, 1_000, 60_000]);
    for level in levels {
        assert_eq!(level["refused"], 0, "{level}");
        let fuel = level["fuel"]["max"].as_u64().unwrap();
        assert!(0 < fuel && fuel < measured["fuelLimit"].as_u64().unwrap(), "{level}");
        for peak in ["addPeakKib", "builtInAddPeakKib"] {
            assert!(level["processes"][peak].as_u64().unwrap() > 1_000, "{level}");
        }
    }
}

#[test]
fn a_small_network_is_filled_only_as_far_as_requests_find_room() {
    let printed = text(&["bench", "builtin", "--network", r#"{"subnet": "10.0.0.0/24"}"#]);
    assert!(printed.contains("inside this program") && printed.contains("PEAK MEMORY"), "{printed}");
    assert!(printed.contains("173"), "{printed}");
    assert!(!printed.contains("1,000"), "{printed}");
}
