//! A decision survives being written down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    Allocation, Assignment, Attachment, Gateway, HoldTerms, Holder, Kind, Metadata, Owner, Pod, PodName, RangeSets,
    RangeSpec, Reservation, Slot, Span,
};

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into())
    ]
}

fn span() -> impl Strategy<Value = Span> {
    (address(), address()).prop_filter_map("of one family", |(one, two)| Span::new(one.min(two), one.max(two)))
}

fn gateway() -> impl Strategy<Value = Gateway> {
    prop_oneof![Just(Gateway::Default), Just(Gateway::None), Just(Gateway::At(Ipv4Addr::new(169, 254, 1, 1).into()))]
}

fn range_sets() -> impl Strategy<Value = RangeSets> {
    let v4 = (any::<u16>(), 17..=31_u8, 0..4_u32, any::<bool>(), gateway()).prop_filter_map(
        "a range",
        |(net, length, skip, fixed, gateway)| {
            let subnet: ipnetwork::IpNetwork = format!("10.{}.{}.0/{length}", net >> 8, net & 255).parse().ok()?;
            let mut spec = RangeSpec { gateway, ..RangeSpec::of_subnet(subnet) };
            let nth = |nth: u32| match subnet.network() {
                IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + nth)),
                v6 @ IpAddr::V6(_) => v6,
            };
            if length < 28 {
                spec.first = Some(nth(2 + skip));
                (spec.fixed_first, spec.fixed_last) = (fixed.then(|| nth(3)), fixed.then(|| nth(5)));
            }
            Some(spec)
        },
    );
    let v6 = any::<u16>().prop_map(|net| RangeSpec::of_subnet(format!("fd00:{net:x}::/64").parse().unwrap()));
    (v4, of(v6), of(any::<u8>())).prop_filter_map("range sets", |(v4, v6, excluded)| {
        let excluded = excluded.map(|last| format!("10.7.7.{last}/32").parse().unwrap());
        let specs = std::iter::once(vec![v4]).chain(v6.map(|v6| vec![v6])).collect();
        RangeSets::new(specs, excluded.as_slice()).ok()
    })
}

fn texts() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    btree_map("[a-z./-]{1,12}", ".{0,12}", 0..3)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (texts(), texts()).prop_map(|(labels, annotations)| Metadata { labels, annotations })
}

fn pod_name() -> impl Strategy<Value = PodName> {
    ("[a-z]{1,6}", "[a-z0-9-]{1,6}", of("[0-9a-f]{8}")).prop_map(|(namespace, name, uid)| PodName {
        namespace,
        name,
        uid,
        cluster: None,
    })
}

fn pod() -> impl Strategy<Value = Pod> {
    let owner = ("[A-Z][a-z]+", "[a-z]+").prop_map(|(kind, name)| Owner { kind, name });
    (pod_name(), texts(), texts(), of(owner)).prop_map(|(name, annotations, labels, owner)| Pod {
        name,
        annotations,
        labels,
        owner,
    })
}

fn attachment() -> impl Strategy<Value = Attachment> {
    ("[a-z]{1,6}", "[0-9a-f]{8}", "eth[0-9]").prop_map(|(network, container, interface)| Attachment {
        network,
        container,
        interface,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let asking = (attachment(), "[a-z0-9-]{1,9}", of(pod()), texts(), of(metadata()), of(metadata()));
    (asking, vec(address(), 0..3), vec(address(), 0..3), range_sets(), any::<u32>()).prop_map(
        |((attachment, node, pod, annotations, namespace, node_metadata), requested, previous, range_sets, attempt)| {
            Request {
                attachment,
                node,
                pod,
                annotations,
                requested,
                previous,
                range_sets,
                attempt,
                namespace,
                node_metadata,
            }
        },
    )
}

fn policy() -> impl Strategy<Value = PolicyName> {
    ("[a-z-]{1,9}", "[0-9a-f]{64}", of("[a-z]{1,4}\\.wasm")).prop_map(|(name, sha256, instead_of)| PolicyName {
        name,
        sha256,
        instead_of,
    })
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32).prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn hold() -> impl Strategy<Value = HoldTerms> {
    ("[a-z]{1,6}", any::<u64>()).prop_map(|(identity, seconds)| HoldTerms { identity, seconds })
}

fn slot() -> impl Strategy<Value = Slot> {
    ("[a-z]{1,6}", any::<u32>()).prop_map(|(name, number)| Slot { name, number })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Dynamic), Just(Kind::Fixed)]
}

fn holder() -> impl Strategy<Value = Holder> {
    let attachment =
        (address(), kind(), attachment(), of(pod_name()), of(policy()), moment(), (of(hold()), of(slot()))).prop_map(
            |(address, kind, attachment, pod, policy, since, (hold, slot))| {
                let (node, machine) = ("node-1".to_owned(), "m1".to_owned());
                let former = None;
                let held = Allocation {
                    address,
                    kind,
                    attachment,
                    node,
                    machine,
                    pod,
                    policy,
                    since,
                    hold,
                    slot,
                    former,
                    why: None,
                };
                Holder::Attachment(Box::new(held))
            },
        );
    let kept = ("[a-z]{1,6}", moment()).prop_map(|(identity, until)| Holder::Hold { identity, until });
    let reserved = ("[a-z ]{1,6}", moment(), of("[a-z]{1,6}")).prop_map(|(reason, since, list)| {
        Holder::Reservation(Box::new(Reservation { reason, by: "root@node-1".to_owned(), since, list }))
    });
    prop_oneof![attachment, kept, reserved]
}

/// With neighbours among the held addresses, which are written as one.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    let spans = vec((span(), vec((address(), 1..5_u32), 0..4)), 0..3);
    let learnt =
        (vec(span(), 0..2), btree_map(address(), of(holder()), 0..3), btree_map(0..3_usize, any::<u64>(), 0..2));
    let kept = btree_map(".{1,6}", vec(address(), 0..3), 0..2);
    let slots = btree_map("[a-z]{1,6}", vec(any::<u32>(), 0..3), 0..2);
    let names = (kept, slots);
    (spans, learnt, names, vec(of(address()), 0..3)).prop_map(
        |(spans, (full, holders, counts), (kept, slots), last)| {
            let mut snapshot = Snapshot::new(RangeSets::default(), last);
            for (span, runs) in spans {
                let run = |(first, length): (IpAddr, u32)| {
                    std::iter::successors(Some(first), |&last| crate::address::successor(last)).take(length as usize)
                };
                snapshot.learn_span(span, runs.into_iter().flat_map(run));
            }
            full.into_iter().for_each(|span| snapshot.learn_full(span));
            holders.into_iter().for_each(|(address, holder)| snapshot.learn_holder(address, holder));
            counts.into_iter().for_each(|(set, held)| snapshot.learn_usage(set, held));
            kept.into_iter().for_each(|(identity, addresses)| snapshot.learn_held_for(identity, addresses));
            slots.into_iter().for_each(|(name, taken)| snapshot.learn_slots(name, taken));
            snapshot
        },
    )
}

fn answer() -> impl Strategy<Value = VerdictOrFault> {
    let assignment = (address(), any::<u8>(), of(address()), kind(), of(hold()), of(slot())).prop_map(
        |(address, prefix_length, gateway, kind, hold, slot)| Assignment {
            address,
            prefix_length,
            gateway,
            kind,
            hold,
            slot,
            why: None,
        },
    );
    let refusal = (0..4, ".{0,12}").prop_map(|(kind, text)| match kind {
        0 => Refusal::Exhausted(text),
        1 => Refusal::Taken(text),
        2 => Refusal::Invalid(text),
        _ => Refusal::Denied(text),
    });
    prop_oneof![
        vec(vec(assignment, 0..3), 0..3).prop_map(VerdictOrFault::Proposals),
        refusal.prop_map(VerdictOrFault::Refusal),
        ".{0,12}".prop_map(VerdictOrFault::Fault)
    ]
}

fn settings() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("[a-z]{1,6}", any::<i32>(), 0..3)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key, json!({"nested": [value]}))).collect())
}

fn decision() -> impl Strategy<Value = Decision> {
    let shadow =
        (policy(), settings(), answer()).prop_map(|(policy, settings, answer)| Shadowed { policy, settings, answer });
    let whole = (moment(), policy(), settings(), request(), snapshot(), answer(), of(shadow), vec("[a-z]+", 0..2));
    whole.prop_map(|(at, policy, settings, request, snapshot, answer, shadow, left_out)| {
        let snapshot = snapshot.about(request.range_sets.clone());
        Decision { at, policy, settings, request, snapshot, answer, shadow, left_out }
    })
}

proptest! {
    #[test]
    fn everything_of_a_decision_survives_the_way_to_a_file_and_back(decision in decision()) {
        let line = serde_json::to_string(&decision).unwrap();
        prop_assert!(!line.contains('\n'));
        let back: Decision = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&back, &decision, "{}", line);
        let told: Told = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(told, decision.told());
    }
}

#[test]
fn a_decision_reads_like_a_configuration() {
    let decision: Decision = serde_json::from_value(json!({
        "at": "2026-01-01T00:00:00Z",
        "policy": {"name": "range-fixed", "sha256": "ab"},
        "settings": {"strategy": "lowest"},
        "request": {
            "attachment": {"network": "blue", "container": "c1", "interface": "eth0"},
            "node": "node-1",
            "rangeSets": {"ranges": [[{"subnet": "10.1.0.0/24"}]], "exclude": ["10.1.0.64/28"]}
        },
        "snapshot": {"known": ["10.1.0.2-10.1.0.254"], "held": ["10.1.0.2-10.1.0.4", "10.1.0.9"], "lastClaimed": ["10.1.0.4"]},
        "answer": {"proposals": [[{"address": "10.1.0.5", "prefixLength": 24, "gateway": "10.1.0.1", "kind": "dynamic"}]]}
    }))
    .unwrap();
    assert_eq!(decision.answer.to_string(), "10.1.0.5");
    assert_eq!(decision.snapshot.next_free(0, decision.snapshot.last_claimed(0)), Ok("10.1.0.5".parse().ok()));
    let written = serde_json::to_value(&decision).unwrap();
    let range =
        json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.254", "gateway": "10.1.0.1"});
    assert_eq!(written["request"]["rangeSets"], json!({"ranges": [[range]], "exclude": ["10.1.0.64/28"]}));
    assert_eq!(written["snapshot"]["held"], json!(["10.1.0.2-10.1.0.4", "10.1.0.9"]));
}

#[test]
fn nonsense_is_refused_where_it_stands() {
    let refused = |request: Value| serde_json::from_value::<Told>(json!({"request": request})).unwrap_err().to_string();
    let attachment = json!({"network": "blue", "container": "c1", "interface": "eth0"});
    let ranges = |ranges: Value| json!({"attachment": attachment, "rangeSets": {"ranges": ranges}});
    let outside = refused(ranges(json!([[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]])));
    assert_eq!(outside, "rangeStart 10.2.0.1 is outside the subnet 10.1.0.0/24");
    let nobody = refused(ranges(json!([[{"subnet": "10.1.0.0/24", "gateway": "nobody"}]])));
    assert!(nobody.starts_with("\"nobody\" is not a gateway"), "{nobody}");
    let misspelt = refused(ranges(json!([[{"subnet": "10.1.0.0/24", "rangestart": "10.1.0.9"}]])));
    assert!(misspelt.starts_with("unknown field `rangestart`"), "{misspelt}");
    let all_of_ipv6 = json!({"known": [], "held": ["fd00::-fd00:ffff::"]});
    let too_many = serde_json::from_value::<Snapshot>(all_of_ipv6).unwrap_err().to_string();
    assert!(too_many.contains("at most 1048576 are read"), "{too_many}");
    let inverted = serde_json::from_value::<Snapshot>(json!({"known": ["10.0.0.9-10.0.0.1"]})).unwrap_err().to_string();
    assert!(inverted.starts_with("\"10.0.0.9-10.0.0.1\" is not a valid range: the end of a range"), "{inverted}");
}

#[test]
fn answers_agree_when_the_attachment_fares_the_same() {
    let proposals = |addresses: &[&str]| {
        let one = |address: &&str| Assignment::in_range_of(&RangeSets::default(), address.parse().unwrap());
        VerdictOrFault::Proposals(addresses.iter().map(|address| vec![one(address)]).collect())
    };
    assert!(proposals(&["10.0.0.1", "10.0.0.2"]).agrees_with(&proposals(&["10.0.0.1"])));
    assert!(!proposals(&["10.0.0.1"]).agrees_with(&proposals(&["10.0.0.2", "10.0.0.1"])));
    let refusal = |text: &str| VerdictOrFault::Refusal(Refusal::Denied(text.to_owned()));
    assert!(refusal("here").agrees_with(&refusal("there")));
    assert!(!refusal("here").agrees_with(&VerdictOrFault::Refusal(Refusal::Taken("here".to_owned()))));
    assert!(!refusal("here").agrees_with(&VerdictOrFault::Fault("here".to_owned())));
}
