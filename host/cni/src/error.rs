//! What can be wrong with what a runtime says.

use std::io;

use super::environment::Verb;
use super::failure::{Failure, code};
use super::version::Version;
use ipam::Family;

/// What can be wrong with the environment or the configuration, as far as the protocol goes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody says what is wanted.
    #[error("CNI_COMMAND is empty: expected ADD, DEL, CHECK, GC, STATUS or VERSION")]
    NoCommand,
    /// Variables the verb needs are missing: all of them, not the first.
    #[error("the environment lacks {}, which {verb} needs", .variables.join(", "))]
    MissingVariables {
        /// What was asked for.
        verb: Verb,
        /// What is missing.
        variables: Vec<&'static str>,
    },
    /// A variable holds something the specification does not allow.
    #[error("{variable} is {value:?}: expected {expected}")]
    Variable {
        /// Its name; for a part of `CNI_ARGS` with the key.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A key of `CNI_ARGS` nobody knows.
    #[error("CNI_ARGS has the unknown key {0:?}")]
    UnknownArgument(String),
    /// A key of `CNI_ARGS` that is known in another case.
    #[error("CNI_ARGS has the key {key:?}, which is written {known}")]
    MisspeltArgument {
        /// As the runtime writes it.
        key: String,
        /// As it is known.
        known: &'static str,
    },
    /// Nothing at all.
    #[error("the network configuration is empty")]
    Empty,
    /// More than anybody writes.
    #[error("the network configuration is longer than {limit} bytes", limit = limits::CONFIGURATION_BYTES)]
    TooLong,
    /// It does not arrive.
    #[error("cannot read the network configuration")]
    Unreadable(#[source] io::Error),
    /// Not JSON, or JSON that nobody can hold.
    #[error("{what} is not readable JSON: {problem}")]
    NotJson {
        /// The configuration, or the field.
        what: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// JSON, but no object.
    #[error("the network configuration is not a JSON object")]
    NotAnObject,
    /// A field has the wrong type.
    #[error("{path} is {held}: expected {expected}")]
    WrongType {
        /// The field.
        path: String,
        /// What it held, in the words of whoever writes JSON by hand.
        held: String,
        /// What it should hold, likewise.
        expected: String,
    },
    /// A key that is in its object more than once.
    #[error("{path} is given twice")]
    Twice {
        /// The field.
        path: String,
    },
    /// A version nobody knows.
    #[error("cniVersion {0:?} is not supported: expected one of {all}", all = Version::ALL.map(Version::as_str).join(", "))]
    UnknownVersion(String),
    /// A verb younger than the configuration's version.
    #[error("{verb} needs cniVersion {since} or newer, the configuration has {version}")]
    VerbTooNew {
        /// What was asked for.
        verb: Verb,
        /// The configuration's version.
        version: Version,
        /// The first version with this verb.
        since: Version,
    },
    /// More addresses than a result of 0.1.0 or 0.2.0 can hold.
    #[error("cniVersion {version} has room for one {family} address, not for {count}")]
    TooManyAddresses {
        /// The configuration's version.
        version: Version,
        /// The family.
        family: Family,
        /// How many there would be.
        count: usize,
    },
    /// A field the verb cannot do without.
    #[error("{path} is missing: expected {expected}")]
    MissingField {
        /// The field.
        path: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A field that holds the right type but nothing useful.
    #[error("{path} is {held:?}: expected {expected}")]
    Field {
        /// The field.
        path: String,
        /// What it held.
        held: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Error {
    /// The code to answer with.
    pub fn code(&self) -> u32 {
        match self {
            Self::NoCommand
            | Self::MissingVariables { .. }
            | Self::Variable { .. }
            | Self::UnknownArgument(_)
            | Self::MisspeltArgument { .. } => code::ENVIRONMENT,
            Self::Empty | Self::TooLong | Self::NotJson { .. } | Self::NotAnObject => code::DECODE,
            Self::WrongType { .. } | Self::Twice { .. } => code::DECODE,
            Self::Unreadable(_) => code::IO,
            Self::UnknownVersion(_) | Self::VerbTooNew { .. } => code::INCOMPATIBLE_VERSION,
            Self::TooManyAddresses { .. } => code::UNSUPPORTED,
            Self::MissingField { .. } | Self::Field { .. } => code::CONFIGURATION,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoCommand => "a container runtime sets it; for use by hand see kube-ipam --help".to_owned(),
            Self::MissingVariables { .. } | Self::Variable { .. } => {
                "a container runtime sets it; by hand, cnitool does".to_owned()
            }
            Self::UnknownArgument(_) => "runtimes that pass keys of their own also pass IgnoreUnknown=1".to_owned(),
            Self::MisspeltArgument { known, .. } => {
                format!("write {known}: keys of CNI_ARGS have capital letters, and this one would be ignored")
            }
            Self::Empty => "a runtime passes the configuration of the network on stdin".to_owned(),
            Self::TooLong => "shorten it: even the largest network that is allowed is a tenth of this".to_owned(),
            Self::Unreadable(_) => "the runtime passes it on stdin: see its log".to_owned(),
            Self::NotJson { .. } | Self::NotAnObject => {
                "correct the network's file, which `kube-ipam config check FILE` reads as a runtime does".to_owned()
            }
            Self::UnknownVersion(_) | Self::VerbTooNew { .. } | Self::TooManyAddresses { .. } => {
                format!("set cniVersion of the network configuration to {} or newer", self.version_to_set())
            }
            Self::Twice { path } => format!("remove all but one: {}", correct(path)),
            Self::WrongType { path, .. } if is_range_set(path) => {
                "ranges is a list of range sets, each a list of ranges; a pod gets one address of each range set: \
                 [[{\"subnet\": \"10.188.0.0/16\"}]]"
                    .to_owned()
            }
            Self::WrongType { path, .. } | Self::MissingField { path, .. } | Self::Field { path, .. } => correct(path),
        })
    }

    fn version_to_set(&self) -> Version {
        match self {
            Self::VerbTooNew { since, .. } => *since,
            Self::TooManyAddresses { .. } => Version::V0_3_1,
            _ => Version::V1_0_0,
        }
    }
}

/// Whether a path is that of the range sets, one of them, or a range as a whole.
fn is_range_set(path: &str) -> bool {
    path.strip_prefix("ipam.ranges").is_some_and(|rest| !rest.contains('.'))
}

/// Where a field is corrected, and where to read what it may hold.
pub fn correct(path: &str) -> String {
    let top = path.split(['.', '[']).next().unwrap_or_default();
    match top {
        "runtimeConfig" | "prevResult" | "cni" => {
            "it is not written in the network's file: the container runtime passes it, see its log".to_owned()
        }
        "ipam" => "correct the network's file; `kube-ipam config schema` describes every key of ipam".to_owned(),
        _ => "correct the network's file; `kube-ipam config check FILE` shows whether it is correct".to_owned(),
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self::new(error.code(), error, error.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_says_whose_the_field_is() {
        let hint = |path: &str| Error::MissingField { path: path.to_owned(), expected: "something" }.hint().unwrap();
        assert!(hint("runtimeConfig.ips[0]").contains("the container runtime passes it"));
        assert!(hint("cni.dev/attachments[0].ifname").contains("the container runtime passes it"));
        assert!(hint("ipam.timeout").contains("config schema"));
        assert!(hint("name").contains("config check"));
    }
}
