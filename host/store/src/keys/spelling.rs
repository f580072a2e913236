//! How the parts of a key are spelt: numbers in digits that sort as they count, names escaped so that no part has a slash.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ordered::KeyRange;
use ipam::Family;
use ipam::address::number;

/// The address that a key under `a`, `h`, `i` or `e` ends in.
pub(crate) fn address_in(key: &str) -> Option<IpAddr> {
    let mut parts = key.rsplit('/');
    let digits = parts.next()?;
    parse_digits(parts.next()?, digits)
}

fn digit(family: Family) -> char {
    match family {
        Family::V4 => '4',
        Family::V6 => '6',
    }
}

pub(super) fn digits(address: IpAddr) -> String {
    let family = Family::of(address);
    format!("{}/{:0width$x}", digit(family), number(address), width = usize::from(family.bits()) / 4)
}

/// The number that a key under `s` ends in.
pub(crate) fn slot_number_in(key: &str) -> Option<u32> {
    parse_number(key.rsplit('/').next()?)
}

/// The first whole second at which a hold is over.
pub(crate) fn seconds_until(until: Timestamp) -> u64 {
    let begun = i64::from(until.subsec_nanosecond() > 0);
    until.as_second().saturating_add(begun).max(0).unsigned_abs()
}

/// A number in so many digits, only as we spell it: another spelling of the same number would be a second key of one thing.
pub(super) fn parse_hex(digits: &str, width: usize) -> Option<u128> {
    let is_ours = digits.len() == width && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_ours { u128::from_str_radix(digits, 16).ok() } else { None }
}

pub(super) fn parse_number(digits: &str) -> Option<u32> {
    u32::try_from(parse_hex(digits, 8)?).ok()
}

pub(super) fn parse_digits(family: &str, digits: &str) -> Option<IpAddr> {
    let family = match family {
        "4" => Family::V4,
        "6" => Family::V6,
        _ => return None,
    };
    Some(family.address(parse_hex(digits, usize::from(family.bits()) / 4)?))
}

/// The keys that begin with `start`, which ends in `/`.
pub(super) fn under(start: String) -> KeyRange {
    // '0' is the character after '/'.
    let to = format!("{}0", start.strip_suffix('/').unwrap_or(&start));
    KeyRange { from: start, to }
}

pub(super) fn inclusive(from: String, last: String) -> KeyRange {
    KeyRange { from, to: last + "\0" }
}

/// The beginning of a text's digest.
pub(super) fn digest(text: &str, digits: usize) -> String {
    format!("{:.digits$x}", Sha256::digest(text))
}

pub(crate) fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b':' | b'@' => escaped.push(byte.into()),
            _ => {
                let _ = write!(escaped, "%{byte:02x}");
            }
        }
    }
    escaped
}

/// The inverse of [`escape`]; `None` for what it never writes. Two spellings of one name would be two keys, of which DEL and
/// GC know one.
pub(crate) fn unescape(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (escape(&text) == part).then_some(text)
}
