//! The settings, and that their schema says what the code does.

use kube_ipam_policy::{Policy, decode};
use serde_json::{Value, json};
use sticky::{Keep, Settings, Sticky};

#[test]
fn none_are_required() {
    assert_eq!(decode::<Settings>("{}").unwrap(), Settings::default());
}

#[test]
fn what_is_not_understood_is_named() {
    for (settings, error) in [
        (
            r#"{"pods": "some"}"#,
            "policy.settings.pods: unknown value `some`, expected one of `statefulset`, `all`, `annotated`",
        ),
        (
            r#"{"keep": "soon"}"#,
            "policy.settings.keep: \"soon\": expected a duration above zero, such as 90s, 30m, 24h, 7d or 1d12h, and at most 90d",
        ),
        (r#"{"keep": "0s"}"#, "policy.settings.keep: \"0s\": expected a duration above zero"),
        (r#"{"keep": 3600}"#, "policy.settings.keep: the number 3600: expected a text"),
        (
            r#"{"ordinals": {"web": "10.0.0.1"}}"#,
            "policy.settings.ordinals.web: \"web\": expected a namespace and the name of a StatefulSet, such as shop/web",
        ),
        (r#"{"ordinals": {"a/b/c": "10.0.0.1"}}"#, "policy.settings.ordinals.a/b/c: \"a/b/c\": expected a namespace"),
        (r#"{"ordinals": {"/b": "10.0.0.1"}}"#, "policy.settings.ordinals./b: \"/b\": expected a namespace"),
        (
            r#"{"ordinals": {"shop/web": "ten"}}"#,
            "policy.settings.ordinals.shop/web: \"ten\": expected an address such as \"10.1.0.10\", or a list of such",
        ),
        (
            r#"{"ordinals": {"shop/web": ["10.1.0.10", "10.1.0.0/24"]}}"#,
            "policy.settings.ordinals.shop/web[1]: \"10.1.0.0/24\": expected an address such as",
        ),
        (
            r#"{"ordinals": {"shop/web": 10}}"#,
            "policy.settings.ordinals.shop/web: the number 10: expected an address such as \"10.1.0.10\", or a list of such",
        ),
        (
            r#"{"ordinals": {"shop/web": ["10.1.0.10", "10.1.0.10"]}}"#,
            "policy.settings.ordinals.shop/web: 10.1.0.10 appears twice",
        ),
        (r#"{"ordinals": {"shop/web": []}}"#, "policy.settings.ordinals.shop/web: the list is empty: expected an"),
        (
            r#"{"ordinal": {}}"#,
            "policy.settings.ordinal: unknown field `ordinal`, expected one of `pods`, `keep`, `keepMost`, `ordinals`, `strategy`, `proposals`",
        ),
        (r#"{"strategy": "random"}"#, "policy.settings.strategy: unknown value `random`"),
        (r#"{"proposals": 0}"#, "policy.settings.proposals: 0: expected a whole number from 1 to 64"),
    ] {
        let said = decode::<Settings>(settings).unwrap_err().to_string();
        assert!(said.starts_with(error), "{settings}: {said}");
    }
}

#[test]
fn the_schema_agrees_with_the_code() {
    let schema: Value = serde_json::from_str(Sticky::describe().settings_schema).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(
        properties.keys().collect::<Vec<_>>(),
        ["keep", "keepMost", "ordinals", "pods", "proposals", "strategy"]
    );
    let defaults: Value =
        properties.iter().map(|(name, property)| (name.clone(), property["default"].clone())).collect();
    let defaults = decode::<Settings>(&defaults.to_string()).unwrap();
    assert_eq!(defaults.keep_most, Some("7d".parse().unwrap()));
    assert_eq!(Settings { keep_most: None, ..defaults }, Settings::default());
    for pods in properties["pods"]["enum"].as_array().unwrap() {
        decode::<Settings>(&json!({ "pods": pods }).to_string()).unwrap();
    }
    assert_eq!("1h".parse(), Ok(Keep::default()));
}
