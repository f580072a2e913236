//! Range sets: each offers one address of one family. Checked as a whole: nothing downstream re-checks them.

use std::net::IpAddr;

use addresses::{Family, Prefix, Span, Unusable, without};
use serde::{Deserialize, Serialize};

use super::range::{Range, RangeError, RangeSpec};
use super::words::Ranges;

/// Ranges of one family that offer one address together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range>,
    offered: Vec<Span>,
}

/// The range sets of a network: an attachment gets one address of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Ranges", into = "Ranges")]
pub struct RangeSets {
    sets: Vec<RangeSet>,
    excluded: Vec<Prefix>,
}

impl RangeSet {
    /// The ranges, in the order of the configuration.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The family of all its ranges.
    pub fn family(&self) -> Family {
        self.ranges[0].family()
    }

    /// What can be handed out, lowest first: `rangeStart..rangeEnd` of every range without gateways, network, broadcast
    /// and excluded addresses.
    pub fn offered(&self) -> impl Iterator<Item = Span> + '_ {
        self.offered.iter().copied()
    }

    /// How many addresses it offers.
    pub fn size(&self) -> u128 {
        self.offered.iter().map(Span::size).fold(0, u128::saturating_add)
    }

    /// The range whose subnet has the address.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.ranges.iter().find(|range| range.subnet().contains(address))
    }
}

/// Every address there is: a span for each family.
pub fn everything() -> Vec<Span> {
    let families = Family::BOTH.into_iter();
    families.filter_map(|family| Span::new(family.address(0), family.address(u128::MAX))).collect()
}

impl RangeSets {
    /// Check the ranges one by one, then against each other.
    pub fn new(specs: Vec<Vec<RangeSpec>>, excluded: &[Prefix]) -> Result<Self, RangeError> {
        let mut sets = Vec::with_capacity(specs.len());
        for (set, specs) in specs.iter().enumerate() {
            let ranges = specs.iter().map(Range::new).collect::<Result<Vec<_>, _>>()?;
            let Some(first) = ranges.first() else { return Err(RangeError::EmptySet { set }) };
            if let Some(other) = ranges.iter().find(|range| range.family() != first.family()) {
                return Err(RangeError::MixedFamilies { set, one: first.subnet(), two: other.subnet() });
            }
            sets.push(RangeSet { ranges, offered: Vec::new() });
        }
        let mut whole = Self { sets, excluded: excluded.to_vec() };
        whole.refuse_overlaps()?;
        // Only now, as the gateway of one range may lie in another: what a set offers depends on all of them.
        whole.work_out_what_is_offered()?;
        Ok(whole)
    }

    /// The sets of these families alone.
    #[must_use]
    pub fn of_families(&self, families: &[Family]) -> Self {
        let sets = self.sets.iter().filter(|set| families.contains(&set.family())).cloned().collect();
        Self { sets, excluded: self.excluded.clone() }
    }

    /// How many addresses an attachment gets.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The range set with this index.
    pub fn get(&self, index: usize) -> Option<&RangeSet> {
        self.sets.get(index)
    }

    /// The range sets in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &RangeSet> {
        self.sets.iter()
    }

    /// The parts excluded from every range.
    pub fn excluded(&self) -> &[Prefix] {
        &self.excluded
    }

    /// Why an address is never handed out, or `None` when it may be.
    pub fn unusable(&self, address: IpAddr) -> Option<Unusable> {
        if !self.is_inside(address) {
            return Some(Unusable::Outside);
        }
        // Of all ranges: the gateway of one may lie in the subnet of another. Before what is excluded: whoever excludes the
        // gateway as well is told the stronger reason.
        for range in self.ranges() {
            let subnet = range.subnet();
            if range.gateway() == Some(address) {
                return Some(Unusable::Gateway(subnet));
            }
            if range.network_address() == Some(address) {
                return Some(Unusable::Network(subnet));
            }
            if range.broadcast_address() == Some(address) {
                return Some(Unusable::Broadcast(subnet));
            }
        }
        let excluded = self.excluded.iter().find(|excluded| excluded.contains(address));
        excluded.copied().map(Unusable::Excluded)
    }

    /// Whether a configured subnet has the address, usable or not.
    pub fn is_inside(&self, address: IpAddr) -> bool {
        self.ranges().any(|range| range.subnet().contains(address))
    }

    /// All addresses that lie in no configured subnet, lowest first.
    pub fn outside(&self) -> Vec<Span> {
        without(everything(), self.ranges().map(|range| range.subnet().span()))
    }

    /// All addresses that no range set offers, lowest first: those outside every subnet, and in the subnets those that no pod
    /// gets unless it asks for them by name.
    pub fn not_offered(&self) -> Vec<Span> {
        without(everything(), self.sets.iter().flat_map(RangeSet::offered))
    }

    /// The usable addresses of a span, anywhere in the configured subnets, lowest first.
    pub fn usable_within(&self, span: Span) -> Vec<Span> {
        let mut inside: Vec<Span> = Vec::new();
        for range in self.ranges() {
            let Some(part) = range.subnet().span().intersection(&span) else { continue };
            // Ranges may share a subnet: count each address once.
            let fresh = without(vec![part], inside.iter().copied());
            inside.extend(fresh);
        }
        // "The lowest free one" is looked for from the start, and ranges may be written in any order.
        inside.sort();
        self.without_unusable(inside)
    }

    /// The unbroken part of a block around an address of which every address is offered, and none is kept for pods that name
    /// theirs.
    pub fn dynamic_part(&self, block: Span, around: IpAddr) -> Option<Span> {
        let set = self.get(self.offering(around)?)?;
        let offered = set.offered().filter_map(|span| span.intersection(&block)).collect();
        let dynamic = without(offered, self.ranges().filter_map(Range::fixed));
        dynamic.into_iter().find(|part| part.contains(around))
    }

    /// The index of the range set that offers this address.
    pub fn offering(&self, address: IpAddr) -> Option<usize> {
        self.sets.iter().position(|set| set.offered().any(|span| span.contains(address)))
    }

    fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.sets.iter().flat_map(|set| set.ranges.iter())
    }

    fn refuse_overlaps(&self) -> Result<(), RangeError> {
        let mut spans: Vec<(usize, Span)> = Vec::new();
        for (set, ranges) in self.sets.iter().enumerate() {
            spans.extend(ranges.ranges.iter().map(|range| (set, range.span())));
        }
        // Every pair, at each ADD: of a sorted list neighbours would do, but the error is to name them in the order in which
        // they are written. limits::RANGES bounds the work.
        for (nth, &(one_set, one)) in spans.iter().enumerate() {
            if let Some(&(two_set, two)) = spans[nth + 1..].iter().find(|(_, two)| one.overlaps(two)) {
                return Err(RangeError::Overlap { one, one_set, two, two_set });
            }
        }
        Ok(())
    }

    fn work_out_what_is_offered(&mut self) -> Result<(), RangeError> {
        // Kept beside the sets and put into them at the end: what is special is asked of all sets.
        let mut offered = Vec::with_capacity(self.sets.len());
        for set in &self.sets {
            let mut spans = Vec::new();
            for range in &set.ranges {
                let usable = self.without_unusable(vec![range.span()]);
                if usable.is_empty() {
                    // Whether the range or what is excluded is to be changed.
                    let (span, subnet) = (range.span(), range.subnet());
                    if self.without_special(vec![span]).is_empty() {
                        return Err(RangeError::Empty { span, subnet });
                    }
                    return Err(RangeError::Excluded { span, subnet });
                }
                spans.extend(usable);
            }
            spans.sort();
            offered.push(spans);
        }
        for (set, spans) in self.sets.iter_mut().zip(offered) {
            set.offered = spans;
        }
        Ok(())
    }

    fn without_unusable(&self, spans: Vec<Span>) -> Vec<Span> {
        without(self.without_special(spans), self.excluded.iter().map(Prefix::span))
    }

    fn without_special(&self, spans: Vec<Span>) -> Vec<Span> {
        let special =
            self.ranges().flat_map(|range| [range.gateway(), range.network_address(), range.broadcast_address()]);
        without(spans, special.flatten().map(Span::single))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gateway;

    fn spec(subnet: &str) -> RangeSpec {
        RangeSpec::of_subnet(subnet.parse().unwrap())
    }

    fn sets(specs: Vec<Vec<RangeSpec>>, excluded: &[&str]) -> Result<RangeSets, RangeError> {
        let excluded: Vec<Prefix> = excluded.iter().map(|text| text.parse().unwrap()).collect();
        RangeSets::new(specs, &excluded)
    }

    fn offered(sets: &RangeSets, index: usize) -> Vec<String> {
        sets.get(index).unwrap().offered().map(|span| span.to_string()).collect()
    }

    #[test]
    fn what_is_offered_leaves_out_gateway_and_excluded_parts() {
        let mut middle = spec("10.0.0.0/24");
        middle.gateway = Gateway::At("10.0.0.100".parse().unwrap());
        let sets = sets(vec![vec![middle]], &["10.0.0.64/28"]).unwrap();
        assert_eq!(offered(&sets, 0), ["10.0.0.2-10.0.0.63", "10.0.0.80-10.0.0.99", "10.0.0.101-10.0.0.254"]);
        assert_eq!(sets.get(0).unwrap().size(), 62 + 20 + 154);
    }

    #[test]
    fn overlapping_mixed_and_empty_sets_are_refused_by_name() {
        let overlap = sets(vec![vec![spec("10.0.0.0/24")], vec![spec("10.0.0.128/25")]], &[]).unwrap_err();
        assert_eq!(
            overlap.to_string(),
            "ranges 10.0.0.2-10.0.0.254 (range set 0) and 10.0.0.130-10.0.0.254 (range set 1) overlap"
        );
        let mixed = sets(vec![vec![spec("10.0.0.0/24"), spec("fd00::/64")]], &[]).unwrap_err();
        assert!(mixed.to_string().contains("mixes families: 10.0.0.0/24 and fd00::/64"), "{mixed}");
        assert!(matches!(sets(vec![vec![]], &[]), Err(RangeError::EmptySet { set: 0 })));
        assert!(matches!(sets(vec![vec![spec("10.0.0.0/24")]], &["10.0.0.0/16"]), Err(RangeError::Excluded { .. })));
        let ends = RangeSpec {
            last: Some("10.0.0.1".parse().unwrap()),
            first: Some("10.0.0.0".parse().unwrap()),
            ..spec("10.0.0.0/24")
        };
        assert!(matches!(sets(vec![vec![ends]], &["10.0.0.0/16"]), Err(RangeError::Empty { .. })));
    }

    #[test]
    fn what_is_offered_is_in_order_whatever_the_order_of_the_ranges() {
        let sets = sets(vec![vec![spec("10.2.0.0/30"), spec("10.1.0.0/30")]], &[]).unwrap();
        assert_eq!(offered(&sets, 0), ["10.1.0.2", "10.2.0.2"]);
    }

    #[test]
    fn every_special_address_is_named_for_what_it_is() {
        let sets = sets(vec![vec![spec("10.0.0.0/24")]], &["10.0.0.64/28"]).unwrap();
        let why = |text: &str| sets.unusable(text.parse().unwrap());
        let subnet: Prefix = "10.0.0.0/24".parse().unwrap();
        assert_eq!(why("10.0.0.1"), Some(Unusable::Gateway(subnet)));
        assert_eq!(why("10.0.0.0"), Some(Unusable::Network(subnet)));
        assert_eq!(why("10.0.0.255"), Some(Unusable::Broadcast(subnet)));
        assert_eq!(why("10.0.0.70"), Some(Unusable::Excluded("10.0.0.64/28".parse().unwrap())));
        assert_eq!(why("10.0.1.1"), Some(Unusable::Outside));
        assert_eq!(why("10.0.0.9"), None);
    }

    #[test]
    fn a_gateway_in_the_subnet_of_another_range_is_nobodys_address() {
        let (mut one, mut other) = (spec("10.0.0.0/24"), spec("10.0.1.0/24"));
        one.gateway = Gateway::At("10.0.1.1".parse().unwrap());
        other.gateway = Gateway::None;
        let sets = sets(vec![vec![one], vec![other]], &[]).unwrap();
        assert_eq!(offered(&sets, 0), ["10.0.0.1-10.0.0.254"]);
        assert_eq!(offered(&sets, 1), ["10.0.1.2-10.0.1.254"]);
        let subnet = "10.0.0.0/24".parse().unwrap();
        assert_eq!(sets.unusable("10.0.1.1".parse().unwrap()), Some(Unusable::Gateway(subnet)));
        assert_eq!(sets.unusable("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn what_is_offered_of_two_addresses() {
        let offered_with =
            |subnet, gateway| offered(&sets(vec![vec![RangeSpec { gateway, ..spec(subnet) }]], &[]).unwrap(), 0);
        assert_eq!(offered_with("10.0.0.4/31", Gateway::Default), ["10.0.0.4"]);
        assert_eq!(offered_with("10.0.0.4/31", Gateway::At("10.0.0.4".parse().unwrap())), ["10.0.0.5"]);
        assert_eq!(offered_with("10.0.0.4/31", Gateway::None), ["10.0.0.4-10.0.0.5"]);
        assert_eq!(offered_with("fd00::4/127", Gateway::Default), ["fd00::4"]);
        assert_eq!(offered_with("fd00::4/127", Gateway::At("fe80::1".parse().unwrap())), ["fd00::4-fd00::5"]);
    }

    #[test]
    fn ranges_that_share_a_subnet_count_its_addresses_once() {
        let mut low = spec("10.0.0.0/24");
        low.last = Some("10.0.0.9".parse().unwrap());
        let mut high = spec("10.0.0.0/24");
        high.first = Some("10.0.0.200".parse().unwrap());
        let sets = sets(vec![vec![low, high]], &[]).unwrap();
        let all = sets.usable_within("10.0.0.0/24".parse().unwrap());
        assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.2-10.0.0.254"]);
    }
}
