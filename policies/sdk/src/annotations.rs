//! The pod's annotations, as text: which form counts, how a value is split, what a malformed one is told.
//!
//! Every annotation may be given for one network alone, with the network's name at the end (`kube-ipam.ip.blue`), and for
//! one interface in it (`kube-ipam.ip.blue.net1`): the most particular form wins.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use addresses::{Family, Span, parse_address, parse_length, parse_with_length};

use crate::proposal::Refusal;
use crate::request::Request;

/// The addresses the pod shall have, all of them.
pub const IP: &str = "kube-ipam.ip";
/// Addresses of which the pod shall have one.
pub const IP_POOL: &str = "kube-ipam.ip-pool";
/// The subnet length of the named addresses.
pub const NETMASK: &str = "kube-ipam.netmask";
/// The gateway of the pod's addresses.
pub const GATEWAY: &str = "kube-ipam.gateway";
/// The families of which the pod wants addresses. The host reads it, and tells the policy of no other ranges.
pub const FAMILIES: &str = "kube-ipam.families";

/// The annotations that [`Wish`](crate::Wish) reads.
pub const OF_WISH: [&str; 4] = [IP, IP_POOL, NETMASK, GATEWAY];

/// An annotation of the pod, under the name it really has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation<'a> {
    base: &'static str,
    name: &'a str,
    value: &'a str,
}

/// For whom an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For one interface in one network: `<base>.<network>.<interface>`.
    Interface,
    /// For one network: `<base>.<network>`.
    Network,
    /// For every network of the pod: `<base>`.
    General,
}

impl Form {
    /// The most particular first.
    pub const ALL: [Self; 3] = [Self::Interface, Self::Network, Self::General];

    fn is_of(self, name: &str, base: &str, request: &Request) -> bool {
        let Some(rest) = name.strip_prefix(base) else { return false };
        if self == Self::General {
            return rest.is_empty();
        }
        // Both names may have dots: taken off from the left, what is left is compared as a whole.
        let network = rest.strip_prefix('.').and_then(|rest| rest.strip_prefix(request.network.as_str()));
        let Some(rest) = network else { return false };
        if self == Self::Network {
            return rest.is_empty();
        }
        rest.strip_prefix('.') == Some(&request.interface_name)
    }
}

/// The longest value repeated in an error; the rest is cut.
const LONGEST_QUOTE: usize = 120;

impl<'a> Annotation<'a> {
    /// The most particular form.
    pub fn find(request: &'a Request, base: &'static str) -> Option<Self> {
        Form::ALL.into_iter().find_map(|form| Self::in_form(request, base, form))
    }

    /// This form, and no other.
    pub fn in_form(request: &'a Request, base: &'static str, form: Form) -> Option<Self> {
        let (name, value) = request.annotations().iter().find(|(name, _)| form.is_of(name, base, request))?;
        Some(Self { base, name, value })
    }

    /// Whether it is this annotation, in whichever form.
    pub fn is(&self, base: &str) -> bool {
        self.base == base
    }

    /// The name as the pod spells it.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value, as it is.
    pub fn value(&self) -> &'a str {
        self.value
    }

    /// Whether it is for one network, or one interface in it.
    pub fn is_for_network(&self) -> bool {
        self.name != self.base
    }

    /// The refusal of this annotation; `why` says what was expected.
    pub fn invalid(&self, why: impl fmt::Display) -> Refusal {
        Refusal::Invalid(format!("{self}: {why}"))
    }

    /// `address` or `address/length`, separated by commas.
    pub fn addresses(&self) -> Result<Vec<(IpAddr, Option<u8>)>, Refusal> {
        let expected = "expected addresses separated by commas, such as 10.0.0.7 or 10.0.0.7/24,fd00::7";
        let addresses = self.entries(expected, address_with_length)?;
        match first_repeated(addresses.iter().map(|(address, _)| *address)) {
            Some(address) => Err(self.invalid(format_args!("{address} appears twice"))),
            None => Ok(addresses),
        }
    }

    /// Addresses, ranges and subnets, separated by commas.
    pub fn spans(&self) -> Result<Vec<Span>, Refusal> {
        self.split().map(|entry| entry.parse().map_err(|error| self.malformed(entry, &error))).collect()
    }

    /// Addresses, separated by commas.
    pub fn gateways(&self) -> Result<Vec<IpAddr>, Refusal> {
        self.entries("expected an address such as 10.0.0.1, or one per subnet separated by commas", parse_address)
    }

    /// A mask or a length, at most one for each family. A bare length is for the only family there is; where there are
    /// two, up to 32 it is IPv4's.
    pub fn netmasks(&self, families: &[Family]) -> Result<Vec<(Family, u8)>, Refusal> {
        let expected =
            "expected a netmask such as 255.255.255.0, 24 or ffff:ffff:ffff:ffff::, at most one for each family";
        let lengths = self.entries(expected, |entry| mask(entry, families))?;
        match first_repeated(lengths.iter().map(|(family, _)| *family)) {
            Some(_) => Err(self.invalid(expected)),
            None => Ok(lengths),
        }
    }

    fn entries<T>(&self, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Refusal> {
        self.split().map(|entry| parse(entry).ok_or_else(|| self.malformed(entry, &expected))).collect()
    }

    /// Names the entry unless it is the whole value.
    fn malformed(&self, entry: &str, expected: &dyn fmt::Display) -> Refusal {
        // The value stands in the message anyway: only an entry among others has to be named.
        match entry {
            whole if whole == self.value.trim() => self.invalid(expected),
            "" => self.invalid(format_args!("an entry is empty; {expected}")),
            entry => self.invalid(format_args!("{}: {expected}", quoted(entry))),
        }
    }

    fn split(&self) -> impl Iterator<Item = &'a str> {
        self.value.split(',').map(str::trim)
    }
}

impl fmt::Display for Annotation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "annotation {} {}", self.name, quoted(self.value))
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn first_repeated<T: PartialEq>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = Vec::new();
    for value in values {
        if seen.contains(&value) {
            return Some(value);
        }
        seen.push(value);
    }
    None
}

fn address_with_length(entry: &str) -> Option<(IpAddr, Option<u8>)> {
    if !entry.contains('/') {
        return parse_address(entry).map(|address| (address, None));
    }
    let (address, length) = parse_with_length(entry)?;
    (length > 0).then_some((address, Some(length)))
}

fn mask(entry: &str, families: &[Family]) -> Option<(Family, u8)> {
    if let Ok(mask) = entry.parse::<Ipv4Addr>() {
        return contiguous(mask.to_bits().leading_ones(), mask.to_bits().count_ones()).map(|bits| (Family::V4, bits));
    }
    if let Ok(mask) = entry.parse::<Ipv6Addr>() {
        return contiguous(mask.to_bits().leading_ones(), mask.to_bits().count_ones()).map(|bits| (Family::V6, bits));
    }
    // A bare number says no family by itself.
    let length = parse_length(entry).filter(|&length| length > 0)?;
    let family = match families {
        [family] => *family,
        _ if length <= Family::V4.bits() => Family::V4,
        _ => Family::V6,
    };
    (length <= family.bits()).then_some((family, length))
}

fn contiguous(leading_ones: u32, ones: u32) -> Option<u8> {
    if leading_ones != ones || ones == 0 {
        return None;
    }
    u8::try_from(ones).ok()
}
