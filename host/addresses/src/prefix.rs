//! Subnets, and which of their addresses a host may have.

use core::fmt;
use core::net::IpAddr;

use crate::family::{Family, number};
use crate::span::Span;

/// A subnet: a network address with host bits zero, and a length in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Clears the host bits. `None` for a length the family does not have.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let family = Family::of(address);
        let host_bits = family.bits().checked_sub(length)?;
        Some(Self::of_number(family, number(address), host_bits))
    }

    /// The subnet of a single address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, length: Family::of(address).bits() }
    }

    /// So many low bits are free; there have to be as many in an address of the family.
    pub(crate) fn of_number(family: Family, number: u128, host_bits: u8) -> Self {
        Self { address: family.address(number & !hosts(host_bits)), length: family.bits() - host_bits }
    }

    /// The address with all host bits zero.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The family of the subnet.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Every address, with the network and broadcast addresses.
    pub fn span(&self) -> Span {
        let (family, first) = (self.family(), number(self.address));
        let last = first | hosts(family.bits() - self.length);
        Span::of_numbers(family, first, last).unwrap_or(Span::single(self.address))
    }

    /// Whether the address lies in the subnet.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.span().contains(address)
    }

    /// The network address (IPv6: the subnet-router anycast address, RFC 4291 §2.6.1), if there is one. Of a subnet of two
    /// addresses both are for hosts (RFC 3021 §2.1, RFC 6164 §6), and so is a single one.
    pub fn network_address(&self) -> Option<IpAddr> {
        (self.span().size() > 2).then(|| self.address())
    }

    /// The broadcast address. IPv6 has none, nor has an IPv4 subnet of one or two addresses (RFC 3021 §2.2).
    pub fn broadcast_address(&self) -> Option<IpAddr> {
        (self.family() == Family::V4 && self.span().size() > 2).then(|| self.span().last())
    }

    /// What hosts may have: every address but the network and broadcast addresses.
    pub fn usable(&self) -> Span {
        let above = self.network_address().and_then(|network| self.span().above(network)).unwrap_or(self.span());
        self.broadcast_address().and_then(|broadcast| above.below(broadcast)).unwrap_or(above)
    }

    /// The gateway where nobody names one: the second address, which is the first one after the network address. A subnet of
    /// one address has room for none.
    pub fn default_gateway(&self) -> Option<IpAddr> {
        self.span().nth(1)
    }

    /// Where addresses are given out from where nobody says it: the usable ones, without the place of the default gateway
    /// where the gateway is in the subnet. Of two addresses both are left, even if one is the gateway.
    pub fn default_range(&self, gateway: Option<IpAddr>) -> Span {
        let usable = self.usable();
        if self.span().size() > 2 && gateway.is_some_and(|gateway| self.contains(gateway)) {
            return usable.starting_at(1).unwrap_or(usable);
        }
        usable
    }
}

/// The low bits that tell the addresses of a subnet apart, all of them set.
fn hosts(host_bits: u8) -> u128 {
    // Of 128 bits a shift by 128 would be none at all.
    u128::MAX.checked_shr(128 - u32::from(host_bits)).unwrap_or(0)
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.length)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use super::*;

    fn shown(address: Option<IpAddr>) -> String {
        address.map_or("none".to_string(), |address| address.to_string())
    }

    #[test]
    fn the_special_addresses_of_a_subnet() {
        for (subnet, network, broadcast, gateway, usable) in [
            ("10.0.0.0/24", "10.0.0.0", "10.0.0.255", "10.0.0.1", "10.0.0.1-10.0.0.254"),
            ("10.0.0.4/30", "10.0.0.4", "10.0.0.7", "10.0.0.5", "10.0.0.5-10.0.0.6"),
            ("10.0.0.4/31", "none", "none", "10.0.0.5", "10.0.0.4-10.0.0.5"),
            ("10.0.0.4/32", "none", "none", "none", "10.0.0.4"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "0.0.0.1", "0.0.0.1-255.255.255.254"),
            ("fd00::/126", "fd00::", "none", "fd00::1", "fd00::1-fd00::3"),
            ("fd00::4/127", "none", "none", "fd00::5", "fd00::4-fd00::5"),
            ("fd00::4/128", "none", "none", "none", "fd00::4"),
        ] {
            let prefix: Prefix = subnet.parse().unwrap();
            let special = [prefix.network_address(), prefix.broadcast_address(), prefix.default_gateway()].map(shown);
            assert_eq!(special, [network, broadcast, gateway], "{subnet}");
            assert_eq!(prefix.usable().to_string(), usable, "{subnet}");
        }
    }

    #[test]
    fn the_default_range_begins_after_a_gateway_of_the_subnet() {
        for (subnet, gateway, range) in [
            ("10.0.0.0/24", Some("10.0.0.1"), "10.0.0.2-10.0.0.254"),
            ("10.0.0.0/24", Some("10.0.0.254"), "10.0.0.2-10.0.0.254"),
            ("10.0.0.0/24", Some("169.254.1.1"), "10.0.0.1-10.0.0.254"),
            ("10.0.0.0/24", None, "10.0.0.1-10.0.0.254"),
            ("10.0.0.0/31", Some("10.0.0.1"), "10.0.0.0-10.0.0.1"),
            ("10.0.0.0/30", Some("10.0.0.1"), "10.0.0.2"),
            ("fd00::/126", Some("fd00::1"), "fd00::2-fd00::3"),
            ("fd00::/126", None, "fd00::1-fd00::3"),
        ] {
            let prefix: Prefix = subnet.parse().unwrap();
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            assert_eq!(prefix.default_range(gateway).to_string(), range, "{subnet} {gateway:?}");
        }
    }

    #[test]
    fn a_length_the_family_does_not_have_makes_no_subnet() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(Prefix::new(ip("10.0.0.7"), 33), None);
        assert_eq!(Prefix::new(ip("fd00::7"), 129), None);
        assert_eq!(format!("{}", Prefix::new(ip("10.0.0.7"), 8).unwrap()), "10.0.0.0/8");
        assert_eq!(Prefix::new(ip("fd00::7"), 128), Some(Prefix::host(ip("fd00::7"))));
    }
}
