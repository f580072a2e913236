//! The rules of the policy, as cases in JSON, and its settings.

use by_namespace::{ByNamespace, Settings};
use kube_ipam_policy::testing::check_cases;
use kube_ipam_policy::{Policy, Strategy, decode};

#[test]
fn namespaces() {
    check_cases::<ByNamespace>(include_str!("namespaces.json"));
}

#[test]
fn settings_that_are_not_understood() {
    for (settings, error) in [
        ("{}", "policy.settings: `namespaces` is missing"),
        (
            r#"{"namespaces": {"a": []}}"#,
            "policy.settings.namespaces.a: the list is empty: expected at least one address",
        ),
        (
            r#"{"namespaces": {"a": "10.1.0.0/26"}}"#,
            "policy.settings.namespaces.a: the text \"10.1.0.0/26\": expected a",
        ),
        (
            r#"{"namespaces": {"a": ["10.1.0.0/26", "10.1.0.9/26"]}}"#,
            "policy.settings.namespaces.a[1]: \"10.1.0.9/26\": write 10.1.0.0/26 for the subnet or 10.1.0.9 for the address",
        ),
        (r#"{"namespaces": {}, "default": ["x"]}"#, "policy.settings.default[0]: \"x\": expected an address, a range"),
        (r#"{"namespaces": {}, "namespace": {}}"#, "policy.settings.namespace: unknown field `namespace`"),
    ] {
        let said = decode::<Settings>(settings).unwrap_err().to_string();
        assert!(said.starts_with(error), "{settings}: {said}");
    }
}

#[test]
fn the_schema_names_the_settings_and_their_defaults() {
    let schema: serde_json::Value = serde_json::from_str(ByNamespace::describe().settings_schema).unwrap();
    let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(properties, ["default", "namespaces", "proposals", "strategy"]);
    assert_eq!(decode::<Settings>(r#"{"namespaces": {}}"#).unwrap().strategy, Strategy::Hash);
    assert_eq!(schema["properties"]["strategy"]["default"], "hash");
}
