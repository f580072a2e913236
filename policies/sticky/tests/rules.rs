//! The rules of the policy, as cases in JSON, what a single situation cannot show, and its settings.

use std::net::IpAddr;

use kube_ipam_policy::address::Span;
use kube_ipam_policy::testing::{self, PoolDouble, addresses, check_cases};
use kube_ipam_policy::{AttachmentHolder, Holder, Policy, Pool, Request, Usage, decode};
use serde_json::{Value, json};
use sticky::{Keep, Settings, Sticky};

#[test]
fn who_is_sticky() {
    check_cases::<Sticky>(include_str!("who.json"));
}

#[test]
fn what_is_kept() {
    check_cases::<Sticky>(include_str!("kept.json"));
}

#[test]
fn ordinals() {
    check_cases::<Sticky>(include_str!("ordinals.json"));
}

/// What the policy asks to be kept is what it asks for when the pod is back.
#[test]
fn a_pod_finds_its_addresses_again() {
    let request = testing::request(&["10.0.0.0/24", "fd00::/64"]).annotated("kube-ipam.sticky", "true");
    let first = Sticky::allocate(&request, &Settings::default(), &PoolDouble::of(&request.range_sets)).unwrap();
    let released = first[1].iter().fold(PoolDouble::of(&request.range_sets), |pool, assignment| {
        let identity = assignment.hold.as_ref().unwrap().identity.clone();
        pool.held_by(&assignment.address.to_string(), Holder::Hold(identity))
    });
    let again = Sticky::allocate(&request, &Settings::default(), &released).unwrap();
    assert_eq!(addresses(&again), ["10.0.0.3 + fd00::3"]);
}

/// A record and a hold for one address do not go together. Should they ever, the pod does not fail for it: the claim
/// is lost once, then the holder is seen.
#[test]
fn kept_but_held_by_another() {
    let request = testing::request(&["10.0.0.0/24"]).annotated("kube-ipam.sticky", "true");
    for (pod, attempt, expected) in
        [(Some("other"), 0, "10.0.0.77"), (Some("other"), 1, "10.0.0.73"), (None, 1, "10.0.0.73")]
    {
        let pod = pod.map(|name| ("default".to_owned(), name.to_owned()));
        let holder = Holder::Attachment(AttachmentHolder { pod, ..AttachmentHolder::default() });
        let pool = PoolDouble::of(&request.range_sets).held_by("10.0.0.77", holder);
        let request = Request { attempt, ..request.clone() };
        let proposals = Sticky::allocate(&request, &Settings::default(), &KeptAnyway(pool)).unwrap();
        assert_eq!(addresses(&proposals)[0], expected);
    }
}

/// A pool that keeps 10.0.0.77 for whoever asks, whoever holds it.
struct KeptAnyway(PoolDouble);

impl Pool for KeptAnyway {
    fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Option<IpAddr> {
        self.0.next_free(range_set, after)
    }

    fn next_free_within(&self, span: Span) -> Option<IpAddr> {
        self.0.next_free_within(span)
    }

    fn holder_of(&self, address: IpAddr) -> Option<Holder> {
        self.0.holder_of(address)
    }

    fn last_claimed(&self, range_set: usize) -> Option<IpAddr> {
        self.0.last_claimed(range_set)
    }

    fn usage(&self, range_set: usize) -> Usage {
        self.0.usage(range_set)
    }

    fn held_for(&self, _: &str) -> Vec<IpAddr> {
        vec![[10, 0, 0, 77].into()]
    }

    fn taken_slots(&self, name: &str) -> Vec<u32> {
        self.0.taken_slots(name)
    }
}

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
