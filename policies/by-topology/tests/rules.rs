//! The rules of the policy, as cases in JSON, and its settings.

use by_topology::{ByTopology, Labels, Settings};
use kube_ipam_policy::testing::{check_cases, request};
use kube_ipam_policy::{Policy, Strategy, decode};

#[test]
fn places() {
    check_cases::<ByTopology>(include_str!("places.json"));
}

#[test]
fn settings_that_are_not_understood() {
    for (settings, error) in [
        ("{}", "policy.settings: `places` is missing"),
        (r#"{"places": {"a": []}}"#, "policy.settings.places.a: the list is empty: expected at least one address"),
        (
            r#"{"places": {"a": ["10.1.0.0/26", "10.1.0.9/26"]}}"#,
            "policy.settings.places.a[1]: \"10.1.0.9/26\": write 10.1.0.0/26 for the subnet or 10.1.0.9 for the address",
        ),
        (r#"{"places": {}, "label": 7}"#, "policy.settings.label: expected the name of a label, or a list of such"),
        (r#"{"places": {}, "label": []}"#, "policy.settings.label: it names no label: expected for example"),
        (r#"{"places": {}, "label": ["rack", ""]}"#, "policy.settings.label: it names no label"),
        (r#"{"places": {}, "labels": "rack"}"#, "policy.settings.labels: unknown field `labels`, expected one of"),
    ] {
        let said = decode::<Settings>(settings).unwrap_err().to_string();
        assert!(said.starts_with(error), "{settings}: {said}");
    }
}

#[test]
fn the_schema_names_the_settings_and_their_defaults() {
    let schema: serde_json::Value = serde_json::from_str(ByTopology::describe().settings_schema).unwrap();
    let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(properties, ["default", "label", "places", "proposals", "strategy"]);
    let defaults = decode::<Settings>(r#"{"places": {}}"#).unwrap();
    assert_eq!(defaults.strategy, Strategy::Hash);
    assert_eq!(schema["properties"]["strategy"]["default"], "hash");
    let label = format!(r#"{{"places": {{}}, "label": {}}}"#, schema["properties"]["label"]["default"]);
    assert_eq!(decode::<Settings>(&label).unwrap().label, Labels::default());
}

/// The double of the host tells what the policy does not know without it.
#[test]
fn a_request_without_a_node_is_not_a_node_without_labels() {
    assert_eq!(request(&["10.0.0.0/24"]).node_metadata, None);
}
