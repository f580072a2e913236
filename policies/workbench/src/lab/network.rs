//! A network on trial: read as the plugin reads it, without the parts that only a node has.
//!
//! ```text
//!  ipam section ── without store, API server and log ──► NetConf ──► TrialNetwork { base, network }
//! ```
//!
//! Whoever tries a policy writes the network as it is in /etc/cni/net.d, or a part of it, and it has to mean the same here as
//! there: so the plugin's own reader judges it. What it says of a store, an API server, a log, a shadow or a journal is passed
//! over. The lab has the first three in memory, and nobody wants the others of a policy that decides about nobody.

use serde_json::{Map, Value, json};

use cni::{Args, NetConf};
use kube_ipam::config::{Base, Network};
use kube_ipam::verbs::Error;

/// A network that is only tried. All that an ADD is told of one, away from any node.
#[derive(Clone, Debug)]
pub struct TrialNetwork {
    /// The name, and whatever else every verb needs.
    pub base: Base,
    /// Ranges, policy, requests.
    pub network: Network,
}

impl TrialNetwork {
    /// The network of this name that has this `ipam` section.
    pub fn read(name: &str, ipam: &Map<String, Value>) -> Result<Self, Error> {
        let netconf = trial_netconf(name, ipam)?;
        let (base, mut network) = (Base::read(&netconf)?, Network::read(&netconf, &Args::default())?);
        (network.policy.shadow, network.policy.record) = (None, None);
        Ok(Self { base, network })
    }
}

/// The configuration of a network that is only tried, decoded and no more.
pub fn trial_netconf(name: &str, ipam: &Map<String, Value>) -> Result<NetConf, Error> {
    let mut ipam = ipam.clone();
    ipam.insert("type".to_owned(), json!("kube-ipam"));
    ipam.entry("nodeName").or_insert_with(|| json!("node-1"));
    ipam.retain(|key, _| !matches!(key.as_str(), "etcdConfig" | "dataDir" | "kubeConfig"));
    ipam.insert("logFile".to_owned(), json!("none"));
    if ipam.contains_key("kubernetes") {
        // Nobody is asked here, but the section demands that somebody could be.
        ipam.insert("kubeConfig".to_owned(), json!("/absent"));
    }
    let netconf = json!({"cniVersion": "1.1.0", "name": name, "ipam": ipam}).to_string();
    Ok(NetConf::parse(netconf.as_bytes())?)
}
