//! Versions of the specification: which there are, and what each of them knows.

use std::fmt;

use serde::Serialize;

use super::environment::Verb;
use super::error::Error;

/// A version of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// What a configuration without `cniVersion` means.
    V0_1_0,
    /// As 0.1.0.
    V0_2_0,
    /// Lists of addresses instead of one per family.
    V0_3_0,
    /// As 0.3.0.
    V0_3_1,
    /// CHECK, and with it prevResult.
    V0_4_0,
    /// No `version` in an address.
    V1_0_0,
    /// GC, STATUS, and attributes of routes.
    V1_1_0,
}

/// How a version writes the addresses of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `ip4` and `ip6`, at most one of each.
    PerFamily,
    /// A list whose entries carry `version`.
    Tagged,
    /// A list.
    Plain,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 7] =
        [Self::V0_1_0, Self::V0_2_0, Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// The newest: the one to answer in when nobody said which.
    pub const NEWEST: Self = Self::V1_1_0;

    /// As written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version a configuration declares. Matching is exact: 1.0 is not a version. None, or an empty one as Go
    /// programs write it, means 0.1.0.
    pub fn declared(text: Option<&str>) -> Result<Self, Error> {
        match text {
            None | Some("") => Ok(Self::V0_1_0),
            Some(text) => {
                let known = Self::ALL.into_iter().find(|version| version.as_str() == text);
                known.ok_or_else(|| Error::UnknownVersion(text.to_owned()))
            }
        }
    }

    /// Refuse a verb that came into the specification later.
    pub fn admit(self, verb: Verb) -> Result<(), Error> {
        let since = match verb {
            Verb::Add | Verb::Del | Verb::Version => Self::V0_1_0,
            Verb::Check => Self::V0_4_0,
            Verb::Gc | Verb::Status => Self::V1_1_0,
        };
        if self < since { Err(Error::VerbTooNew { verb, version: self, since }) } else { Ok(()) }
    }

    /// How it writes addresses.
    pub fn form(self) -> Form {
        match self {
            Self::V0_1_0 | Self::V0_2_0 => Form::PerFamily,
            Self::V0_3_0 | Self::V0_3_1 | Self::V0_4_0 => Form::Tagged,
            Self::V1_0_0 | Self::V1_1_0 => Form::Plain,
        }
    }

    /// Whether a route may carry mtu, advmss, priority, table and scope.
    pub fn has_route_attributes(self) -> bool {
        self >= Self::V1_1_0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_is_exact() {
        assert_eq!(Version::declared(None).unwrap(), Version::V0_1_0);
        assert_eq!(Version::declared(Some("")).unwrap(), Version::V0_1_0);
        assert_eq!(Version::declared(Some("0.3.1")).unwrap(), Version::V0_3_1);
        for wrong in ["1.0", "1", "v1.0.0", "1.0.0 ", "01.0.0", "1.2.0", "0.9.0"] {
            assert!(Version::declared(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn verbs_wait_for_their_version() {
        let admitted = |verb| Version::ALL.into_iter().find(|version| version.admit(verb).is_ok());
        assert_eq!(admitted(Verb::Add), Some(Version::V0_1_0));
        assert_eq!(admitted(Verb::Del), Some(Version::V0_1_0));
        assert_eq!(admitted(Verb::Check), Some(Version::V0_4_0));
        assert_eq!(admitted(Verb::Gc), Some(Version::V1_1_0));
        assert_eq!(admitted(Verb::Status), Some(Version::V1_1_0));
    }
}
