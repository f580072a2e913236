//! What can be wrong with what a runtime says.

use std::io;

use super::environment::Verb;
use super::failure::{Failure, code};
use super::version::Version;
use crate::ipam::Family;
use crate::limits;

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
    /// Nothing at all.
    #[error("the network configuration is empty")]
    Empty,
    /// More than anybody writes.
    #[error("the network configuration is longer than {limit} bytes", limit = limits::CONFIGURATION_BYTES)]
    TooLong,
    /// It does not arrive.
    #[error("cannot read the network configuration")]
    Unreadable(#[source] io::Error),
    /// Not JSON at all.
    #[error("the network configuration is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but no object.
    #[error("the network configuration is not a JSON object")]
    NotAnObject,
    /// A field has the wrong type.
    #[error("{path}: {problem}")]
    WrongType {
        /// The field.
        path: String,
        /// What it held and what was expected.
        problem: String,
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
        path: &'static str,
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
            Self::NoCommand | Self::MissingVariables { .. } | Self::Variable { .. } | Self::UnknownArgument(_) => {
                code::ENVIRONMENT
            }
            Self::Empty | Self::TooLong | Self::NotJson(_) | Self::NotAnObject | Self::WrongType { .. } => code::DECODE,
            Self::Unreadable(_) => code::IO,
            Self::UnknownVersion(_) | Self::VerbTooNew { .. } => code::INCOMPATIBLE_VERSION,
            Self::TooManyAddresses { .. } => code::UNSUPPORTED,
            Self::MissingField { .. } | Self::Field { .. } => code::CONFIGURATION,
        }
    }

    /// The way out, where there is more to say than the message says.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownArgument(_) => {
                Some("runtimes that pass keys of their own also pass IgnoreUnknown=1".to_owned())
            }
            Self::VerbTooNew { since, .. } => {
                Some(format!("set cniVersion of the network configuration to {since} or newer"))
            }
            Self::TooManyAddresses { .. } => {
                Some("set cniVersion of the network configuration to 0.3.1 or newer".to_owned())
            }
            Self::Empty => Some("a runtime passes the configuration of the network on stdin".to_owned()),
            _ => None,
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self::new(error.code(), error, error.hint())
    }
}
