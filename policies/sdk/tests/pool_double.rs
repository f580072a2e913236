//! The pool that policies are tested with natively answers every question as the store does. Claims, releases and holds
//! are made in a real embedded store; what a policy would be told of it is held against the double.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;

use ipam::{
    self, Assignment, Attachment, Gateway, HoldTerms, Kind, PodName, Prefix, Question, RangeSets, RangeSpec, Slot,
    Snapshot, Span,
};
use jiff::Timestamp;
use kube_ipam_policy::testing::PoolDouble;
use kube_ipam_policy::{self as sdk, Pool};
use proptest::prelude::*;
use store::embedded::Embedded;
use store::{Claimed, Look, Requester, Store};

const IDENTITIES: [&str; 3] = ["shop/web-0", "shop/web-1", "ü/ %"];
const LISTS: [&str; 2] = ["namespace/shop/IPv4", "a"];

/// Somebody claims an address, and perhaps releases it, so that it is kept.
#[derive(Clone, Debug)]
struct Deed {
    address: IpAddr,
    kind: Kind,
    identity: Option<usize>,
    slot: Option<(usize, u32)>,
    released: bool,
}

/// Few addresses, so that they meet: 10.0.0.0 to 10.0.3.63, and the same in IPv6.
fn address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), 0..4_u8, 0..64_u8).prop_map(|(v4, third, last)| nth(v4, third, last))
}

fn nth(v4: bool, third: u8, last: u8) -> IpAddr {
    match v4 {
        true => [10, 0, third, last].into(),
        false => [0xfd00, third.into(), 0, 0, 0, 0, 0, u16::from(last)].into(),
    }
}

/// Of another range's subnet, perhaps.
fn gateway(v4: bool) -> impl Strategy<Value = Gateway> {
    let elsewhere = (0..5_u8, 0..64_u8).prop_map(move |(third, last)| Gateway::At(nth(v4, third, last)));
    prop_oneof![Just(Gateway::Default), Just(Gateway::None), elsewhere]
}

prop_compose! {
    fn spec(v4: bool)(
        third in 0..4_u8, bits in 1..7_u8, start in 0..64_u8, one in 0..64_u8, two in 0..64_u8, three in 0..64_u8,
        gateway in gateway(v4), inside in prop::option::of(0..64_u8), whole in any::<bool>(), fixed in any::<bool>(), wide in any::<bool>(),
    ) -> RangeSpec {
        let length = if v4 { 32 - bits } else if wide { 64 } else { 128 - bits };
        let subnet = format!("{}/{length}", nth(v4, third, start)).parse().unwrap();
        // Inside the subnet; what else may be wrong the host's check finds out.
        let hosts = (1 << bits) - 1;
        let mut ends = [one, two, three].map(|end| if wide && !v4 { end } else { end & hosts });
        ends.sort_unstable();
        let at = |last: u8| Some(nth(v4, third, if wide && !v4 { last } else { start & !hosts | last & hosts }));
        let mut spec = RangeSpec::of_subnet(subnet);
        spec.gateway = inside.and_then(at).map_or(gateway, Gateway::At);
        if !whole {
            (spec.first, spec.last) = (at(ends[0]), at(ends[2]));
        }
        if fixed {
            (spec.fixed_first, spec.fixed_last) = (at(ends[1]), at(ends[2]));
        }
        spec
    }
}

fn set() -> impl Strategy<Value = Vec<RangeSpec>> {
    any::<bool>().prop_flat_map(|v4| prop::collection::vec(spec(v4), 1..3))
}

/// Whatever the host's own check lets pass.
fn sets() -> impl Strategy<Value = RangeSets> {
    let excluded = prop::collection::vec((address(), 0..5_u8), 0..3);
    (prop::collection::vec(set(), 1..3), excluded).prop_filter_map("ranges that cannot be", |(specs, excluded)| {
        let part = |(address, bits): (IpAddr, u8)| {
            let length = if address.is_ipv4() { 32 - bits } else { 128 - bits };
            Prefix::new(address, length).unwrap()
        };
        RangeSets::new(specs, &excluded.into_iter().map(part).collect::<Vec<_>>()).ok()
    })
}

prop_compose! {
    fn deed()(
        address in address(), fixed in any::<bool>(), identity in prop::option::of(0..IDENTITIES.len()),
        slot in prop::option::of((0..LISTS.len(), 0..4_u32)), released in any::<bool>(),
    ) -> Deed {
        Deed { address, kind: if fixed { Kind::Fixed } else { Kind::Dynamic }, identity, slot, released }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_double_answers_like_the_host(
        sets in sets(),
        deeds in prop::collection::vec(deed(), 0..24),
        asked in prop::collection::vec((address(), address()), 1..24),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let site = Site { store: Store::new(Embedded::new(directory.path(), None), "", "blue"), sets };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let double = site.live(&deeds).await;
            site.compare(&double, &asked).await;
        });
    }
}

struct Site {
    store: Store,
    sets: RangeSets,
}

impl Site {
    /// Do it all in the store, and tell the double what came of it.
    async fn live(&self, deeds: &[Deed]) -> PoolDouble {
        let mut double = PoolDouble::of(&told(&self.sets));
        let (mut holders, mut slots) = (BTreeMap::new(), BTreeMap::new());
        for (nth, deed) in deeds.iter().enumerate() {
            let requester = requester(nth);
            let identity = deed.identity.map(|nth| IDENTITIES[nth].to_owned());
            let hold = identity.clone().map(|identity| HoldTerms { identity, seconds: 3_600 });
            let slot = deed.slot.map(|(list, number)| Slot { name: LISTS[list].to_owned(), number });
            let assignment = Assignment::in_range_of(&self.sets, deed.address);
            let assignment = Assignment { kind: deed.kind, hold, slot, ..assignment };
            let look = self.look(&requester).await;
            let Claimed::Done(claim) = self.store.claim(look, &[vec![assignment]], None, &[]).await.unwrap() else {
                continue;
            };
            if let Some(set) = self.sets.offering(deed.address).filter(|_| deed.kind == Kind::Dynamic) {
                double = double.claimed_last(set, &deed.address.to_string());
            }
            if deed.released {
                self.store.release(&requester.attachment, Timestamp::UNIX_EPOCH).await.unwrap();
                holders.insert(deed.address, identity.map(sdk::Holder::Hold));
            } else {
                let held = claim.allocations().next().unwrap();
                holders.insert(deed.address, Some(shown(&ipam::Holder::Attachment(Box::new(held)))));
                slots.insert(deed.address, deed.slot);
            }
        }
        let held = holders.into_iter().filter_map(|(address, holder)| Some((address, holder?)));
        let double = held.fold(double, |double, (address, holder)| double.held_by(&address.to_string(), holder));
        let taken = slots.into_values().flatten();
        taken.fold(double, |double, (list, number)| double.taking(LISTS[list], [number]))
    }

    async fn look(&self, requester: &Requester) -> Look {
        self.store.look_up(requester, &self.sets, &[], Timestamp::UNIX_EPOCH).await.unwrap()
    }

    async fn compare(&self, double: &PoolDouble, asked: &[(IpAddr, IpAddr)]) {
        let mut look = self.look(&requester(usize::MAX)).await;
        for index in 0..self.sets.len() {
            for after in std::iter::once(None).chain(asked.iter().map(|(address, _)| Some(*address))) {
                let host = learn(&mut look, |snapshot| snapshot.next_free(index, after)).await;
                assert_eq!(double.next_free(index, after), host, "next free of {index} after {after:?}");
            }
            let free: Vec<IpAddr> = (double as &dyn Pool).first_free(index).take(3).collect();
            assert!(free.iter().all(|address| self.sets.offering(*address) == Some(index)), "{free:?}");
            assert_eq!(double.last_claimed(index), look.snapshot.last_claimed(index));
            let usage = learn(&mut look, |snapshot| snapshot.usage(index)).await.unwrap();
            let size = u64::try_from(usage.size).unwrap_or(u64::MAX);
            assert_eq!(double.usage(index), sdk::Usage { size, held: usage.held }, "usage of {index}");
        }
        for (one, two) in asked {
            let host = learn(&mut look, |snapshot| snapshot.holder_of(*one).map(|holder| holder.map(shown))).await;
            assert_eq!(double.holder_of(*one), host, "holder of {one}");
            let ends = (*one.min(two), *one.max(two));
            if let Some(span) = Span::new(ends.0, ends.1) {
                let host = learn(&mut look, |snapshot| snapshot.next_free_within(span)).await;
                assert_eq!(double.next_free_within(span), host, "next free within {span}");
            }
            let why = self.sets.unusable(*one);
            assert_eq!(told(&self.sets).unusable(*one).is_some(), why.is_some(), "{one} {why:?}");
        }
        for identity in IDENTITIES {
            let host = learn(&mut look, |snapshot| snapshot.held_for(identity).map(<[IpAddr]>::to_vec)).await;
            assert_eq!(double.held_for(identity), host, "held for {identity}");
        }
        for list in LISTS {
            let host = learn(&mut look, |snapshot| snapshot.taken_slots(list).map(<[u32]>::to_vec)).await;
            assert_eq!(double.taken_slots(list), host, "slots of {list}");
        }
    }
}

/// What a decision does: what the snapshot cannot answer is read, and asked again.
async fn learn<T: Debug>(look: &mut Look, ask: impl Fn(&Snapshot) -> Result<T, Question>) -> T {
    for _ in 0..64 {
        match ask(&look.snapshot) {
            Ok(answer) => return answer,
            Err(question) => look.answer(question).await.unwrap(),
        }
    }
    panic!("the search makes no progress");
}

fn requester(nth: usize) -> Requester {
    let attachment = Attachment { network: "blue".into(), container: format!("c{nth}"), interface: "eth0".into() };
    let pod = nth.is_multiple_of(2).then(|| PodName {
        namespace: "shop".into(),
        name: format!("p{nth}"),
        uid: None,
        cluster: None,
    });
    Requester { attachment, node: "node-1".into(), machine: String::new(), pod }
}

/// A holder as a guest sees it.
fn shown(holder: &ipam::Holder) -> sdk::Holder {
    match holder {
        ipam::Holder::Hold { identity, .. } => sdk::Holder::Hold(identity.clone()),
        ipam::Holder::Reservation(reservation) => sdk::Holder::Hold(reservation.as_identity()),
        ipam::Holder::Attachment(held) => sdk::Holder::Attachment(sdk::AttachmentHolder {
            container_id: held.attachment.container.clone(),
            interface_name: held.attachment.interface.clone(),
            network: held.attachment.network.clone(),
            node: held.node.clone(),
            pod: held.pod.as_ref().map(|pod| (pod.namespace.clone(), pod.name.clone())),
            since: held.since.to_string(),
        }),
    }
}

/// The ranges as a guest is told them.
fn told(sets: &RangeSets) -> sdk::RangeSets {
    let range = |range: &ipam::Range| sdk::AddressRange {
        subnet: range.subnet(),
        span: range.span(),
        gateway: range.gateway(),
        fixed: range.fixed(),
        excluded: sets.excluded().iter().copied().filter(|part| part.span().overlaps(&range.subnet().span())).collect(),
    };
    let set = |set: &ipam::RangeSet| sdk::RangeSet(set.ranges().iter().map(range).collect());
    sdk::RangeSets(sets.iter().map(set).collect())
}
