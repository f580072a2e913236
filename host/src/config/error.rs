//! What can be wrong with a configuration that is well-formed.

use std::io;
use std::path::PathBuf;

use crate::cni::{self, Failure, code};
use crate::ipam::RangeError;

/// A configuration that cannot be used. Every message names the field by its path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The protocol itself: not JSON, wrong types, unknown version.
    #[error(transparent)]
    Cni(#[from] cni::Error),
    /// A field that holds something useless.
    #[error("{path} is {held}: expected {expected}")]
    Field {
        /// The field.
        path: String,
        /// What it held; a text in quotes.
        held: String,
        /// What it should hold.
        expected: String,
    },
    /// A field that must be there, given the others.
    #[error("{path} is missing: expected {expected}")]
    Missing {
        /// The field.
        path: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Addresses are asked for where nobody reads it.
    #[error("addresses are asked for by {path}, which nobody reads")]
    MisplacedRequest {
        /// The field.
        path: &'static str,
    },
    /// No range at all.
    #[error("the network {network:?} has no range: expected ipam.subnet or ipam.ranges")]
    NoRange {
        /// The network.
        network: String,
    },
    /// A range, or a range set as a whole.
    #[error("{path} cannot be used")]
    Range {
        /// The range or range set.
        path: String,
        /// What is wrong with it.
        source: RangeError,
    },
    /// A list longer than anybody needs.
    #[error("{path} has {count} entries: expected at most {limit}")]
    TooMany {
        /// The list.
        path: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A file the configuration names.
    #[error("cannot read {}, which {field} names", .file.display())]
    File {
        /// The field that names it.
        field: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The node's own name cannot be found out.
    #[error("ipam.nodeName is missing and the host has no usable name ({held:?})")]
    NoNodeName {
        /// What the host calls itself.
        held: String,
    },
    /// A name that does not tell nodes apart, on a store that they share.
    #[error("{} is {held:?}, which does not tell this node apart from the others that share etcd", node_field(*.given))]
    AnybodysNodeName {
        /// The name.
        held: String,
        /// Whether it is configured, or the host's own.
        given: bool,
    },
}

impl Error {
    /// The code to answer with.
    pub fn code(&self) -> u32 {
        match self {
            Self::Cni(error) => error.code(),
            Self::File { .. } => code::IO,
            _ => code::CONFIGURATION,
        }
    }

    /// The way out, where there is more to say than the message says.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Cni(error) => error.hint(),
            Self::File { field, .. } => Some(format!("create the file, or remove {field}")),
            Self::NoNodeName { .. } | Self::AnybodysNodeName { .. } => {
                Some("set ipam.nodeName to the name of the Kubernetes node".to_owned())
            }
            Self::MisplacedRequest { .. } => Some(
                "ask by args.cni.ips, a list, beside ipam: \"args\": { \"cni\": { \"ips\": [\"10.188.0.5\"] } }"
                    .to_owned(),
            ),
            Self::NoRange { .. } => Some("for example \"subnet\": \"10.188.0.0/16\"".to_owned()),
            _ => None,
        }
    }
}

fn node_field(given: bool) -> &'static str {
    if given { "ipam.nodeName" } else { "the host's name" }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self::new(error.code(), error, error.hint())
    }
}
