//! What every verb needs, and what stays true when the ranges or the policy are broken.

use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::error::Error;
use super::field::{self, given, wrong};
use super::store::StoreConfig;
use crate::cni::netconf::Ipam;
use crate::cni::{NetConf, Version, is_name};
use crate::limits;

/// Where addresses are kept and on whose behalf. Reading it looks at no range, no policy and no pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `name` of the configuration.
    pub network: String,
    /// The version to answer in.
    pub version: Version,
    /// The scope inside which an address is unique.
    pub domain: String,
    /// The Kubernetes node we run on.
    pub node: String,
    /// The machine we run on; empty when unknown.
    pub machine: String,
    /// Where allocations are kept.
    pub store: StoreConfig,
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

impl Base {
    /// Check what every verb needs.
    pub fn read(netconf: &NetConf) -> Result<Self, Error> {
        let (version, network, ipam) = (netconf.version()?, netconf.network()?, netconf.ipam()?);
        let domain = given(ipam.domain.as_ref()).map(|domain| field::name("ipam.domain", domain)).transpose()?;
        Ok(Self {
            network: network.to_owned(),
            version,
            domain: domain.unwrap_or_else(|| network.to_owned()),
            node: node(ipam)?,
            machine: String::new(),
            store: StoreConfig::read(ipam)?,
            timeout: timeout(ipam)?,
            log: log(ipam)?,
        })
    }
}

fn node(ipam: &Ipam) -> Result<String, Error> {
    match given(ipam.node_name.as_ref()) {
        Some(name) => field::name("ipam.nodeName", name),
        None => host_name(),
    }
}

/// In lower case, as kubelet registers its node.
fn host_name() -> Result<String, Error> {
    let held = hostname::get().unwrap_or_default().to_string_lossy().trim().to_lowercase();
    if is_name(&held) { Ok(held) } else { Err(Error::NoNodeName { held }) }
}

pub(super) fn timeout(ipam: &Ipam) -> Result<Duration, Error> {
    let given = given(ipam.timeout.as_ref());
    given.map_or(Ok(DEFAULT_TIMEOUT), |timeout| field::duration("ipam.timeout", timeout, limits::TIMEOUT))
}

fn log(ipam: &Ipam) -> Result<Log, Error> {
    let level = given(ipam.log_level.as_ref()).unwrap_or("info");
    let level = match level.to_lowercase().as_str() {
        "error" => LevelFilter::ERROR,
        "warn" | "warning" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => return Err(wrong("ipam.logLevel", level, "error, warn, info, debug or trace")),
    };
    Ok(Log { file: field::optional_path("ipam.logFile", ipam.log_file.as_ref())?, level })
}
