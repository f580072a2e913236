//! What the component `metrics` asks of Prometheus: alerts that fire when they should, and a dashboard whose every panel shows
//! something of what the program really tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::metrics::{Sample, exposition, promtool, samples};
use kube_ipam_tests::node::Node;
use serde_json::{Value, json};

use super::manifests::{of_kind, root, text, with_components};
use super::named;

/// Labels that a scrape adds.
const ADDED: [&str; 4] = ["instance", "job", "namespace", "node"];

/// The groups of alerts, as Prometheus reads them from a file.
fn alerts() -> Value {
    named(&with_components(&["metrics"]), "PrometheusRule", "kube-ipam")["spec"].clone()
}

fn dashboard() -> Value {
    let config_map = named(&with_components(&["metrics"]), "ConfigMap", "kube-ipam-dashboard");
    assert_eq!(config_map["metadata"]["labels"]["grafana_dashboard"], "1");
    serde_json::from_str(config_map["data"]["kube-ipam.json"].as_str().unwrap()).unwrap()
}

/// Title and expression of each query, as Prometheus gets it once Grafana has put in what is chosen.
fn panels() -> Vec<(String, String)> {
    let mut panels = Vec::new();
    for panel in dashboard()["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = text(&target["expr"]).replace("$__rate_interval", "5m").replace("$network", ".*");
            assert!(!expression.contains('$'), "{expression}");
            panels.push((text(&panel["title"]), expression));
        }
    }
    panels
}

/// The expressions of all alerts and panels.
fn expressions() -> Vec<(String, String)> {
    let mut expressions = panels();
    for group in alerts()["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            expressions.push((text(&rule["alert"]), text(&rule["expr"])));
        }
    }
    expressions
}

/// Everything there is to tell: a network on a node's disk with a policy, a shadow, refusals and faults, and one in etcd.
fn everything() -> Vec<Sample> {
    let (node, etcd) = (Node::new(), Setup::single().with_certificates().start());
    let mut network = node.network(json!({"shadow": {"module": node.guest("good")}}));
    network["ipam"]["subnet"] = json!("10.0.0.0/30");
    node.call("ADD", "c1", &network).success();
    node.call("ADD", "c2", &network).failure();
    node.call("DEL", "c1", &network).success();
    let shared = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    Call::new("ADD", "c1", &shared).run().success();
    fs::create_dir_all(node.path("cache/results")).unwrap();
    let mut all = samples(&exposition(&network, &["--cache-dir", node.path("cache").to_str().unwrap()]));
    all.extend(samples(&exposition(&shared, &["--only", "shared"])));
    all
}

/// The labels of each metric that exists.
fn labels(samples: &[Sample]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in samples {
        labels.entry(&sample.name).or_default().extend(sample.labels.keys().map(String::as_str));
    }
    labels
}

/// The words of an expression outside of quotes, with whether they stand between braces or parentheses after `by`, `without`,
/// `ignoring`: there they are labels.
fn words(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let unquoted: Vec<&str> = expression.split('"').step_by(2).collect();
    let spaced = unquoted.join(" \" ");
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    for word in spaced.split(|letter: char| !is_of_word(letter)).filter(|word| word.starts_with("kube_ipam_")) {
        metrics.insert(word.to_owned());
    }
    for list in ["by (", "without (", "ignoring (", "{"].iter().flat_map(|begin| spaced.split(begin).skip(1)) {
        let list = list.split([')', '}']).next().unwrap();
        let names = list.split(|letter: char| !is_of_word(letter)).filter(|word| !word.is_empty());
        labels.extend(names.map(str::to_owned));
    }
    (metrics, labels)
}

#[test]
fn alerts_fire_when_they_should() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, alerts().to_string()).unwrap();
    promtool(&["check", "rules", rules.to_str().unwrap()], "").unwrap();
    let tests = folder.path().join("alerts.yaml");
    let written = fs::read_to_string(root().join("tests/program/deploy/alerts.yaml")).unwrap();
    fs::write(&tests, &written).unwrap();
    promtool(&["test", "rules", tests.to_str().unwrap()], "").unwrap();
    for group in alerts()["groups"].as_array().unwrap() {
        for alert in group["rules"].as_array().unwrap() {
            assert!(
                written.contains(&format!("alertname=\"{}\"", text(&alert["alert"]))),
                "{alert} is never seen to fire"
            );
            assert!(["warning", "critical"].contains(&text(&alert["labels"]["severity"]).as_str()), "{alert}");
        }
    }
}

/// Each query has an answer when it is asked of what the program told, an hour long; an alert's answer may be that all is well.
#[test]
fn every_panel_shows_something_and_nothing_asks_for_what_does_not_exist() {
    let all = everything();
    let known = labels(&all);
    for (title, expression) in expressions() {
        let (metrics, asked) = words(&expression);
        assert!(!metrics.is_empty(), "{title}: {expression}");
        let mut possible: BTreeSet<&str> = ADDED.into();
        for metric in &metrics {
            possible.extend(known.get(metric.as_str()).unwrap_or_else(|| panic!("{title}: there is no {metric}")));
        }
        for label in asked {
            assert!(possible.contains(label.as_str()), "{title}: none of {metrics:?} has a label {label}");
        }
    }

    let mut series = Vec::new();
    for Sample { name, labels, value } in &all {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        // Counters grow while they are looked at, and free addresses become fewer.
        let step = if *value < 1.0 || !name.starts_with("kube_ipam_addresses") { "+1" } else { "-0.001" };
        series
            .push(json!({"series": format!("{name}{{{}}}", labels.join(",")), "values": format!("{value}{step}x60")}));
    }
    let mut tests = Vec::new();
    for (title, expression) in panels() {
        let wanted = json!([{"labels": "{}", "value": 1}]);
        tests.push(json!({"expr": format!("count({expression}) > bool 0"), "eval_time": "1h", "exp_samples": wanted}));
        assert!(!title.is_empty());
    }
    let tests =
        json!({"rule_files": [], "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}]});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("panels.yaml");
    fs::write(&file, tests.to_string()).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()], "").unwrap();
}

/// A test whose words are not seen would pass whatever an expression asks for.
#[test]
fn an_expression_that_asks_for_what_does_not_exist_is_found() {
    let (metrics, labels) = words(
        "sum by (le, network) (rate(kube_ipam_a_bucket{code=~\"kube_ipam_b|c\", verb!=\"x\"}[5m])) / kube_ipam_c",
    );
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(metrics, set(&["kube_ipam_a_bucket", "kube_ipam_c"]));
    assert_eq!(labels, set(&["le", "network", "code", "verb"]));
}

#[test]
fn the_token_that_prometheus_brings_is_the_one_that_is_asked_for() {
    let rendered = with_components(&["metrics"]);
    let monitors = of_kind(&rendered, "PodMonitor");
    assert_eq!(monitors.len(), 2);
    for monitor in monitors {
        let selected = &monitor["spec"]["selector"]["matchLabels"];
        let workloads = [of_kind(&rendered, "DaemonSet"), of_kind(&rendered, "Deployment")].concat();
        let matching: Vec<&Value> = workloads
            .iter()
            .filter(|workload| workload["spec"]["template"]["metadata"]["labels"] == *selected)
            .collect();
        let [workload] = matching[..] else { panic!("{selected} selects {}", matching.len()) };
        let pod = &workload["spec"]["template"]["spec"];
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        let port = &pod["containers"][0]["ports"][0];
        assert_eq!(endpoint["port"], port["name"]);
        let arguments = pod["containers"][0]["args"].to_string();
        assert!(arguments.contains(&format!(":{}\"", port["containerPort"])), "{arguments}");
        let secret = &endpoint["authorization"]["credentials"];
        assert!(pod["volumes"].to_string().contains(&format!("\"secretName\":{}", secret["name"])), "{pod}");
        assert!(arguments.contains(&format!("--token-file=/secrets/metrics/{}", text(&secret["key"]))), "{arguments}");
    }
}
