//! Single fields: from text to types that cannot be wrong. As everywhere in CNI an empty text is an absent one, except where
//! a field decides about the store or the policy.

use std::borrow::Cow;
use std::fmt::Debug;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Component, PathBuf};
use std::time::Duration;

use ipnetwork::IpNetwork;
use jiff::SignedDuration;

use super::error::Error;
use cni::{NAME, PathOr, Stated, Text, is_name};
use ipam::Gateway;
use ipam::address::{parse_address, parse_subnet};

/// How an error shows an empty text.
const EMPTY: &str = "\"\"";

/// The text of a field, unless it is absent or empty.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// The text of a field that nobody has looked at yet.
pub(super) fn read_text<'a>(field: Option<&'a Text>, path: &str) -> Result<Option<&'a str>, Error> {
    let text = field.map(|field| field.read(path)).transpose()?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// What a field says that decides about the store or the policy. `null` is refused; `without` says what would become of the
/// network without the key.
pub(super) fn stated<'a, T>(
    field: &'a Stated<T>,
    path: &'static str,
    without: &'static str,
) -> Result<Option<&'a T>, Error> {
    match field {
        Stated::Null => Err(Error::Unsaid { path, held: "null", without }),
        stated => Ok(stated.value()),
    }
}

/// The same for a text: an empty one says nothing either.
pub(super) fn stated_text<'a>(
    field: &'a Stated<String>,
    path: &'static str,
    without: &'static str,
) -> Result<Option<&'a str>, Error> {
    match stated(field, path, without)? {
        Some(text) if text.is_empty() => Err(Error::Unsaid { path, held: EMPTY, without }),
        text => Ok(text.map(String::as_str)),
    }
}

/// The same for a field that is a file's path, or an object with it: as an object, which `of_path` makes of a path, and the
/// name of the field that has the path.
pub(super) fn stated_object<'a, T: Clone>(
    field: &'a Stated<PathOr<T>>,
    [path, inside]: [&'static str; 2],
    without: &'static str,
    of_path: impl FnOnce(String) -> T,
) -> Result<Option<(&'static str, Cow<'a, T>)>, Error> {
    Ok(match stated(field, path, without)? {
        None => None,
        Some(PathOr::Path(file)) if file.is_empty() => return Err(Error::Unsaid { path, held: EMPTY, without }),
        Some(PathOr::Path(file)) => Some((path, Cow::Owned(of_path(file.clone())))),
        Some(PathOr::Object(object)) => Some((inside, Cow::Borrowed(object))),
    })
}

pub(super) fn wrong(path: &str, held: impl Debug, expected: impl Into<String>) -> Error {
    Error::Field { path: path.to_owned(), held: format!("{held:?}"), expected: expected.into() }
}

pub(super) fn address(path: &str, held: &str) -> Result<IpAddr, Error> {
    parse_address(held).ok_or_else(|| wrong(path, held, "an IPv4 or IPv6 address"))
}

pub(super) fn gateway(path: &str, held: &str) -> Result<Gateway, Error> {
    held.parse().map_err(|_| wrong(path, held, "an IPv4 or IPv6 address, or \"none\" for no gateway"))
}

/// With a prefix length: a bare address would silently be a subnet of one.
pub(super) fn subnet(path: &str, held: &str) -> Result<IpNetwork, Error> {
    let parsed = held.contains('/').then(|| parse_subnet(held)).flatten();
    parsed.ok_or_else(|| wrong(path, held, "a subnet in CIDR form, such as 10.188.0.0/16"))
}

/// A subnet or a single address.
pub(super) fn subnet_or_address(path: &str, held: &str) -> Result<IpNetwork, Error> {
    parse_subnet(held).ok_or_else(|| wrong(path, held, "a subnet in CIDR form or an address"))
}

/// A plugin's working directory is whatever the runtime's happens to be, so a relative path means nothing.
pub(super) fn absolute_path(path: &str, held: &str) -> Result<PathBuf, Error> {
    let file = PathBuf::from(held);
    let climbs = file.components().any(|part| part == Component::ParentDir);
    if !file.is_absolute() || climbs || held.contains('\0') {
        return Err(wrong(path, held, "an absolute path without \"..\""));
    }
    Ok(file)
}

pub(super) fn optional_path(path: &str, held: Option<&String>) -> Result<Option<PathBuf>, Error> {
    given(held).map(|held| absolute_path(path, held)).transpose()
}

pub(super) fn name(path: &str, held: &str) -> Result<String, Error> {
    if is_name(held) { Ok(held.to_owned()) } else { Err(wrong(path, held, NAME)) }
}

/// For example `30s`, `500ms`, `1m30s`.
pub(super) fn duration(path: &str, held: &str, bounds: RangeInclusive<Duration>) -> Result<Duration, Error> {
    let parsed = held.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed.filter(|duration| bounds.contains(duration)).ok_or_else(|| {
        let readable = |bound: &Duration| SignedDuration::try_from(*bound).unwrap_or(SignedDuration::MAX);
        let (least, most) = (readable(bounds.start()), readable(bounds.end()));
        wrong(path, held, format!("a duration from {least:#} to {most:#}, such as 30s, 500ms or 2m"))
    })
}

pub(super) fn at_most(path: &str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { path: path.to_owned(), count, limit }) } else { Ok(()) }
}
