//! What can be wrong with a configuration that is well-formed.

use std::io;
use std::path::PathBuf;

use ipnetwork::IpNetwork;

use crate::cni::{self, Failure, GatewayUser, code};
use crate::ipam::RangeError;
use crate::ipam::address::successor;

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
    /// A range without a gateway, and a main plugin that needs one.
    #[error("the subnet {subnet} has no gateway, but {}", need(*.user, *.subnet))]
    GatewayNeeded {
        /// The subnet of the range.
        subnet: IpNetwork,
        /// The main plugin.
        user: GatewayUser,
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
            Self::NoRange { .. } => Some("for example \"subnet\": \"10.188.0.0/16\"".to_owned()),
            Self::Range { source, .. } => source.hint().map(str::to_owned),
            Self::GatewayNeeded { user: GatewayUser::Bridge, .. } => {
                Some("remove isGateway (isDefaultGateway), or name a gateway in the range".to_owned())
            }
            Self::GatewayNeeded { user: GatewayUser::PointToPoint, .. } => {
                Some("name a gateway in the range, or use a main plugin that needs none".to_owned())
            }
            _ => None,
        }
    }
}

/// What the main plugin does with a subnet that has no gateway.
fn need(user: GatewayUser, subnet: IpNetwork) -> String {
    let taken = successor(subnet.network());
    match (user, taken) {
        (GatewayUser::Bridge, Some(taken)) => {
            format!("isGateway makes the bridge plugin take {taken} for its own, which a pod may have")
        }
        (GatewayUser::Bridge, None) => "isGateway makes the bridge plugin look for one".to_owned(),
        (GatewayUser::PointToPoint, _) => "the ptp plugin cannot connect a pod without one".to_owned(),
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
