//! What can be wrong with what a runtime says.

use std::io;

use super::environment::Verb;
use super::failure::{Fail, code};
use super::version::Version;
use ipam::Family;

/// What can be wrong with the environment or the configuration, as far as the protocol goes. `path` is that of a field, as in
/// `ipam.ranges[0]`; `held` is what it holds, in the words of whoever writes JSON by hand.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody says what is wanted.
    #[error("CNI_COMMAND is empty: expected ADD, DEL, CHECK, GC, STATUS or VERSION")]
    NoCommand,
    /// All the variables that the verb needs and that are missing, not only the first.
    #[error("the environment lacks {}, which {verb} needs", .variables.join(", "))]
    MissingVariables { verb: Verb, variables: Vec<&'static str> },
    /// A variable holds something the specification does not allow.
    #[error("{variable} is {value:?}: expected {expected}")]
    Variable { variable: &'static str, value: String, expected: &'static str },
    /// The same of a key of `CNI_ARGS`.
    #[error("{key} in CNI_ARGS is {value:?}: expected {expected}")]
    Argument { key: &'static str, value: String, expected: &'static str },
    #[error("CNI_ARGS has the unknown key {0:?}")]
    UnknownArgument(String),
    /// A key of `CNI_ARGS` that is known in another case.
    #[error("CNI_ARGS has the key {key:?}, which is written {known}")]
    MisspeltArgument { key: String, known: &'static str },
    #[error("the network configuration is empty")]
    Empty,
    #[error("the network configuration is longer than {limit} bytes", limit = limits::CONFIGURATION_BYTES)]
    TooLong,
    #[error("cannot read the network configuration")]
    Unreadable(#[source] io::Error),
    /// Not JSON, or JSON that nobody can hold. `what` is the configuration or a field of it.
    #[error("{what} is not readable JSON: {problem}")]
    NotJson { what: String, problem: String },
    #[error("the network configuration is not a JSON object")]
    NotAnObject,
    #[error("{path} is {held}: expected {expected}")]
    WrongType { path: String, held: String, expected: String },
    /// A key that is in its object more than once.
    #[error("{path} is given twice")]
    Twice { path: String },
    #[error("cniVersion {0:?} is not supported: expected one of {all}", all = Version::ALL.map(Version::as_str).join(", "))]
    UnknownVersion(String),
    /// A verb that came into the specification after the version that the configuration has.
    #[error("{verb} needs cniVersion {since} or newer, the configuration has {version}")]
    VerbTooNew { verb: Verb, version: Version, since: Version },
    /// More addresses than a result of 0.1.0 or 0.2.0 can hold.
    #[error("cniVersion {version} has room for one {family} address, not for {count}")]
    TooManyAddresses { version: Version, family: Family, count: usize },
    /// A field the verb cannot do without.
    #[error("{path} is missing: expected {expected}")]
    MissingField { path: String, expected: &'static str },
    /// A field that holds the right type but nothing useful.
    #[error("{path} is {held:?}: expected {expected}")]
    Field { path: String, held: String, expected: &'static str },
}

impl Fail for Error {
    fn code(&self) -> u32 {
        match self {
            Self::NoCommand
            | Self::MissingVariables { .. }
            | Self::Variable { .. }
            | Self::Argument { .. }
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

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoCommand => "a container runtime sets it; for use by hand see kube-ipam --help",
            Self::MissingVariables { .. } | Self::Variable { .. } | Self::Argument { .. } => {
                "a container runtime sets it; by hand, cnitool does"
            }
            Self::UnknownArgument(_) => "runtimes that pass keys of their own also pass IgnoreUnknown=1",
            Self::MisspeltArgument { known, .. } => {
                return Some(format!(
                    "write {known}: keys of CNI_ARGS have capital letters, and this one would be ignored"
                ));
            }
            Self::Empty => "a runtime passes the configuration of the network on stdin",
            Self::TooLong => "shorten it: even the largest network that is allowed is a tenth of this",
            Self::Unreadable(_) => "the runtime passes it on stdin: see its log",
            Self::NotJson { .. } | Self::NotAnObject => {
                "correct the network's file, which `kube-ipam config check FILE` reads as a runtime does"
            }
            Self::UnknownVersion(_) | Self::VerbTooNew { .. } | Self::TooManyAddresses { .. } => {
                let version = self.version_to_set();
                return Some(format!("set cniVersion of the network configuration to {version} or newer"));
            }
            Self::Twice { path } => return Some(format!("remove all but one: {}", correct(path))),
            Self::WrongType { path, .. } if is_range_set(path) => {
                "ranges is a list of range sets, each a list of ranges; a pod gets one address of each range set: \
                 [[{\"subnet\": \"10.188.0.0/16\"}]]"
            }
            Self::WrongType { path, .. } | Self::MissingField { path, .. } | Self::Field { path, .. } => correct(path),
        };
        Some(text.to_owned())
    }
}

impl Error {
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
pub fn correct(path: &str) -> &'static str {
    match path.split(['.', '[']).next() {
        // "cni" begins the names of the lists that GC is told.
        Some("runtimeConfig" | "prevResult" | "cni") => {
            "it is not written in the network's file: the container runtime passes it, see its log"
        }
        Some("ipam") => "correct the network's file; `kube-ipam config schema` describes every key of ipam",
        _ => "correct the network's file; `kube-ipam config check FILE` shows whether it is correct",
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
