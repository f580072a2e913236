//! What can be wrong with a configuration that is well-formed.

use std::io;
use std::path::PathBuf;

use super::gateway::GatewayUser;
use super::requested;
use cni::{self, Fail, code};
use ipam::Prefix;
use ipam::RangeError;
use ipam::address::successor;

/// A configuration that cannot be used. Every message names the field by its path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The protocol itself: not JSON, wrong types, unknown version.
    #[error(transparent)]
    Cni(#[from] cni::Error),
    /// A field that holds something useless.
    #[error("{path} is {held}: expected {expected}")]
    Field {
        path: String,
        /// What it held; a string in quotes.
        held: String,
        expected: String,
    },
    /// A field that must be there, given the others.
    #[error("{path} is missing: expected {expected}")]
    Missing { path: String, expected: &'static str },
    /// Addresses are asked for where nobody reads it.
    #[error("{path} asks for addresses, but nothing reads it there")]
    MisplacedRequest { path: String },
    /// No range at all.
    #[error("the network {network:?} has no range: expected ipam.subnet or ipam.ranges")]
    NoRange { network: String },
    #[error("{path} cannot be used")]
    Range { path: String, source: Box<RangeError> },
    /// A key that means nothing where it stands.
    #[error("{path} is not a key of kube-ipam{}", and_more(*.others))]
    UnknownKey {
        path: String,
        /// How many more there are.
        others: usize,
        /// Which key may have been meant, or where this one belongs.
        suggestion: Option<String>,
    },
    /// A key of ours that nobody reads where it stands.
    #[error("{path} has no effect {which}")]
    Misplaced {
        path: String,
        /// Where it stands, or what it stands without.
        which: &'static str,
        hint: String,
    },
    /// `null` or an empty text for what decides the store or the policy.
    #[error("{path} is {held}: expected a value, or no such key")]
    Unsaid {
        path: &'static str,
        /// What stands in place of a value.
        held: &'static str,
        /// What becomes of the network without the key.
        without: &'static str,
    },
    /// A range without a gateway, and a main plugin that needs one.
    #[error("the subnet {subnet} has no gateway, but {}", need(*.user, *.subnet))]
    GatewayNeeded { subnet: Prefix, user: GatewayUser },
    #[error("{path} has {count} entries: expected at most {limit}")]
    TooMany { path: String, count: usize, limit: usize },
    #[error("cannot read {}, which {field} names", .file.display())]
    File { field: &'static str, file: PathBuf, source: io::Error },
    /// The node's own name cannot be found out.
    #[error("ipam.nodeName is missing and the host has no usable name ({held:?})")]
    NoNodeName {
        /// What the host calls itself.
        held: String,
    },
    /// A name that does not tell nodes apart, on a store that they share.
    #[error("{} is {held:?}, which does not tell this node apart from the others that share etcd", node_field(*.given))]
    AnybodysNodeName {
        held: String,
        /// Whether it is configured, or the host's own.
        given: bool,
    },
}

impl Fail for Error {
    fn code(&self) -> u32 {
        match self {
            Self::Cni(error) => error.code(),
            Self::File { .. } => code::IO,
            _ => code::CONFIGURATION,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Cni(error) => return error.hint(),
            Self::File { field, .. } => format!("create the file, or remove {field}"),
            Self::NoNodeName { .. } | Self::AnybodysNodeName { .. } => {
                "set ipam.nodeName to the name of the Kubernetes node".to_owned()
            }
            Self::MisplacedRequest { .. } => {
                "use args.cni.ips, a list, beside ipam: \"args\": { \"cni\": { \"ips\": [\"10.188.0.5\"] } }".to_owned()
            }
            Self::NoRange { .. } => "for example \"subnet\": \"10.188.0.0/16\"".to_owned(),
            Self::UnknownKey { others, suggestion, .. } => {
                let advice = "remove it, or begin it with \"x-\" for a note; `kube-ipam config schema` has the keys";
                let rest = if *others == 0 { "" } else { "; `kube-ipam config check FILE` shows the others" };
                format!("{}{rest}", suggestion.as_deref().unwrap_or(advice))
            }
            Self::Misplaced { hint, .. } => hint.clone(),
            Self::Unsaid { without, .. } => {
                format!("set the intended value (a template may have had none), or remove the key: then {without}")
            }
            Self::TooMany { path, .. } if path == requested::ALL => "ask for fewer addresses".to_owned(),
            Self::TooMany { .. } => "join neighbours into subnets or ranges, or use several networks".to_owned(),
            Self::Range { source, .. } => {
                let advice = "correct the range: it has to lie in one subnet, lowest address first, and must not \
                    overlap another range";
                source.hint().unwrap_or(advice).to_owned()
            }
            Self::GatewayNeeded { user: GatewayUser::Bridge, .. } => {
                "remove isGateway (isDefaultGateway), or name a gateway in the range".to_owned()
            }
            Self::GatewayNeeded { user: GatewayUser::PointToPoint, .. } => {
                "name a gateway in the range, or use a main plugin that needs none".to_owned()
            }
            Self::Field { path, .. } | Self::Missing { path, .. } => cni::error::correct(path).to_owned(),
        })
    }
}

fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " (and 1 more unknown key)".to_owned(),
        count => format!(" (and {count} more unknown keys)"),
    }
}

/// What the main plugin does with a subnet that has no gateway.
fn need(user: GatewayUser, subnet: Prefix) -> String {
    let taken = successor(subnet.address());
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
