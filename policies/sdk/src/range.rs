//! The ranges a policy is told, with every default filled in and checked by the host.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;

use addresses::Misfit;
pub use addresses::Unusable;

use crate::address::{Family, Prefix, Span, without};
use crate::proposal::Assignment;

/// A range of the network's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The subnet the range lies in. A proposal may name any usable address of it, also one outside `span`.
    pub subnet: Prefix,
    /// `rangeStart` and `rangeEnd`: where dynamic addresses come from.
    pub span: Span,
    /// The gateway, in the subnet or elsewhere; never handed out. Absent where the network has none.
    pub gateway: Option<IpAddr>,
    /// `fixedStart` and `fixedEnd`: kept for pods that name their address.
    pub fixed: Option<Span>,
    /// Parts that are never handed out.
    pub excluded: Vec<Prefix>,
}

/// Ranges of one family that offer one address together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(pub Vec<AddressRange>);

/// The range sets of a network: an attachment gets one address of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSets(pub Vec<RangeSet>);

impl AddressRange {
    /// The family of the subnet.
    pub fn family(&self) -> Family {
        self.subnet.family()
    }

    /// The network address, if the subnet has one: subnets of one or two addresses use all of them.
    pub fn network_address(&self) -> Option<IpAddr> {
        self.subnet.network_address()
    }

    /// The broadcast address; IPv6 has none.
    pub fn broadcast_address(&self) -> Option<IpAddr> {
        self.subnet.broadcast_address()
    }

    /// Whether a pod in the subnet can have this gateway: it lies in the subnet, is the one of the range, wherever that is,
    /// or is link-local, which every IPv6 interface reaches.
    pub fn reaches(&self, gateway: IpAddr) -> bool {
        let is_link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.subnet.contains(gateway) || self.gateway == Some(gateway) || is_link_local && self.family() == Family::V6
    }

    /// What is never handed out of the subnet.
    pub(crate) fn holes(&self) -> impl Iterator<Item = Span> {
        let special = [self.gateway, self.network_address(), self.broadcast_address()];
        special.into_iter().flatten().map(Span::single).chain(self.excluded.iter().map(Prefix::span))
    }

    fn unusable(&self, address: IpAddr) -> Option<Unusable> {
        if self.gateway == Some(address) {
            return Some(Unusable::Gateway(self.subnet));
        }
        if self.network_address() == Some(address) {
            return Some(Unusable::Network(self.subnet));
        }
        if self.broadcast_address() == Some(address) {
            return Some(Unusable::Broadcast(self.subnet));
        }
        let excluded = self.excluded.iter().find(|part| part.contains(address));
        excluded.copied().map(Unusable::Excluded)
    }

    /// Why a pod could not use its address as the assignment shows it; `None` where it can.
    pub(crate) fn misfit(&self, assignment: &Assignment) -> Option<Misfit> {
        let gateway = assignment.gateway.filter(|gateway| self.subnet.contains(*gateway));
        Misfit::find(assignment.address, assignment.prefix_length, gateway)
    }
}

impl RangeSet {
    /// The range whose subnet has the address; where ranges share a subnet, the one whose span has it.
    pub fn containing(&self, address: IpAddr) -> Option<&AddressRange> {
        containing(self.0.iter(), address)
    }

    /// The family of all its ranges; `None` for an empty set, which the host never sends.
    pub fn family(&self) -> Option<Family> {
        self.first().map(AddressRange::family)
    }
}

impl RangeSets {
    /// The range whose subnet has the address; where ranges share a subnet, the one whose span has it.
    pub fn containing(&self, address: IpAddr) -> Option<&AddressRange> {
        containing(self.ranges(), address)
    }

    /// Every range of every set.
    pub fn ranges(&self) -> impl Iterator<Item = &AddressRange> + Clone {
        self.0.iter().flat_map(|set| set.0.iter())
    }

    /// Whether any range is of the family.
    pub fn has(&self, family: Family) -> bool {
        self.ranges().any(|range| range.family() == family)
    }

    /// Why an address is never handed out, or `None` when it may be: what the host will check, too.
    pub fn unusable(&self, address: IpAddr) -> Option<Unusable> {
        if self.containing(address).is_none() {
            return Some(Unusable::Outside);
        }
        self.ranges().find_map(|range| range.unusable(address))
    }

    /// Whether a pod could have any address of a span in the subnets, held or not.
    pub fn has_usable(&self, span: Span) -> bool {
        let holes = self.ranges().flat_map(AddressRange::holes);
        let holes: Vec<Span> = holes.filter_map(|hole| hole.intersection(&span)).collect();
        // Most spans are larger than all that is taken out of them: nothing has to be taken out to see that.
        let largest = holes.iter().map(Span::size).fold(0, u128::saturating_add);
        largest < span.size() || !without(vec![span], holes).is_empty()
    }

    /// Where dynamic addresses of a range set come from, in the order of its ranges: the spans without any part kept
    /// for fixed addresses. Gateways and the like are still in it; the pool skips them.
    pub fn dynamic(&self, range_set: usize) -> Vec<Span> {
        let Some(set) = self.0.get(range_set) else { return Vec::new() };
        let spans = set.iter().map(|range| range.span).collect();
        // Of every set, not of this one alone: two sets may have ranges in one subnet.
        without(spans, self.ranges().filter_map(|range| range.fixed))
    }
}

fn containing<'a>(ranges: impl Iterator<Item = &'a AddressRange> + Clone, address: IpAddr) -> Option<&'a AddressRange> {
    let mut in_subnet = ranges.filter(|range| range.subnet.contains(address));
    let first = in_subnet.clone().next();
    in_subnet.find(|range| range.span.contains(address)).or(first)
}

impl Deref for RangeSet {
    type Target = [AddressRange];

    fn deref(&self) -> &[AddressRange] {
        &self.0
    }
}

impl Deref for RangeSets {
    type Target = [RangeSet];

    fn deref(&self) -> &[RangeSet] {
        &self.0
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(self.iter().map(|range| range.span)))
    }
}

impl fmt::Display for RangeSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(self.ranges().map(|range| range.subnet)))
    }
}

/// Things in a row, for a person: `a, b, c`.
pub fn list<T: fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    things.into_iter().map(|thing| thing.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_special_address_is_named_for_what_it_is() {
        let mut sets = testing::range_sets(&["10.0.0.0/24", "fd00::/64"]);
        sets.0[0].0[0].excluded = vec!["10.0.0.64/28".parse().unwrap()];
        for (address, why) in [
            ("10.0.0.1", "is the gateway of 10.0.0.0/24"),
            ("10.0.0.0", "is the network address of 10.0.0.0/24"),
            ("10.0.0.255", "is the broadcast address of 10.0.0.0/24"),
            ("10.0.0.70", "is excluded by 10.0.0.64/28"),
            ("10.0.1.1", "is outside every configured subnet"),
            ("fd00::", "is the network address of fd00::/64"),
            ("fd00::ffff:ffff:ffff:ffff", "usable"),
            ("10.0.0.9", "usable"),
        ] {
            let said = sets.unusable(address.parse().unwrap()).map_or("usable".to_owned(), |why| why.to_string());
            assert_eq!(said, why, "{address}");
        }
    }

    #[test]
    fn of_two_ranges_in_one_subnet_the_one_with_the_address_is_meant() {
        let mut sets = testing::range_sets(&["10.0.0.0/24", "10.0.0.0/24"]);
        sets.0[0].0[0].span = "10.0.0.2-10.0.0.99".parse().unwrap();
        sets.0[1].0[0].span = "10.0.0.100-10.0.0.200".parse().unwrap();
        sets.0[1].0[0].gateway = Some("10.0.0.254".parse().unwrap());
        let gateway = |address: &str| sets.containing(address.parse().unwrap()).unwrap().gateway.unwrap().to_string();
        assert_eq!(gateway("10.0.0.150"), "10.0.0.254");
        assert_eq!(gateway("10.0.0.220"), "10.0.0.1");
    }

    #[test]
    fn a_span_of_nothing_but_special_addresses_has_none_for_a_pod() {
        let mut sets = testing::range_sets(&["10.0.0.0/24", "fd00::/64"]);
        sets.0[0].0[0].excluded = vec!["10.0.0.64/28".parse().unwrap(), "10.0.0.72/29".parse().unwrap()];
        for (span, expected) in [
            ("10.0.0.0-10.0.0.1", false),
            ("10.0.0.0-10.0.0.2", true),
            ("10.0.0.64/28", false),
            ("10.0.0.64-10.0.0.80", true),
            ("10.0.0.255", false),
            ("fd00::/127", false),
            ("fd00::/126", true),
        ] {
            assert_eq!(sets.has_usable(span.parse().unwrap()), expected, "{span}");
        }
    }

    #[test]
    fn the_part_kept_for_fixed_addresses_is_not_dynamic() {
        let mut sets = testing::range_sets(&["10.0.0.0/24"]);
        sets.0[0].0[0].fixed = Some("10.0.0.10-10.0.0.19".parse().unwrap());
        assert_eq!(list(sets.dynamic(0)), "10.0.0.2-10.0.0.9, 10.0.0.20-10.0.0.254");
    }
}
