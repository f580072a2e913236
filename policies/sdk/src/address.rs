//! Addresses as numbers, spans of them and subnets; 128 bits serve both families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 32-bit addresses.
    V4,
    /// 128-bit addresses.
    V6,
}

impl Family {
    /// IPv4 first.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

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
            Self::V4 => Ipv4Addr::from_bits(number as u32).into(),
            Self::V6 => Ipv6Addr::from_bits(number).into(),
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

/// The address in a text. IPv4 that is written as IPv6 (`::ffff:10.0.0.1`) is IPv4, as wherever kube-ipam reads an address.
pub fn parse(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// An address and the length of its subnet in a text, host bits and all. Of IPv4 that is written as IPv6 the length counts
/// the 96 bits before it, too.
pub fn parse_with_length(text: &str) -> Option<(IpAddr, u8)> {
    let (written, length) = text.split_once('/')?;
    let written: IpAddr = written.parse().ok()?;
    let (address, length) = (written.to_canonical(), decimal(length)?);
    let length = if address.is_ipv4() == written.is_ipv4() { length } else { length.checked_sub(96)? };
    (length <= Family::of(address).bits()).then_some((address, length))
}

/// The number of an address: what order and distance are made of.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Addresses from `first` to `last`, both included, of one family.
///
/// In text: an address, `first-last`, or a subnet `address/length`.
///
/// Kept as numbers: a walk over a range compares and counts far more often than it shows an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    family: Family,
    first: u128,
    last: u128,
}

impl Span {
    /// `None` when the families differ or `first` is above `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let family = Family::of(first);
        (family == Family::of(last)).then(|| Self::of(family, number(first), number(last))).flatten()
    }

    /// The span of a single address.
    pub fn single(address: IpAddr) -> Self {
        Self { family: Family::of(address), first: number(address), last: number(address) }
    }

    fn of(family: Family, first: u128, last: u128) -> Option<Self> {
        (first <= last).then_some(Self { family, first, last })
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.family.address(self.first)
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.family.address(self.last)
    }

    /// The family of both ends.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How many addresses; all of IPv6 counts as the largest number.
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

    /// The span from a position on, if it has that many addresses.
    pub fn starting_at(&self, position: u128) -> Option<Self> {
        Self::of(self.family, self.first.checked_add(position)?, self.last)
    }

    /// What lies in both.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let common = Self::of(self.family, self.first.max(other.first), self.last.min(other.last));
        common.filter(|_| self.family == other.family)
    }

    /// What is left above an address of the same family: all of the span when the address is below it.
    pub fn above(&self, address: IpAddr) -> Option<Self> {
        Self::of(self.family, number(address).checked_add(1)?.max(self.first), self.last)
    }

    /// What is left below an address of the same family: all of the span when the address is above it.
    pub fn below(&self, address: IpAddr) -> Option<Self> {
        Self::of(self.family, self.first, number(address).checked_sub(1)?.min(self.last))
    }

    /// The part of the span below a hole and the part above it.
    pub fn without(&self, hole: &Self) -> impl Iterator<Item = Self> {
        let parts = match self.intersection(hole) {
            Some(common) => [self.below(common.first()), self.above(common.last())],
            None => [Some(*self), None],
        };
        parts.into_iter().flatten()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first()),
            false => write!(f, "{}-{}", self.first(), self.last()),
        }
    }
}

/// Spans with the holes taken out of each, in their order.
pub fn without(spans: Vec<Span>, holes: impl IntoIterator<Item = Span>) -> Vec<Span> {
    holes.into_iter().fold(spans, |spans, hole| spans.iter().flat_map(|span| span.without(&hole)).collect())
}

/// A subnet: a network address with host bits zero, and a length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    span: Span,
    length: u8,
}

impl Prefix {
    /// Clears the host bits. `None` for a length the family does not have.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        let host_bits = family.bits().checked_sub(length)?;
        let hosts = u128::MAX.checked_shr(128 - u32::from(host_bits)).unwrap_or(0);
        let network = number(address) & !hosts;
        Some(Self { span: Span { family, first: network, last: network | hosts }, length })
    }

    /// The subnet of a single address.
    pub fn host(address: IpAddr) -> Self {
        Self { span: Span::single(address), length: Family::of(address).bits() }
    }

    /// The network address.
    pub fn address(&self) -> IpAddr {
        self.span.first()
    }

    /// The length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The family of the subnet.
    pub fn family(&self) -> Family {
        self.span.family
    }

    /// Every address, with the network and broadcast addresses.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Whether the address lies in the subnet.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.span.contains(address)
    }

    /// The network address (IPv6: the subnet-router anycast address), if there is one: subnets of one or two addresses use
    /// all of them.
    pub fn network_address(&self) -> Option<IpAddr> {
        (self.span.size() > 2).then(|| self.address())
    }

    /// The broadcast address; IPv6 has none.
    pub fn broadcast_address(&self) -> Option<IpAddr> {
        (self.family() == Family::V4 && self.span.size() > 2).then(|| self.span.last())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

/// What is wrong with the text of a span or a subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// None of the three forms.
    #[error("expected an address, a range first-last or a subnet address/length")]
    Form,
    /// The end of a range is below its start, or of the other family.
    #[error("the end of a range must not be below its start, nor of the other family")]
    Order,
    /// A subnet with host bits: a slip, or a single address meant.
    #[error("write {subnet} for the subnet or {address} for the address")]
    HostBits {
        /// The subnet with its host bits cleared.
        subnet: Prefix,
        /// The address alone.
        address: IpAddr,
    },
}

impl FromStr for Prefix {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let (address, length) = parse_with_length(text).ok_or(SpanError::Form)?;
        let subnet = Self::new(address, length).ok_or(SpanError::Form)?;
        if subnet.address() == address { Ok(subnet) } else { Err(SpanError::HostBits { subnet, address }) }
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        if text.contains('/') {
            return text.parse::<Prefix>().map(|subnet| subnet.span());
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let address = |text: &str| parse(text.trim()).ok_or(SpanError::Form);
        Self::new(address(first)?, address(last)?).ok_or(SpanError::Order)
    }
}

/// A small number in digits alone: `u8::from_str` would take a sign.
pub(crate) fn decimal(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn the_three_forms_of_a_span() {
        for (text, first, last) in [
            ("10.0.0.7", "10.0.0.7", "10.0.0.7"),
            ("10.0.0.7-10.0.0.9", "10.0.0.7", "10.0.0.9"),
            ("10.0.0.7 - 10.0.0.9", "10.0.0.7", "10.0.0.9"),
            ("10.0.0.0/30", "10.0.0.0", "10.0.0.3"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fd00::/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
            ("fd00::7/128", "fd00::7", "fd00::7"),
            ("::ffff:10.0.0.7", "10.0.0.7", "10.0.0.7"),
            ("::ffff:10.0.0.0/126", "10.0.0.0", "10.0.0.3"),
            ("::ffff:10.0.0.7-10.0.0.9", "10.0.0.7", "10.0.0.9"),
        ] {
            assert_eq!(
                (span(text).first(), span(text).last()),
                (first.parse().unwrap(), last.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_span() {
        for (text, error) in [
            ("", "expected an address, a range first-last or a subnet address/length"),
            ("10.0.0", "expected an address, a range first-last or a subnet address/length"),
            ("10.0.0.0/33", "expected an address, a range first-last or a subnet address/length"),
            ("::ffff:10.0.0.0/24", "expected an address, a range first-last or a subnet address/length"),
            ("10.0.0.0/+8", "expected an address, a range first-last or a subnet address/length"),
            ("10.0.0.1-10.0.0.2-10.0.0.3", "expected an address, a range first-last or a subnet address/length"),
            ("10.0.0.9-10.0.0.7", "the end of a range must not be below its start, nor of the other family"),
            ("10.0.0.9-fd00::1", "the end of a range must not be below its start, nor of the other family"),
            ("10.0.0.9/24", "write 10.0.0.0/24 for the subnet or 10.0.0.9 for the address"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap_err().to_string(), error, "{text:?}");
        }
    }

    #[test]
    fn the_ends_of_the_address_space_have_no_neighbours() {
        let all = span("0.0.0.0/0");
        assert_eq!(all.above("255.255.255.255".parse().unwrap()), None);
        assert_eq!(all.below("0.0.0.0".parse().unwrap()), None);
        assert_eq!(span("::/0").size(), u128::MAX);
    }

    #[test]
    fn holes_are_taken_out() {
        let left = without(vec![span("10.0.0.0-10.0.0.9")], [span("10.0.0.0"), span("10.0.0.4-10.0.0.5"), span("::1")]);
        assert_eq!(left, [span("10.0.0.1-10.0.0.3"), span("10.0.0.6-10.0.0.9")]);
        assert_eq!(without(vec![span("10.0.0.4")], [span("10.0.0.0/24")]), []);
    }
}
