//! The pool of a native test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::parse;
use crate::address::{Span, without};
use crate::pool::{AttachmentHolder, Holder, Pool, Usage};
use crate::range::{AddressRange, RangeSet, RangeSets};

/// A pool of plain values that obeys the host's contract: no wrap-around; gateways, network, broadcast and excluded
/// addresses are skipped, the part kept for fixed addresses is not. kube-ipam's own tests compare the two.
#[derive(Clone, Debug, Default)]
pub struct PoolDouble {
    range_sets: RangeSets,
    held: BTreeMap<IpAddr, Holder>,
    last_claimed: BTreeMap<usize, IpAddr>,
    slots: BTreeMap<String, BTreeSet<u32>>,
}

impl PoolDouble {
    /// Every address is free.
    pub fn of(range_sets: &RangeSets) -> Self {
        Self { range_sets: range_sets.clone(), ..Self::default() }
    }

    /// These addresses or spans are held by some attachment.
    ///
    /// # Panics
    /// When a text is neither.
    #[must_use]
    pub fn holding<'a>(mut self, spans: impl IntoIterator<Item = &'a str>) -> Self {
        for text in spans {
            let Ok(span) = text.parse::<Span>() else { panic!("{text:?} is not a span") };
            let mut rest = Some(span);
            while let Some(span) = rest {
                let holder = AttachmentHolder {
                    container_id: "another".to_owned(),
                    node: "node-2".to_owned(),
                    ..Default::default()
                };
                self.held.insert(span.first(), Holder::Attachment(holder));
                rest = span.above(span.first());
            }
        }
        self
    }

    /// This address has this holder.
    #[must_use]
    pub fn held_by(mut self, address: &str, holder: Holder) -> Self {
        self.held.insert(parse(address), holder);
        self
    }

    /// Where a range set was claimed last.
    #[must_use]
    pub fn claimed_last(mut self, range_set: usize, address: &str) -> Self {
        self.last_claimed.insert(range_set, parse(address));
        self
    }

    /// These slots of a list are taken.
    #[must_use]
    pub fn taking(mut self, name: &str, slots: impl IntoIterator<Item = u32>) -> Self {
        self.slots.entry(name.to_owned()).or_default().extend(slots);
        self
    }

    fn set(&self, range_set: usize) -> &RangeSet {
        let Some(set) = self.range_sets.get(range_set) else { panic!("there is no range set {range_set}") };
        set
    }

    fn usable(&self, spans: Vec<Span>) -> Vec<Span> {
        without(spans, self.range_sets.ranges().flat_map(AddressRange::holes))
    }

    fn first_free(&self, spans: &[Span]) -> Option<IpAddr> {
        for span in spans {
            let mut rest = Some(*span);
            while let Some(part) = rest {
                if !self.held.contains_key(&part.first()) {
                    return Some(part.first());
                }
                rest = part.above(part.first());
            }
        }
        None
    }

    /// Lowest first, whatever the order of the ranges.
    fn offered(&self, range_set: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = self.set(range_set).iter().map(|range| range.span).collect();
        spans.sort();
        self.usable(spans)
    }
}

impl Pool for PoolDouble {
    fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Option<IpAddr> {
        let offered = self.offered(range_set).into_iter();
        let rest: Vec<Span> = match after {
            Some(after) => offered.filter_map(|span| span.above(after)).collect(),
            None => offered.collect(),
        };
        self.first_free(&rest)
    }

    fn next_free_within(&self, span: Span) -> Option<IpAddr> {
        // In order, and once where ranges share a subnet.
        let inside: BTreeSet<Span> =
            self.range_sets.ranges().filter_map(|range| range.subnet.span().intersection(&span)).collect();
        self.first_free(&self.usable(inside.into_iter().collect()))
    }

    fn holder_of(&self, address: IpAddr) -> Option<Holder> {
        self.held.get(&address).cloned()
    }

    fn last_claimed(&self, range_set: usize) -> Option<IpAddr> {
        self.last_claimed.get(&range_set).copied()
    }

    fn usage(&self, range_set: usize) -> Usage {
        let offered = self.offered(range_set);
        let held = self.held.iter().filter(|(_, holder)| matches!(holder, Holder::Attachment(_)));
        let held = held.filter(|(address, _)| offered.iter().any(|span| span.contains(**address))).count();
        // The world counts in 64 bits, and of a /64 it gives the largest number.
        let size = offered.iter().map(Span::size).fold(0, u128::saturating_add);
        Usage { size: u64::try_from(size).unwrap_or(u64::MAX), held: held as u64 }
    }

    fn held_for(&self, identity: &str) -> Vec<IpAddr> {
        let held = self.held.iter();
        held.filter(|(_, holder)| **holder == Holder::Hold(identity.to_owned())).map(|(address, _)| *address).collect()
    }

    fn taken_slots(&self, name: &str) -> Vec<u32> {
        self.slots.get(name).into_iter().flatten().copied().collect()
    }
}
