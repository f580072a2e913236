//! The rules, natively and on plain values: `cargo test`.

use kube_ipam_policy::testing::{self, PoolDouble};
use kube_ipam_policy::{Policy, Refusal, decode};
use policy::{NewPolicy, Settings};

#[test]
fn an_offset_keeps_a_pod_out_of_the_start_of_the_range() {
    let request = testing::request(&["10.0.0.0/24", "fd00::/64"]).annotated("kube-ipam.offset", "100");
    let pool = PoolDouble::of(&request.range_sets).holding(["10.0.0.102"]);
    let settings = decode::<Settings>(r#"{"proposals": 2}"#).expect("settings");
    let proposals = NewPolicy::allocate(&request, &settings, &pool).expect("proposals");
    assert_eq!(testing::addresses(&proposals), ["10.0.0.103 + fd00::66", "10.0.0.104 + fd00::67"]);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    for (value, end) in [("nonsense", "expected a whole number"), ("300", "of network \"blue\" ends below")] {
        let request = testing::request(&["10.0.0.0/24"]).annotated("kube-ipam.offset", value);
        let pool = PoolDouble::of(&request.range_sets);
        match NewPolicy::allocate(&request, &Settings::default(), &pool) {
            Err(Refusal::Invalid(text)) => assert!(text.ends_with(end), "{text}"),
            other => panic!("{value}: {other:?}"),
        }
    }
}

#[test]
fn settings_that_are_not_understood_are_named() {
    let error = decode::<Settings>(r#"{"proposal": 2}"#).expect_err("a misspelt setting").to_string();
    assert!(error.starts_with("policy.settings.proposal: unknown field"), "{error}");
}
