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

/// The text of a field together with the field's path, by which whatever is wrong with the text is told.
#[derive(Clone, Debug)]
pub(super) struct Held<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) text: &'a str,
}

impl<'a> Held<'a> {
    pub(super) fn new(path: impl Into<Cow<'a, str>>, text: &'a str) -> Self {
        Self { path: path.into(), text }
    }

    /// A text that is there; `None` where it is absent or empty.
    pub(super) fn given(path: impl Into<Cow<'a, str>>, text: Option<&'a String>) -> Option<Self> {
        text.filter(|text| !text.is_empty()).map(|text| Self::new(path, text))
    }

    /// A text under a key of the object with this path; `None` where it is absent or empty.
    pub(super) fn key(object: &str, key: &str, text: Option<&'a String>) -> Option<Self> {
        // Most fields of a range are absent: no path is put together for those.
        let text = text?;
        Self::given(format!("{object}.{key}"), Some(text))
    }

    /// A text as it was written; `None` where it is absent or empty, an error where it is not a text.
    pub(super) fn read(path: &'a str, field: Option<&'a Text>) -> Result<Option<Self>, Error> {
        let Some(field) = field else { return Ok(None) };
        let text = field.read(path)?;
        Ok(if text.is_empty() { None } else { Some(Self::new(path, text)) })
    }

    /// Every entry of a list, with the path of the entry.
    pub(super) fn entries(path: &'a str, list: &'a [String]) -> impl Iterator<Item = Self> {
        list.iter().enumerate().map(move |(nth, text)| Self::new(format!("{path}[{nth}]"), text))
    }

    pub(super) fn wrong(&self, expected: impl Into<String>) -> Error {
        wrong(&self.path, self.text, expected)
    }

    pub(super) fn address(&self) -> Result<IpAddr, Error> {
        parse_address(self.text).ok_or_else(|| self.wrong("an IPv4 or IPv6 address"))
    }

    pub(super) fn gateway(&self) -> Result<Gateway, Error> {
        self.text.parse().map_err(|_| self.wrong("an IPv4 or IPv6 address, or \"none\" for no gateway"))
    }

    /// With a prefix length: a bare address would silently be a subnet of one.
    pub(super) fn subnet(&self) -> Result<IpNetwork, Error> {
        let parsed = if self.text.contains('/') { parse_subnet(self.text) } else { None };
        parsed.ok_or_else(|| self.wrong("a subnet in CIDR form, such as 10.188.0.0/16"))
    }

    pub(super) fn subnet_or_address(&self) -> Result<IpNetwork, Error> {
        parse_subnet(self.text).ok_or_else(|| self.wrong("a subnet in CIDR form or an address"))
    }

    /// A plugin's working directory is whatever the runtime's happens to be, so a relative path means nothing.
    pub(super) fn absolute_path(&self) -> Result<PathBuf, Error> {
        let file = PathBuf::from(self.text);
        let climbs = file.components().any(|part| part == Component::ParentDir);
        if !file.is_absolute() || climbs || self.text.contains('\0') {
            return Err(self.wrong("an absolute path without \"..\""));
        }
        Ok(file)
    }

    pub(super) fn name(&self) -> Result<String, Error> {
        if is_name(self.text) { Ok(self.text.to_owned()) } else { Err(self.wrong(NAME)) }
    }

    /// For example `30s`, `500ms`, `1m30s`.
    pub(super) fn duration(&self, bounds: RangeInclusive<Duration>) -> Result<Duration, Error> {
        let parsed = self.text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
        if let Some(duration) = parsed.filter(|duration| bounds.contains(duration)) {
            return Ok(duration);
        }
        let (least, most) = (readable(*bounds.start()), readable(*bounds.end()));
        Err(self.wrong(format!("a duration from {least:#} to {most:#}, such as 30s, 500ms or 2m")))
    }
}

/// A duration that prints as it would be written.
fn readable(bound: Duration) -> SignedDuration {
    SignedDuration::try_from(bound).unwrap_or(SignedDuration::MAX)
}

pub(super) fn wrong(path: &str, held: impl Debug, expected: impl Into<String>) -> Error {
    Error::Field { path: path.to_owned(), held: format!("{held:?}"), expected: expected.into() }
}

pub(super) fn at_most(path: &str, count: usize, limit: usize) -> Result<(), Error> {
    if count > limit { Err(Error::TooMany { path: path.to_owned(), count, limit }) } else { Ok(()) }
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

/// A text that decides about the store or the policy. `null` is refused, and so is an empty text.
pub(super) fn stated_text<'a>(
    field: &'a Stated<String>,
    path: &'static str,
    without: &'static str,
) -> Result<Option<Held<'a>>, Error> {
    match stated(field, path, without)? {
        Some(text) if text.is_empty() => Err(Error::Unsaid { path, held: EMPTY, without }),
        text => Ok(text.map(|text| Held::new(path, text))),
    }
}

/// A field that is a file's path, or an object with it. Returns the object, which `of_path` makes of a path, and the name of
/// the field that has the path. `null` and an empty path are refused.
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
