//! Shadows and stand-ins by whole processes, with the guests of `tests/hostile`: whatever a second policy does, the pod
//! gets its address; whatever the first one does, somebody decides or says why not.

use std::fs;
use std::path::PathBuf;

use kube_ipam_tests::Answer;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::node;
use serde_json::{Value, json};

/// A node with a network on it that writes a log, and guests to choose from.
struct Node(node::Node);

impl Node {
    fn new() -> Self {
        Self(node::Node::new())
    }

    /// The file of a guest; of one that is not known, a file that is not there.
    fn guest(&self, name: &str) -> PathBuf {
        match name {
            "missing" => self.0.path("missing.wasm"),
            name => self.0.guest(name),
        }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.0.path(file)
    }

    fn configuration(&self, policy: &Value) -> Value {
        let mut network = self.0.network(policy.clone());
        network["ipam"]["timeout"] = json!("20s");
        network["ipam"]["logFile"] = json!(self.at("log"));
        network
    }

    fn call(&self, verb: &str, container: &str, policy: &Value) -> Answer {
        self.0.call(verb, container, &self.configuration(policy))
    }

    fn address(&self, container: &str, policy: &Value) -> String {
        self.call("ADD", container, policy).address()
    }

    /// What an operator's command prints.
    fn operate(&self, command: &[&str]) -> String {
        String::from_utf8(operate(command, &self.configuration(&json!({}))).stdout).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// `asked`, `differed` and `faulted` of each pair, and the shadow's name.
    fn tallies(&self) -> Vec<(String, u64, u64, u64)> {
        let text = fs::read_to_string(self.at("data/policies/shadow.json")).unwrap();
        let tallies: Vec<Value> = serde_json::from_str(&text).unwrap();
        let number = |tally: &Value, key: &str| tally[key].as_u64().unwrap();
        let row = |tally: &Value| {
            let name = tally["shadow"]["name"].as_str().unwrap().to_owned();
            (name, number(tally, "asked"), number(tally, "differed"), number(tally, "faulted"))
        };
        tallies.iter().map(row).collect()
    }
}

/// Guests that cannot be loaded, and guests that misbehave when they are asked.
const UNLOADABLE: [&str; 5] = ["missing", "core_module", "import_wasi", "other_package_version", "uses_threads"];
const UNRULY: [&str; 4] = ["unreachable", "no_proposals", "propose_gateway", "invalid_utf8"];
/// Guests that reach a limit, as a pod's author may make a policy do, and how that is told.
const LIMITED: [(&str, &str); 9] = [
    ("loop_in_allocate", "ran out of fuel: the limit is 50,000,000 units of fuel"),
    ("loop_in_start", "ran out of fuel"),
    ("memory_bomb", "wanted more memory: the limit is 64 MiB"),
    ("grows_to_its_own_limit", "its memory could not grow any more"),
    ("deep_recursion", "recursed too deeply: the limit is 256 KiB"),
    ("shadow_stack_overflow", "its stack overflowed"),
    ("host_call_flood", "called the host too often: the limit is 10,000 calls"),
    ("long_refusal", "returned too long a text: the limit is 4,096 bytes"),
    ("asks_about_everybody", "asked for more than 64 reads of the store"),
];

#[test]
fn no_shadow_keeps_a_pod_from_its_address() {
    for name in UNLOADABLE.into_iter().chain(UNRULY).chain(LIMITED.map(|(name, _)| name)) {
        let node = Node::new();
        let policy = json!({"shadow": node.guest(name), "record": node.at("record")});
        assert_eq!(node.address("c1", &policy), "10.0.0.2/24", "{name}");
        assert_eq!(node.tallies(), [(name.to_owned(), 1, 0, 1)], "{name}");
        let record: Value = serde_json::from_str(&fs::read_to_string(node.at("record")).unwrap()).unwrap();
        assert_eq!(record["answer"]["proposals"][0][0]["address"], "10.0.0.2", "{name}");
        let fault = record["shadow"]["answer"]["fault"].as_str().unwrap();
        assert!(node.log().contains("the shadow faulted") && !fault.is_empty(), "{name}: {}", node.log());
    }
}

/// It would run for a minute: an ADD that waited for it would be late.
#[test]
fn a_shadow_takes_its_share_of_the_time_and_no_more() {
    let node = Node::new();
    let limits = json!({"fuel": 100_000_000_000_u64, "milliseconds": 60_000});
    let policy = json!({"shadow": node.guest("loop_against_the_clock"), "limits": limits});
    let mut configuration = node.configuration(&policy);
    configuration["ipam"]["timeout"] = json!("8s");
    assert_eq!(node.0.call("ADD", "c1", &configuration).address(), "10.0.0.2/24");
    assert_eq!(node.tallies(), [("loop_against_the_clock".to_owned(), 1, 0, 1)]);
}

#[test]
fn a_shadow_is_counted_by_its_answers_and_its_module() {
    let node = Node::new();
    let shadows = [("good", 7), ("refusal_with_ansi", 5), ("trap_after_words", 3)];
    for (name, times) in shadows {
        let policy = json!({"shadow": {"module": node.guest(name)}});
        for nth in 0..times {
            node.address(&format!("{name}-{nth}"), &policy);
        }
    }
    // `good` proposes the first free address, as the built-in policy does while nothing is released.
    let expected = [("good", 7, 0, 0), ("refusal_with_ansi", 5, 5, 0), ("trap_after_words", 3, 0, 3)];
    let expected = expected.map(|(name, asked, differed, faulted)| (name.to_owned(), asked, differed, faulted));
    assert_eq!(node.tallies(), expected);
    let log = node.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("the shadow decided differently")).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].contains("10.0.0.9") && lines[0].contains("full"), "both answers are named: {}", lines[0]);
    assert!(!log.contains('\x1b'));
}

#[test]
fn a_policy_at_fault_fails_the_pod_unless_the_built_in_one_may_decide() {
    for (names, codes) in [(&UNLOADABLE[..], [7, 7]), (&UNRULY[..], [105, 105])] {
        for &name in names {
            let node = Node::new();
            let module = node.guest(name);
            for (nth, policy) in
                [json!({"module": module}), json!({"module": module, "onFault": "fail"})].iter().enumerate()
            {
                let (code, says) = node.call("ADD", "c1", policy).failure();
                assert_eq!(code, codes[nth], "{name}: {says}");
            }
            let policy = json!({"module": module, "onFault": "default", "record": node.at("record")});
            assert_eq!(node.address("c1", &policy), "10.0.0.2/24", "{name}");
            let log = node.log();
            assert!(log.contains("range-fixed decides in place of the faulty policy"), "{name}: {log}");
            let file = format!("{name}.wasm");
            let table = node.operate(&["list"]);
            assert!(table.contains(&format!("range-fixed (for {file})")), "{table}");
            assert!(node.operate(&["show", "10.0.0.2"]).contains(&format!("range-fixed (for {file}) (sha256 ")));
            let listed: Value = serde_json::from_str(&node.operate(&["list", "-o", "json"])).unwrap();
            assert_eq!(listed[0]["policy"]["insteadOf"], json!(file));
            let record: Value = serde_json::from_str(&fs::read_to_string(node.at("record")).unwrap()).unwrap();
            assert_eq!((&record["policy"]["insteadOf"], &record["settings"]), (&json!(file), &json!({})));
        }
    }
}

#[test]
fn a_limit_is_told_and_never_a_way_around_the_policy() {
    for (name, says) in LIMITED {
        let node = Node::new();
        let policy = json!({"module": node.guest(name), "onFault": "default"});
        let answer = node.call("ADD", "c1", &policy).json();
        assert_eq!(answer["code"], 105, "{name}: {answer}");
        assert!(answer["msg"].as_str().unwrap().contains(says), "{name}: {answer}");
        assert!(name == "shadow_stack_overflow" || !answer["details"].as_str().unwrap().is_empty(), "{name}: {answer}");
        assert!(!node.log().contains("decides instead"), "{name}: {}", node.log());
        assert_eq!(node.operate(&["list"]).trim(), "no addresses are held", "{name}");
    }
}

#[test]
fn status_warns_of_a_policy_that_does_not_load() {
    for name in UNLOADABLE {
        let node = Node::new();
        let module = node.guest(name);
        assert_eq!(node.call("STATUS", "", &json!({"module": module})).failure().0, 50, "{name}");
        let status = node.call("STATUS", "", &json!({"module": module, "onFault": "default"})).status;
        assert_eq!(status, Some(0), "{name}");
        assert!(node.log().contains(&format!("{name}.wasm")), "{}", node.log());
    }
}

#[test]
fn a_refusal_is_no_fault() {
    let node = Node::new();
    let policy = json!({"module": node.guest("refusal_with_ansi"), "onFault": "default"});
    let (code, says) = node.call("ADD", "c1", &policy).failure();
    assert_eq!(code, 101, "{says}");
    assert!(!node.log().contains("decides instead"));
}
