//! Decisions as data: recorded by many processes at once, replayed by another policy, counted beside a shadow.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::listing::operate;
use kube_ipam_tests::program::{network, wait};
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};

fn module(name: &str) -> String {
    kube_ipam_tests::program::module(name).display().to_string()
}

/// A command for policies: its exit status and what it printed.
fn policy(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(program()).arg("policy").args(arguments).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), printed)
}

fn policy_json(arguments: &[&str]) -> (i32, Value) {
    let (status, printed) = policy(&[arguments, &["-o", "json"]].concat());
    (status, serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}")))
}

fn recorded(file: &Path) -> Vec<Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn container(decision: &Value) -> String {
    decision["request"]["attachment"]["container"].as_str().unwrap().to_owned()
}

fn add(configuration: &Value, container: &str, namespace: &str) -> Ipv4Addr {
    let call = Call::new("ADD", container, configuration).for_pod(namespace, container, &format!("uid-{container}"));
    call.run().addresses()[0].parse().unwrap()
}

/// Who was given what, and what else could have been given: 10.1.0.0/24 in which some pods stay.
struct History {
    given: Vec<(String, Ipv4Addr)>,
    lowest: Vec<Ipv4Addr>,
}

/// A thousand pods, every fourth of namespace `lab`; all but every ninth are gone before the next one comes.
fn live(configuration: &Value) -> History {
    let all = || (2..=254).map(|last| Ipv4Addr::new(10, 1, 0, last));
    let mut held: BTreeSet<Ipv4Addr> = BTreeSet::new();
    let mut history = History { given: Vec::new(), lowest: Vec::new() };
    for nth in 0..1_000 {
        let container = format!("c{nth}");
        history.lowest.push(all().find(|address| !held.contains(address)).unwrap());
        let address = add(configuration, &container, if nth % 4 == 0 { "lab" } else { "shop" });
        if nth % 9 == 0 {
            held.insert(address);
        } else {
            Call::new("DEL", &container, configuration).run().success();
        }
        history.given.push((container, address));
    }
    history
}

/// Container, address before and address now of each difference.
fn differences(report: &Value) -> Vec<(String, String, String)> {
    let address = |answer: &Value| answer["proposals"][0][0]["address"].as_str().unwrap_or("none").to_owned();
    let row = |row: &Value| {
        let container = row["attachment"]["container"].as_str().unwrap().to_owned();
        (container, address(&row["before"]), address(&row["now"]))
    };
    report["differences"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_replay_shows_exactly_what_would_change() {
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record").display().to_string();
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "policy": {"record": record}}));
    let history = live(&configuration);
    let built_in = module("range-fixed");

    let same = json!({"decisions": 1000, "same": 1000, "differ": 0, "refusedNow": 0, "faulted": 0, "undecidable": 0, "damaged": 0});
    assert_eq!(policy_json(&["replay", &built_in, &record]), (0, json!({"differences": [], "sum": same})));

    let (status, report) = policy_json(&["replay", &built_in, &record, "--settings", r#"{"strategy": "lowest"}"#]);
    let changed = history.given.iter().zip(&history.lowest).filter(|((_, given), lowest)| given != *lowest);
    let expected: Vec<_> = changed
        .map(|((container, given), lowest)| (container.clone(), given.to_string(), lowest.to_string()))
        .collect();
    assert!(expected.len() > 900, "the strategies do differ: {}", expected.len());
    assert_eq!((status, differences(&report)), (1, expected));

    // The pods of `lab` have to move into their part, unless that is where they are.
    let settings = directory.path().join("settings.json");
    let rules = json!({"strategy": "round-robin", "namespaces": {"lab": ["10.1.0.200-10.1.0.250"]}, "default": ["10.1.0.0/24"]});
    fs::write(&settings, rules.to_string()).unwrap();
    let from_file = format!("@{}", settings.display());
    let (_, report) = policy_json(&["replay", &module("by-namespace"), &record, "--settings", &from_file]);
    let moves = |address: &Ipv4Addr| !(200..=250).contains(&address.octets()[3]);
    let lab = history.given.iter().step_by(4).filter(|(_, given)| moves(given));
    let expected: Vec<String> = lab.map(|(container, _)| container.clone()).collect();
    let found: Vec<String> = differences(&report).into_iter().map(|(container, _, _)| container).collect();
    assert_eq!((found, expected.len() > 100), (expected, true));

    // Without a part of its own, `shop` is refused.
    let only_lab = r#"{"strategy": "round-robin", "namespaces": {"lab": ["10.1.0.0/24"]}}"#;
    let (status, printed) = policy(&["replay", &module("by-namespace"), &record, "--settings", only_lab]);
    assert_eq!(status, 1);
    assert!(
        printed.trim_end().ends_with("1000 decisions: 250 same, 0 differ, 750 refused now, 0 faulted, 0 not decidable")
    );
    assert!(
        printed.lines().next().unwrap().contains("blue shop/c1 c1/eth0: 10.1.0.3 → refused (denied): "),
        "{printed}"
    );

    let (status, report) = policy_json(&["diff", &built_in, &module("by-namespace"), &record]);
    assert_eq!((status, &report["sum"]["faulted"]), (1, &json!(1000)), "by-namespace has no rules without settings");
    assert_eq!(policy_json(&["diff", &built_in, &built_in, &record]).0, 0);
}

#[test]
fn what_is_no_decision_is_told_and_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record");
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "policy": {"record": record}}));
    add(&configuration, "c1", "shop");
    let good = fs::read_to_string(&record).unwrap();
    fs::write(&record, format!("{}\x1b[2J\n{good}", &good[..100])).unwrap();
    let (status, printed) = policy(&["replay", &module("range-fixed"), record.to_str().unwrap()]);
    assert_eq!(status, 1);
    assert!(printed.starts_with("1 decision: 1 same") && printed.contains("1 line could not be read"), "{printed}");
    assert!(printed.contains("line 1 is not a decision") && !printed.contains('\x1b'), "{printed}");
    let (status, printed) = policy(&["replay", &module("range-fixed"), "/nonexistent/record"]);
    assert!(status == 1 && printed.contains("/nonexistent/record"), "{printed}");
}

#[test]
fn one_decision_runs_again() {
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record");
    let ipam = json!({"subnet": "10.1.0.0/24", "policy": {"settings": {"strategy": "hash"}, "record": record}});
    let configuration = network(directory.path(), &ipam);
    for container in ["c1", "c2"] {
        add(&configuration, container, "shop");
    }
    let file = directory.path().join("request.json");
    let run = |request: &Value, more: &[&str]| {
        fs::write(&file, request.to_string()).unwrap();
        policy_json(&[&["run", file.to_str().unwrap()], more].concat())
    };
    for decision in recorded(&record) {
        let (status, report) = run(&decision, &[]);
        assert_eq!((status, &report["answer"]), (0, &decision["answer"]));
        assert!(report["fuel"].as_u64().unwrap() > 0);
    }

    let request = json!({"attachment": {"network": "blue", "container": "c1", "interface": "eth0"},
        "rangeSets": {"ranges": [[{"subnet": "10.1.0.0/24"}]]}});
    let first = |report: &Value| report["answer"]["proposals"][0][0]["address"].clone();
    assert_eq!(first(&run(&json!({"request": request}), &[]).1), "10.1.0.2", "everything is free");
    let (module, settings) = (module("by-namespace"), r#"{"namespaces": {}, "default": ["10.1.0.77-10.1.0.77"]}"#);
    let asked = ["--module", module.as_str(), "--settings", settings];
    assert_eq!(first(&run(&json!({"request": request}), &asked).1), "10.1.0.77");
    let (status, report) = run(&json!({"request": request, "settings": {"namespaces": {}}}), &["--module", &module]);
    assert_eq!((status, &report["answer"]["refusal"]["kind"]), (1, &json!("denied")));
    let (status, report) = run(&json!({"request": request, "snapshot": {}}), &[]);
    assert_eq!((status, &report["undecidable"]), (1, &json!("which address of 10.1.0.2-10.1.0.254 is free first")));

    let (status, printed) = policy(&["run", record.to_str().unwrap()]);
    assert!(status == 1 && printed.contains("policy replay"), "two decisions are not one: {printed}");
    let (status, printed) = policy(&["run", file.to_str().unwrap(), "--settings", "[]"]);
    assert!(status == 2 && printed.contains("expected a JSON object"), "{printed}");
}

#[test]
fn many_at_once_record_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record");
    let configuration = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "policy": {"record": record}}));
    let children: Vec<_> = (0..64).map(|n| Call::new("ADD", &format!("c{n}"), &configuration).start()).collect();
    let given: BTreeSet<String> = children.into_iter().flat_map(|child| wait(child).addresses()).collect();
    assert_eq!(given.len(), 64);
    let decisions = recorded(&record);
    let containers: BTreeSet<String> = decisions.iter().map(container).collect();
    assert_eq!(containers, (0..64).map(|n| format!("c{n}")).collect(), "everybody recorded, some more than once");
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_record_is_put_aside_when_it_is_full_and_keeps_no_manifests() {
    let directory = tempfile::tempdir().unwrap();
    let record = directory.path().join("record");
    let ipam = json!({"subnet": "10.1.0.0/24", "policy": {"record": {"file": record, "maxMiB": 1}}});
    let mut configuration = network(directory.path(), &ipam);
    let mut annotations: Value = (0..60).map(|n| (format!("site/{n}"), json!("x".repeat(5_000)))).collect();
    annotations["kubectl.kubernetes.io/last-applied-configuration"] = json!("{\"password\": \"swordfish\"}");
    configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
    for nth in 0..12 {
        add(&configuration, &format!("c{nth}"), "shop");
    }
    let older = PathBuf::from(format!("{}.1", record.display()));
    for file in [&record, &older] {
        let length = fs::metadata(file).unwrap().len();
        assert!((1..=1 << 20).contains(&length), "{}: {length}", file.display());
        assert!(!fs::read_to_string(file).unwrap().contains("swordfish"));
    }
    let decisions: Vec<Value> = recorded(&older).into_iter().chain(recorded(&record)).collect();
    let last: Vec<String> = decisions.iter().map(container).collect();
    let expected: Vec<String> = (12 - last.len()..12).map(|n| format!("c{n}")).collect();
    assert_eq!((last.clone(), last.len() > 4), (expected, true), "the last ones are there, in their order");
    let left_out = decisions[0]["leftOut"].as_array().unwrap();
    assert_eq!(left_out.len(), 61);
    assert!(left_out.contains(&json!("annotation kubectl.kubernetes.io/last-applied-configuration of the pod")));
    assert_eq!(decisions[0]["request"]["pod"]["annotations"]["site/0"].as_str().unwrap().len(), 4_096);
}

#[test]
fn a_record_that_cannot_be_written_is_the_logs_business() {
    let directory = tempfile::tempdir().unwrap();
    for record in ["/nonexistent/record", "/dev/full", directory.path().to_str().unwrap()] {
        let log = directory.path().join("log");
        let ipam = json!({"subnet": "10.1.0.0/24", "logFile": log, "policy": {"record": record}});
        let configuration = network(directory.path(), &ipam);
        add(&configuration, "c1", "shop");
        Call::new("DEL", "c1", &configuration).run().success();
        let told = fs::read_to_string(&log).unwrap();
        assert!(told.contains("the decision is not recorded") && told.contains(record), "{told}");
        fs::remove_file(log).unwrap();
    }
}

#[test]
fn a_sample_has_the_same_attachments_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["first", "second"];
    let sampled = names.map(|name| {
        let record = directory.path().join(name);
        let ipam = json!({"subnet": "10.1.0.0/24", "policy": {"record": {"file": record, "sample": 0.3}}});
        let configuration = network(&directory.path().join(format!("{name}.store")), &ipam);
        for nth in 0..60 {
            add(&configuration, &format!("c{nth}"), "shop");
        }
        recorded(&record).iter().map(container).collect::<Vec<_>>()
    });
    assert_eq!(sampled[0], sampled[1]);
    assert!((5..40).contains(&sampled[0].len()), "{:?}", sampled[0]);
}

#[test]
fn the_doctor_counts_what_a_shadow_would_have_done() {
    let directory = tempfile::tempdir().unwrap();
    let rules = json!({"strategy": "round-robin", "namespaces": {"lab": ["10.1.0.200-10.1.0.250"]}, "default": ["10.1.0.0/24"]});
    let shadow = json!({"module": module("by-namespace"), "settings": rules});
    let record = directory.path().join("record");
    let ipam = json!({"subnet": "10.1.0.0/24", "policy": {"shadow": shadow, "record": record}});
    let configuration = network(directory.path(), &ipam);
    for nth in 0..6 {
        let address = add(&configuration, &format!("c{nth}"), if nth < 2 { "lab" } else { "shop" });
        assert_eq!(address, Ipv4Addr::new(10, 1, 0, 2 + nth), "the first policy decides");
    }
    let output = operate(&["doctor"], &configuration);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("✓ shadow         by-namespace, sha256 "), "{printed}");
    assert!(
        printed.contains("asked 6 times beside range-fixed since ")
            && printed.contains(", 2 answers differed, 0 faults")
    );
    assert!(printed.contains("✓ record ") && printed.contains(record.to_str().unwrap()), "{printed}");
    let decisions = recorded(&record);
    let addresses = decisions.iter().map(|decision| decision["shadow"]["answer"]["proposals"][0][0]["address"].clone());
    let expected = ["200", "200", "4", "5", "6", "7"].map(|last| json!(format!("10.1.0.{last}")));
    assert_eq!(addresses.collect::<Vec<_>>(), expected);
}
