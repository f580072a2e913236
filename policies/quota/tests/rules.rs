//! The rules of the policy, as cases in JSON, and its settings.

use kube_ipam_policy::testing::{PoolDouble, check_cases, request};
use kube_ipam_policy::{Policy, Strategy, decode};
use quota::{ByQuota, Settings};
use serde_json::{Value, json};

#[test]
fn limits() {
    check_cases::<ByQuota>(include_str!("limits.json"));
}

/// Whoever lost its races brings more, and begins elsewhere.
#[test]
fn contenders_spread_over_the_slots() {
    let settings = decode::<Settings>(r#"{"namespaces": {"default": 1000}}"#).unwrap();
    let first_slots = |attempt| {
        let numbers = (0..50).map(|nth| {
            let mut request = request(&["10.0.0.0/16"]);
            (request.container_id, request.attempt) = (format!("c{nth}"), attempt);
            let pool = PoolDouble::of(&request.range_sets);
            let proposals = ByQuota::allocate(&request, &settings, &pool).unwrap();
            proposals[0][0].slot.as_ref().unwrap().number
        });
        numbers.collect::<std::collections::BTreeSet<u32>>()
    };
    assert!(first_slots(0).len() > 40 && first_slots(1).len() > 40);
    assert_ne!(first_slots(0), first_slots(1));
}

#[test]
fn settings_that_are_not_understood() {
    for (settings, error) in [
        ("{}", "policy.settings: `namespaces` is missing"),
        (
            r#"{"namespaces": {"a": 8193}}"#,
            "policy.settings.namespaces.a: 8193: expected a whole number from 0 to 8192",
        ),
        (r#"{"namespaces": {"a": -1}}"#, "policy.settings.namespaces.a: the number -1: expected a whole number"),
        (r#"{"namespaces": {"a": "10"}}"#, "policy.settings.namespaces.a: the text \"10\": expected a whole number"),
        (r#"{"namespaces": {}, "default": 1.5}"#, "policy.settings.default: the number 1.5: expected a whole number"),
        (r#"{"namespaces": {}, "limit": 5}"#, "policy.settings.limit: unknown field `limit`, expected one of"),
    ] {
        let said = decode::<Settings>(settings).unwrap_err().to_string();
        assert!(said.starts_with(error), "{settings}: {said}");
    }
}

#[test]
fn the_schema_agrees_with_the_code() {
    let schema: Value = serde_json::from_str(ByQuota::describe().settings_schema).unwrap();
    let properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(properties, ["default", "namespaces", "proposals", "strategy"]);
    assert_eq!(decode::<Settings>(r#"{"namespaces": {}}"#).unwrap().strategy, Strategy::default());
    assert_eq!(schema["properties"]["strategy"]["default"], "round-robin");
    let most = &schema["$defs"]["limit"]["maximum"];
    decode::<Settings>(&json!({"namespaces": {"a": most}}).to_string()).unwrap();
    assert_eq!(most.as_u64(), Some(kube_ipam_policy::MOST_SLOTS.into()));
}
