//! Lists, damage, and the inspection.

use super::bench::{Bench, MACHINE, addresses, dynamic, held_for, ip, requester, span};
use crate::keys::{node_digest, pod_digest};
use crate::map::Map;
use crate::ordered::{Change, OrderedMap};
use crate::record::encode;
use crate::{AddressRecord, RecordFilter, Taken};
use crate::{AllocationFilter, Disagreement, Requester, StoreError};
use ipam::{Allocation, Attachment, Claim, Slot};
use limits::store::PAGE;
use std::net::IpAddr;

pub(crate) async fn everything_is_listed_in_pages(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/22", "fd00::/64"]);
    bench.fill(span("10.0.1.1", "10.0.2.150")).await;
    bench.fill(span("fd00::2", "fd00::65")).await;
    let mut listed = Vec::new();
    let filter = AllocationFilter::default();
    let mut pages = bench.store.allocations(&filter).in_pages_of(81);
    while let Some(listing) = pages.next().await.unwrap() {
        assert!(listing.damaged.is_empty() && listing.held.len() <= 81);
        listed.extend(listing.held.into_iter().map(|held| held.address));
    }
    assert_eq!(listed.len(), 406 + 100);
    assert!(listed.is_sorted());
    bench.agrees().await;
}

pub(crate) async fn what_keeps_an_address_is_listed_in_the_order_of_addresses(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/22", "fd00::/64"]);
    bench.fill(span("10.0.1.1", "10.0.2.150")).await;
    for (nth, address) in ["10.0.0.9", "10.0.3.2", "fd00::7"].into_iter().enumerate() {
        let requester = requester(&format!("c{nth}"), "");
        bench.hold(&requester, &[held_for("web", 60, dynamic(address))]).await;
        bench.release(&requester).await;
    }
    bench.fill(span("fd00::2", "fd00::5")).await;
    let everything = RecordFilter { allocations: true, holds: true, spans: Vec::new() };
    let found = listed(&bench, &everything).await;
    assert_eq!(found.len(), 406 + 4 + 3);
    assert!(found.is_sorted_by_key(AddressRecord::address));
    let holds = listed(&bench, &RecordFilter { allocations: false, ..everything.clone() }).await;
    let on_hold: Vec<String> = holds.iter().map(|record| record.address().to_string()).collect();
    assert_eq!(on_hold, ["10.0.0.9", "10.0.3.2", "fd00::7"]);
    assert_eq!(listed(&bench, &RecordFilter { holds: false, ..everything.clone() }).await.len(), 410);
    let spans = vec![span("10.0.0.0", "10.0.1.4"), span("fd00::4", "fd00::ffff")];
    let some = listed(&bench, &RecordFilter { spans: spans.clone(), ..everything }).await;
    assert_eq!(some.len(), 1 + 4 + 2 + 1);
    // The same ones by their addresses, in any order, and none that has no record.
    let mut wanted: Vec<IpAddr> = some.iter().rev().map(AddressRecord::address).collect();
    wanted.push(ip("10.0.3.3"));
    let again = bench.store.records_of(&wanted).await.unwrap();
    assert!(again.damaged.is_empty() && again.records.iter().rev().eq(&some));
    // Counted without being read, each span by itself.
    let taken = bench.store.taken_in(&spans, bench.now.get()).await.unwrap();
    assert_eq!(taken, [Taken { held: 4, kept: 1, reserved: 0 }, Taken { held: 2, kept: 1, reserved: 0 }]);
    bench.pass(std::time::Duration::from_secs(61));
    let taken = bench.store.taken_in(&spans, bench.now.get()).await.unwrap();
    assert_eq!(
        taken,
        [Taken { held: 4, kept: 0, reserved: 0 }, Taken { held: 2, kept: 0, reserved: 0 }],
        "what is over keeps no address"
    );
}

async fn listed(bench: &Bench, filter: &RecordFilter) -> Vec<AddressRecord> {
    let mut records = Vec::new();
    let mut pages = bench.store.address_records(filter);
    while let Some(listing) = pages.next().await.unwrap() {
        assert!(listing.damaged.is_empty() && listing.records.len() <= PAGE);
        records.extend(listing.records);
    }
    records
}

pub(crate) async fn a_filter_finds_pods_containers_networks_and_addresses(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let mut net1 = requester("one", "a");
    net1.attachment.interface = "net1".into();
    net1.attachment.network = "green".into();
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    bench.hold(&net1, &[dynamic("10.0.0.3")]).await;
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.4")]).await;
    let cases = [
        (
            AllocationFilter { container: Some("one".into()), ..AllocationFilter::default() },
            vec!["10.0.0.2", "10.0.0.3"],
        ),
        (AllocationFilter { container: Some("o".into()), ..AllocationFilter::default() }, vec!["10.0.0.2", "10.0.0.3"]),
        (AllocationFilter { container: Some("ones".into()), ..AllocationFilter::default() }, vec![]),
        (
            AllocationFilter { pod: Some(("default".into(), "a".into())), ..AllocationFilter::default() },
            vec!["10.0.0.2", "10.0.0.3"],
        ),
        (
            AllocationFilter { network: Some("blue".into()), ..AllocationFilter::default() },
            vec!["10.0.0.2", "10.0.0.4"],
        ),
        (AllocationFilter { address: Some(ip("10.0.0.4")), ..AllocationFilter::default() }, vec!["10.0.0.4"]),
        (
            AllocationFilter {
                address: Some(ip("10.0.0.4")),
                container: Some("one".into()),
                ..AllocationFilter::default()
            },
            vec![],
        ),
        (
            AllocationFilter {
                container: Some("one".into()),
                network: Some("green".into()),
                ..AllocationFilter::default()
            },
            vec!["10.0.0.3"],
        ),
    ];
    for (filter, expected) in cases {
        let listing = bench.store.allocations(&filter).all().await.unwrap();
        let found: Vec<String> = listing.held.iter().map(|held| held.address.to_string()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    bench.agrees().await;
}

pub(crate) async fn a_pod_is_found_in_every_cluster_and_with_what_it_ceded(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let of_a = AllocationFilter { pod: Some(("default".into(), "a".into())), ..AllocationFilter::default() };
    assert_eq!(bench.store.allocations(&of_a).all().await.unwrap().held, []);
    for (nth, cluster) in ["", "one", "two", "two-b", "Z/"].into_iter().enumerate() {
        for (pod_nth, pod) in ["a", "b", "a-b"].into_iter().enumerate() {
            let mut holder = requester(&format!("c{nth}{pod_nth}"), pod);
            let pod = holder.pod.as_mut().unwrap();
            pod.cluster = Some(cluster.to_owned()).filter(|cluster| !cluster.is_empty());
            bench.hold(&holder, &[dynamic(&format!("10.0.0.{}", 10 * nth + pod_nth + 2))]).await;
        }
    }
    let mut found = bench.store.allocations(&of_a).all().await.unwrap().held;
    let mut read = bench.store.search(&of_a).all().await.unwrap().held;
    found.sort_by_key(|held| held.address);
    read.sort_by_key(|held| held.address);
    assert_eq!(
        found.iter().map(|held| held.address.to_string()).collect::<Vec<_>>().join(" "),
        "10.0.0.2 10.0.0.12 10.0.0.22 10.0.0.32 10.0.0.42"
    );
    assert_eq!(found, read);

    // Keys that are none of ours hide no cluster that lies behind them.
    let pods = bench.store.keys.pods_named("default", "a").from;
    let foreign = ["%zz/x", "-/%zz", "0/eth0", "~", "~/eth0"].map(|key| format!("{pods}{key}"));
    for key in &foreign {
        bench.scribble(key, b"?").await;
    }
    let mut beside = bench.store.allocations(&of_a).all().await.unwrap().held;
    beside.sort_by_key(|held| held.address);
    assert_eq!(beside, found);
    for key in &foreign {
        bench.delete(key).await;
    }
    bench.agrees().await;
}

pub(crate) async fn a_pod_is_found_without_reading_the_others(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let mut one = requester("one", "a");
    one.pod.as_mut().unwrap().cluster = Some("6c1f".into());
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let of_a = AllocationFilter { pod: Some(("default".into(), "a".into())), ..AllocationFilter::default() };
    let mut costs = Vec::new();
    for held in [0, 200] {
        for nth in 0..held {
            let mut other = requester(&format!("other-{nth}"), &format!("other-{nth}"));
            other.pod.as_mut().unwrap().cluster = Some("6c1f".into());
            bench.hold(&other, &[dynamic(&format!("10.0.1.{nth}"))]).await;
        }
        let (found, reads, walked) = bench.cost(bench.store.allocations(&of_a).all()).await;
        assert_eq!(found.unwrap().held.len(), 1);
        costs.push((reads, walked));
    }
    // The index, the claim, and what the claim ceded.
    assert!(costs.iter().all(|(reads, walked)| *reads <= 3 && *walked <= 3), "{costs:?}");
}

pub(crate) async fn a_damaged_record_disturbs_nobody_else(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let keys = bench.store.keys.clone();
    let three = Allocation { address: ip("10.0.0.9"), ..held(&bench, &one).await };
    bench.scribble(&keys.address(ip("10.0.0.3")), &encode(&three)).await;
    bench.scribble(&keys.address(ip("10.0.0.4")), b"\xff{").await;
    bench.scribble(&keys.hold(ip("10.0.0.5")), b"nonsense").await;
    bench.scribble(&keys.attachment(&one.attachment), b"{}").await;

    let claim = bench.hold_next(&requester("two", "b"), None).await.unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.6"]);
    let listing = bench.store.allocations(&AllocationFilter::default()).all().await.unwrap();
    assert_eq!((listing.held.len(), listing.damaged.len()), (2, 2));

    let error = bench.store.held_by(&one.attachment).await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { key, .. } if *key == keys.attachment(&one.attachment)), "{error}");
    let error = bench.store.holders(&[ip("10.0.0.3")], bench.now.get()).await.unwrap_err();
    let expected = format!("the record {} is damaged: it is about 10.0.0.9", keys.address(ip("10.0.0.3")));
    assert_eq!(error.to_string(), expected);
    // Four damaged records, and three indexes that lead to the damaged claim.
    assert_eq!(bench.store.inspect().await.unwrap().len(), 7);
}

pub(crate) async fn names_with_odd_characters_stay_apart(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let names = ["a/b", "a%2fb", "a", "a/", "ü", "..", "a b"];
    for (nth, name) in names.iter().enumerate() {
        let attachment = Attachment { network: (*name).into(), container: (*name).into(), interface: (*name).into() };
        let odd = Requester {
            attachment,
            node: (*name).into(),
            machine: MACHINE.into(),
            pod: Some(super::bench::pod(name, "")),
        };
        bench.hold(&odd, &[dynamic(&format!("10.0.0.{}", nth + 2))]).await;
        assert_eq!(bench.store.attachments_on(name, MACHINE, name).await.unwrap(), [odd.attachment]);
    }
    let occupancy = bench.store.occupancy(&bench.sets, bench.tick()).await.unwrap();
    assert_eq!(occupancy[0].held, names.len() as u64);
    bench.agrees().await;
}

pub(crate) async fn inspection_finds_every_kind_of_disagreement(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    let claim = bench.hold(&one, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")]).await;
    bench.hold(&two, &[held_for("me", 60, dynamic("10.0.0.4"))]).await;
    bench.release(&two).await;
    let keys = bench.store.keys.clone();
    let record = held(&bench, &one).await;
    let odd = format!("{}/v2/blue/odd", bench.prefix);
    bench.scribble(&odd, b"").await;
    bench.scribble(&keys.address(ip("10.0.0.9")), &encode(&Allocation { address: ip("10.0.0.9"), ..record })).await;
    bench.scribble(&keys.node_at(&node_digest("node-7"), MACHINE, &one.attachment), b"").await;
    bench.scribble(&keys.pod(&super::bench::pod("z", ""), &one.attachment), b"gone").await;
    let slot = Slot { name: "team".into(), number: 3 };
    bench.scribble(&keys.slot(&slot), b"10.0.0.2").await;
    let mut change = Change::default();
    change.delete(keys.address(ip("10.0.0.3"))).delete(keys.identity("me", ip("10.0.0.4")));
    change.delete(keys.node_of(&claim));
    bench.store.map().commit(&[change]).await.unwrap();

    let attachment = one.attachment;
    let found = bench.store.inspect().await.unwrap();
    let gone = Attachment { container: "gone".into(), ..attachment.clone() };
    let expected = [
        Disagreement::Foreign(odd),
        Disagreement::ClaimWithoutAddress {
            attachment: attachment.clone(),
            address: ip("10.0.0.3"),
            found: "is missing".into(),
        },
        Disagreement::MissingFromNode { attachment: attachment.clone(), node: "node-1".into() },
        Disagreement::AddressWithoutClaim { address: ip("10.0.0.9"), attachment: attachment.clone() },
        Disagreement::StaleNode { attachment, node: node_digest("node-7"), machine: MACHINE.into() },
        Disagreement::StalePod { pod: pod_digest(&super::bench::pod("z", "")), attachment: gone },
        Disagreement::Identity { address: ip("10.0.0.4"), identity: "me".into() },
        Disagreement::Slot { slot, found: "is taken for 10.0.0.2, which does not have it".into() },
    ];
    assert_eq!(found, expected);
    assert_eq!(claim.addresses.len(), 2);
}

/// The record under the requester's first address.
async fn held(bench: &Bench, requester: &Requester) -> Allocation {
    let claim: Claim = bench.store.held_by(&requester.attachment).await.unwrap().unwrap();
    claim.allocations().next().unwrap()
}
