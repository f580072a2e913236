//! From texts to addresses, spans and subnets.
//!
//! IPv4 that is written as IPv6 is IPv4, wherever an address is read: taken as IPv6 it would lie in no range, and no rule for
//! the IPv4 address would apply to it.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::family::Family;
use crate::prefix::Prefix;
use crate::span::Span;

/// The address in a text.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// An address and the length of its subnet in a text, host bits and all.
pub fn parse_with_length(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    canonical(address.parse().ok()?, parse_length(length)?)
}

/// The length of a subnet in digits alone: `u8::from_str` would take a sign. Whether a family has it is not looked at.
pub fn parse_length(text: &str) -> Option<u8> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// An address and the length of its subnet, where IPv4 may be written as IPv6: there the length counts the 96 bits
/// before the IPv4 address, too. `None` for a length that the address does not have.
pub fn canonical(address: IpAddr, length: u8) -> Option<(IpAddr, u8)> {
    let canonical = address.to_canonical();
    let length = if canonical.is_ipv4() == address.is_ipv4() { length } else { length.checked_sub(96)? };
    (length <= Family::of(canonical).bits()).then_some((canonical, length))
}

/// What is wrong with the text of a span or a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanError {
    /// None of the three forms.
    Form,
    /// The end of a range is below its start, or of the other family.
    Order,
    /// A subnet with host bits: a slip, or a single address meant.
    HostBits {
        /// The subnet with its host bits cleared.
        subnet: Prefix,
        /// The address alone.
        address: IpAddr,
    },
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("expected an address, a range first-last or a subnet address/length"),
            Self::Order => f.write_str("the end of a range must not be below its start, nor of the other family"),
            Self::HostBits { subnet, address } => {
                write!(f, "write {subnet} for the subnet or {address} for the address")
            }
        }
    }
}

impl core::error::Error for SpanError {}

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
        let first = parse_address(first.trim()).ok_or(SpanError::Form)?;
        let last = parse_address(last.trim()).ok_or(SpanError::Form)?;
        Self::new(first, last).ok_or(SpanError::Order)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        for (text, address) in [
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("::FFFF:a00:1", Some("10.0.0.1")),
            // Neither mapped nor anything else that is IPv4.
            ("::10.0.0.1", Some("::a00:1")),
            ("::ffff:10.0.0.1/128", None),
        ] {
            assert_eq!(parse_address(text).map(|address| address.to_string()).as_deref(), address, "{text}");
        }
        for (text, expected) in [
            ("::ffff:10.0.0.7/112", Some(("10.0.0.7", 16))),
            ("::ffff:0:0/96", Some(("0.0.0.0", 0))),
            ("fd00::7/64", Some(("fd00::7", 64))),
            ("::ffff:10.0.0.7/95", None),
            ("::ffff:10.0.0.7/24", None),
            ("::ffff:10.0.0.7/129", None),
            ("10.0.0.7/33", None),
            ("10.0.0.7/+8", None),
            ("10.0.0.7/", None),
        ] {
            let expected = expected.map(|(address, length)| (address.parse::<IpAddr>().unwrap(), length));
            assert_eq!(parse_with_length(text), expected, "{text}");
        }
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
            let span: Span = text.parse().unwrap();
            assert_eq!((span.first(), span.last()), (first.parse().unwrap(), last.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_makes_no_span() {
        const FORM: &str = "expected an address, a range first-last or a subnet address/length";
        const ORDER: &str = "the end of a range must not be below its start, nor of the other family";
        for (text, error) in [
            ("", FORM),
            ("10.0.0", FORM),
            ("10.0.0.0/33", FORM),
            ("::ffff:10.0.0.0/24", FORM),
            ("10.0.0.0/+8", FORM),
            ("10.0.0.1-10.0.0.2-10.0.0.3", FORM),
            ("10.0.0.9-10.0.0.7", ORDER),
            ("10.0.0.9-fd00::1", ORDER),
            ("10.0.0.9/24", "write 10.0.0.0/24 for the subnet or 10.0.0.9 for the address"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap_err().to_string(), error, "{text:?}");
        }
    }
}
