//! The rules of the default policy, as cases in JSON, one file per subject, and its settings.

use kube_ipam_policy::testing::check_cases;
use kube_ipam_policy::{Policy, ProposalCount, Strategy, decode};
use range_fixed::{RangeFixed, Settings};
use serde_json::{Value, json};

#[test]
fn named_addresses() {
    check_cases::<RangeFixed>(include_str!("named.json"));
}

#[test]
fn malformed_annotations() {
    check_cases::<RangeFixed>(include_str!("malformed.json"));
}

#[test]
fn pools() {
    check_cases::<RangeFixed>(include_str!("pools.json"));
}

#[test]
fn dynamic_addresses() {
    check_cases::<RangeFixed>(include_str!("dynamic.json"));
}

#[test]
fn none_are_required() {
    assert_eq!(decode::<Settings>("{}").unwrap(), Settings::default());
}

#[test]
fn what_is_not_understood_is_named() {
    for (settings, error) in [
        (r#"{"strategy": "random"}"#, "policy.settings.strategy: unknown value `random`, expected one of"),
        (r#"{"proposals": 0}"#, "policy.settings.proposals: 0: expected a whole number from 1 to 64"),
        (r#"{"proposals": 1.5}"#, "policy.settings.proposals: the number 1.5: expected a whole number"),
        (
            r#"{"Strategy": "hash"}"#,
            "policy.settings.Strategy: unknown field `Strategy`, expected one of `strategy`, `proposals`, `fixed`",
        ),
        (r#"{"fixed": true}"#, "policy.settings.fixed: true: expected "),
        ("null", "policy.settings must be a JSON object"),
    ] {
        let said = decode::<Settings>(settings).unwrap_err().to_string();
        assert!(said.starts_with(error), "{settings}: {said}");
    }
}

#[test]
fn the_schema_agrees_with_the_code() {
    let schema: Value = serde_json::from_str(RangeFixed::describe().settings_schema).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["fixed", "proposals", "strategy"]);
    for strategy in properties["strategy"]["enum"].as_array().unwrap() {
        decode::<Settings>(&json!({ "strategy": strategy }).to_string()).unwrap();
    }
    for fixed in properties["fixed"]["enum"].as_array().unwrap() {
        decode::<Settings>(&json!({ "fixed": fixed }).to_string()).unwrap();
    }
    let defaults: serde_json::Map<String, Value> =
        properties.iter().map(|(name, property)| (name.clone(), property["default"].clone())).collect();
    let defaults = Value::Object(defaults);
    assert_eq!(decode::<Settings>(&defaults.to_string()).unwrap(), Settings::default());
    let (least, most) = (&properties["proposals"]["minimum"], &properties["proposals"]["maximum"]);
    assert_eq!((least.as_u64(), most.as_u64()), (Some(1), Some(64)));
    assert!(ProposalCount::try_from(64).is_ok() && ProposalCount::try_from(65).is_err());
    assert_eq!(Strategy::default(), Strategy::RoundRobin);
}
