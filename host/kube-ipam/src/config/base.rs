//! What every verb needs, and what stays true when the ranges or the policy are broken.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use super::field::{Held, wrong};
use super::log::{self, Log};
use super::store::{self, read_store};
use super::{counts, history, machine, unknown};
use ::store::StoreConfig;
use cni::netconf::Ipam;
use cni::{NAME, NetConf, Version, is_name};

/// Where addresses are kept and on whose behalf. Reading it looks at no range, no policy and no pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The `name` of the configuration.
    pub network: String,
    /// The version to answer in.
    pub version: Version,
    /// The scope inside which an address is unique.
    pub domain: String,
    /// Whether the configuration names the domain; otherwise it is called like the network.
    pub domain_given: bool,
    /// The Kubernetes node we run on, as configured or as the host calls itself. Whether that is good for a claim says
    /// [`Base::check_node`]: a DEL does not care.
    pub node: String,
    /// Whether the configuration names the node.
    pub node_given: bool,
    /// The machine we run on, a hash of its ID; empty when unknown.
    pub machine: String,
    /// Where allocations are kept.
    pub store: StoreConfig,
    /// Directories of this node where the network may have kept its allocations before.
    pub earlier_dirs: Vec<PathBuf>,
    /// How long the whole invocation may take.
    pub timeout: Duration,
    /// What to log, and where.
    pub log: Log,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const NODE_NAME: &str = "ipam.nodeName";

impl Base {
    /// Check what every verb needs. What a DEL can do without has its default where it cannot be used: an ADD is told of it
    /// by [`check_settings`].
    pub fn read(netconf: &NetConf) -> Result<Self, Error> {
        let read = Self::read_known(netconf);
        // A misspelt key often explains what is missing.
        if read.is_err() {
            unknown::refuse(netconf)?;
        }
        read
    }

    /// Check what every verb needs, without looking at keys that are not known.
    pub(super) fn read_known(netconf: &NetConf) -> Result<Self, Error> {
        let (version, network, ipam) = (netconf.version()?, netconf.network()?, netconf.ipam()?);
        let domain = Held::given("ipam.domain", ipam.domain.value()).map(|held| held.name()).transpose()?;
        let store = read_store(ipam)?;
        let node_name = Held::read(NODE_NAME, ipam.node_name.as_ref());
        Ok(Self {
            network: network.to_owned(),
            version,
            domain_given: domain.is_some(),
            domain: domain.unwrap_or_else(|| network.to_owned()),
            node_given: !matches!(node_name, Ok(None)),
            node: match node_name {
                Ok(Some(held)) => held.text.to_owned(),
                Ok(None) => host_name(),
                // Not even a text: a DEL goes without, and no claim is made in the name of nobody.
                Err(_) => String::new(),
            },
            machine: machine::read_id(),
            earlier_dirs: store::earlier_dirs(ipam, &store),
            store,
            timeout: timeout(ipam).unwrap_or(DEFAULT_TIMEOUT),
            log: Log::read(ipam),
        })
    }

    /// Whether claims can be made in the node's name, and found again by it. In a store that nodes share, a name that
    /// half of all machines have would make GC of one node look at the pods of another.
    pub fn check_node(&self) -> Result<(), Error> {
        let (node, given) = (&self.node, self.node_given);
        if node.is_empty() && given {
            let (path, held) = (NODE_NAME.to_owned(), "not a string".to_owned());
            return Err(Error::Field { path, held, expected: NAME.to_owned() });
        }
        if !is_name(node) && given {
            return Err(wrong(NODE_NAME, node, NAME));
        }
        if !is_name(node) {
            return Err(Error::NoNodeName { held: node.clone() });
        }
        // On a store of its own a node needs no name that tells it apart.
        if matches!(self.store, StoreConfig::Etcd(_)) && is_anybodys(node) {
            return Err(Error::AnybodysNodeName { held: node.clone(), given });
        }
        Ok(())
    }
}

/// In lower case, as kubelet registers its node.
fn host_name() -> String {
    hostname::get().unwrap_or_default().to_string_lossy().trim().to_lowercase()
}

/// Names that machines have until somebody gives them one.
fn is_anybodys(node: &str) -> bool {
    let host = node.split('.').next().unwrap_or_default().to_lowercase();
    matches!(host.as_str(), "localhost" | "localhost4" | "localhost6") || node.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an ADD insists on, and a DEL, CHECK or GC goes without.
pub(super) fn check_settings(ipam: &Ipam) -> [Option<Error>; 5] {
    [
        timeout(ipam).err(),
        log::level(ipam).err(),
        log::file(ipam).err(),
        counts::are_counted(ipam).err(),
        history::mebibytes(ipam).err(),
    ]
}

pub(super) fn timeout(ipam: &Ipam) -> Result<Duration, Error> {
    match Held::read("ipam.timeout", ipam.timeout.as_ref())? {
        Some(held) => held.duration(limits::TIMEOUT),
        None => Ok(DEFAULT_TIMEOUT),
    }
}
