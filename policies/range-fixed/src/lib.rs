//! The default policy: the address a pod names, or else the next free one of each range set.
//!
//! In this order: annotation `kube-ipam.ip` (all of these) or `kube-ipam.ip-pool` (one of these), the addresses the
//! runtime asks for, and for every family of which nothing is named a dynamic address.

use kube_ipam_policy::{Description, Draw, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Strategy, Wish};
use serde::Deserialize;

/// The default policy.
#[derive(Debug)]
pub struct RangeFixed;

/// `policy.settings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the search for a dynamic address starts.
    pub strategy: Strategy,
    /// How many proposals to bring.
    pub proposals: ProposalCount,
}

impl Policy for RangeFixed {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "range-fixed",
            version: env!("CARGO_PKG_VERSION"),
            summary: "The address a pod names by annotation, or else the next free one of each range set",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        let wish = Wish::read(request)?;
        let draws = Draw::of_wish(&wish, settings.strategy)?;
        kube_ipam_policy::propose(&wish, &draws, settings.proposals, pool)
    }
}

kube_ipam_policy::export!(RangeFixed);
