//! A pod's addresses follow its node: every zone, rack or row has spans of its own, told by the node's labels.
//!
//! A pod names addresses as it does under `range-fixed`; here they must be of the place its node is in.

use std::collections::BTreeMap;

use kube_ipam_policy::{Description, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Spans, Strategy};
use serde::Deserialize;

mod labels;
mod place;

pub use labels::Labels;

#[derive(Debug)]
pub struct ByTopology;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The labels whose value is the place, the most telling first.
    #[serde(default)]
    pub label: Labels,
    /// What the pods of each place may use.
    pub places: BTreeMap<String, Spans>,
    /// What the pods of every other node may use; absent: nothing.
    pub default: Option<Spans>,
    /// Where the search for a dynamic address starts. The last claimed address of a range set is rarely one of the
    /// same place, so that round-robin would mostly begin at its first.
    #[serde(default = "by_hash")]
    pub strategy: Strategy,
    /// How many proposals to bring.
    #[serde(default)]
    pub proposals: ProposalCount,
}

fn by_hash() -> Strategy {
    Strategy::Hash
}

impl Policy for ByTopology {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "by-topology",
            version: env!("CARGO_PKG_VERSION"),
            summary: "A pod gets addresses only from the zone, rack or row that its node is in",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        place::share(request, settings)?.propose(request, settings.strategy, settings.proposals, pool)
    }
}

kube_ipam_policy::export!(ByTopology);
