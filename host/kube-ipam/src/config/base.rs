//! What every verb needs, and what stays true when the ranges or the policy are broken.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::error::Error;
use super::field::{self, given, wrong};
use super::store::{self, read_store};
use super::{machine, unknown};
use ::store::StoreConfig;
use cni::netconf::Ipam;
use cni::{NAME, NetConf, Version, is_name};

/// Where addresses are kept and on whose behalf. Reading it looks at no range, no policy and no pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `name` of the configuration.
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
    /// For the whole invocation.
    pub timeout: Duration,
    /// What to log, and where.
    pub log: Log,
}

/// What to log, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Without a file there is no log.
    pub file: Option<PathBuf>,
    /// From which level on.
    pub level: LevelFilter,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const NODE_NAME: &str = "ipam.nodeName";

impl Base {
    /// Check what every verb needs. What a DEL can do without has its default where it cannot be used: an ADD is told of it
    /// by [`check_settings`].
    pub fn read(netconf: &NetConf) -> Result<Self, Error> {
        // A misspelt key often explains what is missing.
        Self::read_known(netconf).map_err(|error| unknown::refuse(netconf).err().unwrap_or(error))
    }

    /// The same without a word of keys that are not known.
    pub(super) fn read_known(netconf: &NetConf) -> Result<Self, Error> {
        let (version, network, ipam) = (netconf.version()?, netconf.network()?, netconf.ipam()?);
        let domain = given(ipam.domain.value()).map(|domain| field::name("ipam.domain", domain)).transpose()?;
        let store = read_store(ipam)?;
        let node_name = field::read_text(ipam.node_name.as_ref(), NODE_NAME);
        Ok(Self {
            network: network.to_owned(),
            version,
            domain_given: domain.is_some(),
            domain: domain.unwrap_or_else(|| network.to_owned()),
            node_given: !matches!(node_name, Ok(None)),
            // One that is not even a text is none: no claim is made in its name.
            node: node_name.unwrap_or(Some("")).map_or_else(host_name, str::to_owned),
            machine: machine::id(),
            earlier_dirs: store::earlier_dirs(ipam, &store),
            store,
            timeout: timeout(ipam).unwrap_or(DEFAULT_TIMEOUT),
            log: Log { file: log_file(ipam).unwrap_or_default(), level: log_level(ipam).unwrap_or(LevelFilter::INFO) },
        })
    }

    /// Whether claims can be made in the node's name, and found again by it. In a store that nodes share, a name that
    /// half of all machines have would make GC of one node look at the pods of another.
    pub fn check_node(&self) -> Result<(), Error> {
        let held = self.node.clone();
        if held.is_empty() && self.node_given {
            let (path, held) = (NODE_NAME.to_owned(), "not a string".to_owned());
            return Err(Error::Field { path, held, expected: NAME.to_owned() });
        }
        if !is_name(&held) {
            return Err(if self.node_given { wrong(NODE_NAME, held, NAME) } else { Error::NoNodeName { held } });
        }
        let shared = matches!(self.store, StoreConfig::Etcd(_));
        if shared && is_anybodys(&held) {
            return Err(Error::AnybodysNodeName { held, given: self.node_given });
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
pub(super) fn check_settings(ipam: &Ipam) -> [Option<Error>; 3] {
    [timeout(ipam).err(), log_level(ipam).err(), log_file(ipam).err()]
}

pub(super) fn timeout(ipam: &Ipam) -> Result<Duration, Error> {
    match field::read_text(ipam.timeout.as_ref(), "ipam.timeout")? {
        Some(held) => field::duration("ipam.timeout", held, limits::TIMEOUT),
        None => Ok(DEFAULT_TIMEOUT),
    }
}

fn log_file(ipam: &Ipam) -> Result<Option<PathBuf>, Error> {
    let held = field::read_text(ipam.log_file.as_ref(), "ipam.logFile")?;
    held.map(|held| field::absolute_path("ipam.logFile", held)).transpose()
}

fn log_level(ipam: &Ipam) -> Result<LevelFilter, Error> {
    let Some(level) = field::read_text(ipam.log_level.as_ref(), "ipam.logLevel")? else { return Ok(LevelFilter::INFO) };
    match level.to_lowercase().as_str() {
        "error" => Ok(LevelFilter::ERROR),
        "warn" | "warning" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(wrong("ipam.logLevel", level, "error, warn, info, debug or trace")),
    }
}
