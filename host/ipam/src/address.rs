//! Address arithmetic, in 128 bits for both families: an IPv6 /64 is not special.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Family {
    /// 32-bit addresses.
    #[serde(rename = "4")]
    V4,
    /// 128-bit addresses.
    #[serde(rename = "6")]
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Length of an address in bits: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address with this number; the high bits are dropped for IPv4.
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The address in a text. IPv4 that is written as IPv6 (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2) is IPv4, here and wherever
/// an address is read: taken as IPv6 it would lie in no range, and no rule for the IPv4 address would apply to it.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// The subnet in a text, host bits and all. A single address is a subnet of one.
pub fn parse_subnet(text: &str) -> Option<IpNetwork> {
    let subnet: IpNetwork = text.parse().ok()?;
    let (address, length) = canonical(subnet.ip(), subnet.prefix())?;
    IpNetwork::new(address, length).ok()
}

/// An address and the length of its subnet, where IPv4 may be written as IPv6: there the length counts the 96 bits
/// before the IPv4 address, too. `None` for a length that the address does not have.
pub fn canonical(address: IpAddr, length: u8) -> Option<(IpAddr, u8)> {
    let canonical = address.to_canonical();
    let length = if canonical.is_ipv4() == address.is_ipv4() { length } else { length.checked_sub(96)? };
    (length <= Family::of(canonical).bits()).then_some((canonical, length))
}

/// The number of an address: what order and distance are made of.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The next address, or `None` after the last one of the family.
pub fn successor(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add(1).map(|n| Ipv4Addr::from_bits(n).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add(1).map(|n| Ipv6Addr::from_bits(n).into()),
    }
}

/// The address before, or `None` before the first one of the family.
pub fn predecessor(address: IpAddr) -> Option<IpAddr> {
    let number = number(address).checked_sub(1)?;
    Some(Family::of(address).address(number))
}

/// Addresses from `first` to `last`, both included, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    first: IpAddr,
    last: IpAddr,
}

impl Span {
    /// `None` when the families differ or `first` is above `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (Family::of(first) == Family::of(last) && first <= last).then_some(Self { first, last })
    }

    /// The span of a single address.
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// Every address of a subnet, with the network and broadcast addresses.
    pub fn of_subnet(subnet: IpNetwork) -> Self {
        Self { first: subnet.network(), last: subnet.broadcast() }
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// The family of both ends.
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// How many addresses; all of IPv6 counts as the largest number.
    pub fn len(&self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    /// Never: a span has at least one address.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Whether the address lies in the span.
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && self.first <= address && address <= self.last
    }

    /// Whether the two spans share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.family() == other.family() && self.first <= other.last && other.first <= self.last
    }

    /// What lies in both.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        self.overlaps(other).then(|| Self { first: self.first.max(other.first), last: self.last.min(other.last) })
    }

    /// What is left of this span above an address: all of it when the address is below.
    pub fn after(&self, address: IpAddr) -> Option<Self> {
        Self::new(successor(address)?.max(self.first), self.last)
    }

    /// What is left of this span from an address of it on.
    pub fn starting_at(&self, address: IpAddr) -> Self {
        Self { first: address.clamp(self.first, self.last), last: self.last }
    }

    /// The fewest subnets that have exactly these addresses, lowest first: at most two for each bit of an address.
    pub fn subnets(&self) -> Vec<IpNetwork> {
        let (family, last) = (self.family(), number(self.last));
        let mut subnets = Vec::new();
        let mut next = Some(number(self.first));
        while let Some(first) = next.filter(|first| *first <= last) {
            // The largest that begins here and does not go beyond the end.
            let mut host_bits = first.trailing_zeros().min(u32::from(family.bits()));
            while last_of(first, host_bits) > last {
                host_bits -= 1;
            }
            let prefix = family.bits() - host_bits as u8;
            subnets.extend(IpNetwork::new(family.address(first), prefix));
            next = last_of(first, host_bits).checked_add(1);
        }
        subnets
    }

    /// The part of the span below the hole and the part above it.
    pub fn without(&self, hole: &Self) -> [Option<Self>; 2] {
        if !self.overlaps(hole) {
            return [Some(*self), None];
        }
        let below = predecessor(hole.first).and_then(|last| Self::new(self.first, last));
        let above = successor(hole.last).and_then(|first| Self::new(first, self.last));
        [below, above]
    }
}

/// The highest number that differs from `first` in these low bits only.
fn last_of(first: u128, host_bits: u32) -> u128 {
    first | u128::MAX.checked_shr(128 - host_bits).unwrap_or_default()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: &str, last: &str) -> Span {
        Span::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_ends_of_the_address_space_have_no_neighbours() {
        assert_eq!(successor("255.255.255.255".parse().unwrap()), None);
        assert_eq!(predecessor("::".parse().unwrap()), None);
        assert_eq!(successor("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()), None);
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        let address = |text| parse_address(text).map(|address| address.to_string());
        assert_eq!(address("::ffff:10.0.0.1").unwrap(), "10.0.0.1");
        assert_eq!(address("::FFFF:a00:1").unwrap(), "10.0.0.1");
        // Neither mapped nor anything else that is IPv4.
        assert_eq!(address("::10.0.0.1").unwrap(), "::a00:1");
        assert_eq!(address("::ffff:10.0.0.1/128"), None);
        let subnet = |text| parse_subnet(text).map(|subnet| subnet.to_string());
        assert_eq!(subnet("::ffff:10.0.0.7/112").unwrap(), "10.0.0.7/16");
        assert_eq!(subnet("::ffff:10.0.0.7").unwrap(), "10.0.0.7/32");
        assert_eq!(subnet("::ffff:0:0/96").unwrap(), "0.0.0.0/0");
        assert_eq!(subnet("fd00::7/64").unwrap(), "fd00::7/64");
        for neither in ["::ffff:10.0.0.7/95", "::ffff:10.0.0.7/24", "::ffff:10.0.0.7/129", "10.0.0.7/33"] {
            assert_eq!(subnet(neither), None, "{neither}");
        }
    }

    #[test]
    fn all_of_ipv6_counts_without_overflow() {
        let all = Span::of_subnet("::/0".parse().unwrap());
        assert_eq!(all.len(), u128::MAX);
        assert_eq!(span("fd00::", "fd00::ffff:ffff:ffff:ffff").len(), 1 << 64);
    }

    #[test]
    fn a_hole_leaves_what_is_below_and_above_it() {
        let whole = span("10.0.0.0", "10.0.0.9");
        assert_eq!(
            whole.without(&span("10.0.0.3", "10.0.0.5")),
            [Some(span("10.0.0.0", "10.0.0.2")), Some(span("10.0.0.6", "10.0.0.9"))]
        );
        assert_eq!(whole.without(&span("0.0.0.0", "255.255.255.255")), [None, None]);
        assert_eq!(whole.without(&span("10.0.1.0", "10.0.1.1")), [Some(whole), None]);
    }

    #[test]
    fn a_span_is_cut_into_the_fewest_subnets() {
        let cut = |first, last| {
            let subnets: Vec<String> = span(first, last).subnets().iter().map(ToString::to_string).collect();
            subnets.join(" ")
        };
        assert_eq!(cut("10.0.0.10", "10.0.0.19"), "10.0.0.10/31 10.0.0.12/30 10.0.0.16/30");
        assert_eq!(cut("10.0.0.0", "10.0.1.255"), "10.0.0.0/23");
        assert_eq!(cut("10.0.0.7", "10.0.0.7"), "10.0.0.7/32");
        assert_eq!(cut("0.0.0.0", "255.255.255.255"), "0.0.0.0/0");
        assert_eq!(cut("255.255.255.254", "255.255.255.255"), "255.255.255.254/31");
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(cut("::", all), "::/0");
        assert_eq!(cut("fd00::1", "fd00::4"), "fd00::1/128 fd00::2/127 fd00::4/128");
        assert_eq!(span("::1", &all.replace(":ffff", ":fffe")).subnets().len(), 248);
    }

    #[test]
    fn mixed_families_and_inverted_ends_are_no_span() {
        assert!(Span::new("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()).is_none());
        assert!(Span::new("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap()).is_none());
    }
}
