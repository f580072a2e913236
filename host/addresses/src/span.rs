//! Spans: addresses that follow one another.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::net::IpAddr;

use crate::family::{Family, number};
use crate::prefix::Prefix;

/// Addresses from `first` to `last`, both included, of one family.
///
/// In text: an address, `first-last`, or a subnet `address/length`.
///
/// Kept as numbers: a walk over a range compares and counts far more often than it shows an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    family: Family,
    first: u128,
    last: u128,
}

impl Span {
    /// `None` when the families differ or `first` is above `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        if Family::of(first) != Family::of(last) {
            return None;
        }
        Self::of_numbers(Family::of(first), number(first), number(last))
    }

    /// The span of a single address.
    pub fn single(address: IpAddr) -> Self {
        Self { family: Family::of(address), first: number(address), last: number(address) }
    }

    pub(crate) fn of_numbers(family: Family, first: u128, last: u128) -> Option<Self> {
        (first <= last).then_some(Self { family, first, last })
    }

    /// The lowest address, which is one of the span.
    pub fn first(&self) -> IpAddr {
        self.family.address(self.first)
    }

    /// The highest address, which is one of the span.
    pub fn last(&self) -> IpAddr {
        self.family.address(self.last)
    }

    /// The family of both ends.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How many addresses, at least 1; all of IPv6 counts as the largest number.
    pub fn size(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Whether the address lies in the span.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.position(address).is_some()
    }

    /// How many addresses of the span are below this one; `None` for one that is not in it.
    pub fn position(&self, address: IpAddr) -> Option<u128> {
        let number = number(address);
        let inside = Family::of(address) == self.family && self.first <= number && number <= self.last;
        inside.then(|| number - self.first)
    }

    /// The address at a position, of which the first is 0; `None` beyond the end.
    pub fn nth(&self, position: u128) -> Option<IpAddr> {
        self.starting_at(position).map(|rest| rest.first())
    }

    /// The span from a position on, the address there included; `None` beyond the end.
    pub fn starting_at(&self, position: u128) -> Option<Self> {
        Self::of_numbers(self.family, self.first.checked_add(position)?, self.last)
    }

    /// Whether the two spans share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.intersection(other).is_some()
    }

    /// What lies in both.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.family != other.family {
            return None;
        }
        Self::of_numbers(self.family, self.first.max(other.first), self.last.min(other.last))
    }

    /// What is left above an address, which is left out itself: all of the span when the address is below it.
    pub fn above(&self, address: IpAddr) -> Option<Self> {
        let first = match Family::of(address).cmp(&self.family) {
            Ordering::Less => self.first,
            Ordering::Equal => number(address).checked_add(1)?.max(self.first),
            Ordering::Greater => return None,
        };
        Self::of_numbers(self.family, first, self.last)
    }

    /// What is left below an address, which is left out itself: all of the span when the address is above it.
    pub fn below(&self, address: IpAddr) -> Option<Self> {
        let last = match Family::of(address).cmp(&self.family) {
            Ordering::Less => return None,
            Ordering::Equal => number(address).checked_sub(1)?.min(self.last),
            Ordering::Greater => self.last,
        };
        Self::of_numbers(self.family, self.first, last)
    }

    /// The part of the span below a hole and the part above it, as far as there are such.
    pub fn without(&self, hole: &Self) -> impl Iterator<Item = Self> + use<> {
        let parts = match self.intersection(hole) {
            Some(common) => [self.below(common.first()), self.above(common.last())],
            None => [Some(*self), None],
        };
        parts.into_iter().flatten()
    }

    /// The fewest subnets that have exactly these addresses, lowest first: at most two for each bit of an address.
    pub fn subnets(&self) -> impl Iterator<Item = Prefix> + use<> {
        let mut rest = Some(*self);
        core::iter::from_fn(move || {
            let subnet = rest?.largest_subnet();
            rest = rest?.above(subnet.span().last());
            Some(subnet)
        })
    }

    /// The largest subnet that begins where the span does and does not go beyond its end.
    fn largest_subnet(&self) -> Prefix {
        // A subnet of 2^n addresses begins at a multiple of 2^n, and has to fit. Of IPv6 as a whole the size is no number.
        let aligned = self.first.trailing_zeros();
        let fitting = (self.last - self.first).checked_add(1).map_or(u128::BITS, u128::ilog2);
        Prefix::of_number(self.family, self.first, aligned.min(fitting) as u8)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first());
        }
        write!(f, "{}-{}", self.first(), self.last())
    }
}

/// Spans with the holes taken out of each, in their order.
pub fn without(spans: Vec<Span>, holes: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut left = spans;
    for hole in holes {
        left = left.iter().flat_map(|span| span.without(&hole)).collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;
    use crate::successor;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_ends_of_the_address_space_have_no_neighbours() {
        let all = span("0.0.0.0/0");
        assert_eq!(all.above(ip("255.255.255.255")), None);
        assert_eq!(all.below(ip("0.0.0.0")), None);
        assert_eq!(span("::/0").above(span("::/0").last()), None);
        assert_eq!(all.nth(1 << 32), None);
        assert_eq!(span("::1-::2").nth(u128::MAX), None);
        assert_eq!(successor(ip("255.255.255.255")), None);
        assert_eq!(successor(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")), None);
    }

    #[test]
    fn all_of_ipv6_counts_without_overflow() {
        assert_eq!(span("::/0").size(), u128::MAX);
        assert_eq!(span("fd00::/64").size(), 1 << 64);
        assert_eq!(span("10.0.0.7").size(), 1);
    }

    #[test]
    fn a_position_and_its_address_are_each_others_inverse() {
        let few = span("10.0.0.2-10.0.0.4");
        for (position, address) in [(0, Some("10.0.0.2")), (2, Some("10.0.0.4")), (3, None)] {
            assert_eq!(few.nth(position), address.map(ip));
            assert_eq!(address.and_then(|address| few.position(ip(address))), address.map(|_| position));
        }
        assert_eq!(few.starting_at(1), Some(span("10.0.0.3-10.0.0.4")));
        assert_eq!(few.position(ip("::a00:3")), None, "the same number in the other family");
    }

    #[test]
    fn above_and_below_leave_the_address_itself_out() {
        let few = span("10.0.0.2-10.0.0.4");
        for (address, below, above) in [
            ("10.0.0.1", None, Some("10.0.0.2-10.0.0.4")),
            ("10.0.0.2", None, Some("10.0.0.3-10.0.0.4")),
            ("10.0.0.3", Some("10.0.0.2"), Some("10.0.0.4")),
            ("10.0.0.9", Some("10.0.0.2-10.0.0.4"), None),
            ("::", Some("10.0.0.2-10.0.0.4"), None),
        ] {
            assert_eq!(
                (few.below(ip(address)), few.above(ip(address))),
                (below.map(span), above.map(span)),
                "{address}"
            );
        }
        let v6 = span("::/126");
        assert_eq!((v6.below(ip("10.0.0.1")), v6.above(ip("255.255.255.255"))), (None, Some(v6)));
    }

    #[test]
    fn a_hole_leaves_what_is_below_and_above_it() {
        let whole = span("10.0.0.0-10.0.0.9");
        for (hole, left) in [
            ("10.0.0.3-10.0.0.5", &["10.0.0.0-10.0.0.2", "10.0.0.6-10.0.0.9"][..]),
            ("0.0.0.0/0", &[]),
            ("10.0.1.0-10.0.1.1", &["10.0.0.0-10.0.0.9"]),
            ("::/0", &["10.0.0.0-10.0.0.9"]),
        ] {
            let parts: Vec<String> = whole.without(&span(hole)).map(|part| part.to_string()).collect();
            assert_eq!(parts, left, "{hole}");
        }
        let left = without([whole].into(), [span("10.0.0.0"), span("10.0.0.4-10.0.0.5"), span("::1")]);
        assert_eq!(left, [span("10.0.0.1-10.0.0.3"), span("10.0.0.6-10.0.0.9")]);
        assert_eq!(without([span("10.0.0.4")].into(), [span("10.0.0.0/24")]), []);
    }

    #[test]
    fn a_span_is_cut_into_the_fewest_subnets() {
        for (whole, subnets) in [
            ("10.0.0.10-10.0.0.19", "10.0.0.10/31 10.0.0.12/30 10.0.0.16/30"),
            ("10.0.0.0-10.0.1.255", "10.0.0.0/23"),
            ("10.0.0.7", "10.0.0.7/32"),
            ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
            ("255.255.255.254-255.255.255.255", "255.255.255.254/31"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
            ("fd00::1-fd00::4", "fd00::1/128 fd00::2/127 fd00::4/128"),
        ] {
            let cut: Vec<String> = span(whole).subnets().map(|subnet| subnet.to_string()).collect();
            assert_eq!(cut.join(" "), subnets, "{whole}");
        }
        assert_eq!(span("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").subnets().count(), 254);
    }

    #[test]
    fn mixed_families_and_inverted_ends_make_no_span() {
        assert_eq!(Span::new(ip("10.0.0.1"), ip("fd00::1")), None);
        assert_eq!(Span::new(ip("10.0.0.2"), ip("10.0.0.1")), None);
    }

    #[test]
    fn ipv4_comes_before_ipv6() {
        assert!(span("255.255.255.255") < span("::"));
        assert!(!span("0.0.0.0/0").overlaps(&span("::/0")));
    }
}
