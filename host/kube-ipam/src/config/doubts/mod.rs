//! What a configuration may say, and hardly means: an ADD gives an address, and something bites later.
//!
//! ```text
//!   NetConf ── of_network ──┬── subnets, gateways, exclusions, routes, main_plugin, asked, store      one network
//!   Claimed × Claimed ── between ── two networks that may give out one address
//! ```
//!
//! These are judgements over what was parsed, without a look at any file, store or server; `kube-ipam config check`
//! shows them. What an ADD refuses is no doubt but an error, and is left to whoever refuses it: a part of the
//! configuration that cannot be parsed is doubted nowhere.

mod asked;
mod between;
mod exclusions;
mod gateways;
mod main_plugin;
mod routes;
mod store;
mod subnets;

use ipnetwork::IpNetwork;

pub use between::{Claimed, between};

use super::ranges;
use cni::NetConf;
use ipam::Range;

/// Something that is not an error of the configuration, but that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What is doubtful and what becomes of it; begins with the field where there is one.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Whether the policy will refuse every ADD for it: then it is as bad as an error.
    pub is_refused: bool,
}

/// A range as it is written, and as it is understood.
struct WrittenRange {
    /// The object that has its fields: `ipam`, or for example `ipam.ranges[0][1]`.
    path: String,
    /// With the host bits it was written with.
    subnet: IpNetwork,
    /// `None` where the range cannot be used: the error says why.
    range: Option<Range>,
    /// Its own `exclude`, as written.
    exclude: Vec<String>,
}

/// Every doubt about one network.
pub fn of_network(netconf: &NetConf) -> Vec<Doubt> {
    let Ok(ipam) = netconf.ipam() else { return Vec::new() };
    let ranges = written_ranges(netconf);
    let mut doubts = subnets::doubts(&ranges);
    doubts.extend(gateways::doubts(netconf, &ranges));
    doubts.extend(exclusions::doubts(ipam, &ranges));
    doubts.extend(routes::doubts(netconf, &ranges));
    doubts.extend(main_plugin::doubts(netconf, &ranges));
    doubts.extend(asked::doubts(netconf, &ranges));
    doubts.extend(store::doubts(netconf));
    doubts
}

fn written_ranges(netconf: &NetConf) -> Vec<WrittenRange> {
    let sets = ranges::placed(netconf, &netconf.runtime_config().unwrap_or_default()).unwrap_or_default();
    let mut written = Vec::new();
    for range in sets.into_iter().flat_map(|set| set.ranges) {
        // The range at the top is known by its first field.
        let path = if range.path == ranges::SUBNET { "ipam".to_owned() } else { range.path };
        let (subnet, parsed) = (range.spec.subnet, Range::new(&range.spec).ok());
        written.push(WrittenRange { path, subnet, range: parsed, exclude: range.exclude });
    }
    written
}

impl Doubt {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into(), is_refused: false }
    }
}

/// What the `ipam` section of a test's network makes doubtful: the messages alone.
#[cfg(test)]
fn doubts_of(ipam: serde_json::Value) -> Vec<String> {
    doubts_beside(serde_json::json!({}), ipam)
}

/// The same with what stands beside `ipam`.
#[cfg(test)]
fn doubts_beside(beside: serde_json::Value, ipam: serde_json::Value) -> Vec<String> {
    let mut netconf = serde_json::json!({"cniVersion": "1.1.0", "name": "blue", "ipam": ipam});
    netconf.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    let doubts = of_network(&NetConf::parse(netconf.to_string().as_bytes()).unwrap());
    doubts.into_iter().map(|doubt| doubt.message).collect()
}
