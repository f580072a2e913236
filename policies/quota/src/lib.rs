//! Limits how many addresses of a shared range a namespace holds, however many of its pods start at once.
//!
//! Each address of a namespace with a limit takes a slot of the namespace's list. What a pod names, and where other
//! addresses come from, is as under `range-fixed`.

use std::collections::BTreeMap;

use kube_ipam_policy::{
    Description, Draw, Family, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Slots, Strategy, Wish, propose,
};
use serde::Deserialize;

mod limit;

pub use limit::Limit;
use limit::Quota;

#[derive(Debug)]
pub struct ByQuota;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many addresses of each family a namespace may hold.
    pub namespaces: BTreeMap<String, Limit>,
    /// How many every other namespace may hold; absent: any number.
    pub default: Option<Limit>,
    /// Where the search for a dynamic address starts.
    #[serde(default)]
    pub strategy: Strategy,
    /// How many proposals to bring.
    #[serde(default)]
    pub proposals: ProposalCount,
}

impl Policy for ByQuota {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "quota",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Limits how many addresses of a shared range a namespace holds",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        let wish = Wish::read(request)?;
        let quota = Quota::of(request, settings);
        let draws = Draw::of_wish(&wish, settings.strategy)?;
        let mut proposals = propose(&wish, &draws, settings.proposals, pool)?;
        if let Some(quota) = quota {
            repeat(&mut proposals, settings.proposals.at(request.attempt));
            for family in Family::BOTH {
                count(&quota, family, &mut proposals, pool)?;
            }
        }
        Ok(proposals)
    }
}

/// The same addresses with other slots: named addresses make one proposal only, and it must not depend on one slot.
fn repeat(proposals: &mut Vec<Proposal>, count: usize) {
    let length = proposals.len().max(count);
    *proposals = proposals.iter().cycle().take(length).cloned().collect();
}

fn count(quota: &Quota<'_>, family: Family, proposals: &mut [Proposal], pool: &dyn Pool) -> Result<(), Refusal> {
    // Every proposal has as many addresses of the family as the first: one for each range set, or those that are named.
    let Some(first) = proposals.first() else { return Ok(()) };
    let wanted = first.iter().filter(|assignment| Family::of(assignment.address) == family).count();
    if wanted == 0 {
        return Ok(());
    }
    let slots = Slots::of(quota.list(family), quota.limit(), wanted * proposals.len(), quota.request(), pool);
    if slots.free().len() < wanted {
        return Err(quota.refusal(family, wanted, slots.taken().unwrap_or_default()));
    }
    slots.number(proposals, |assignment| Family::of(assignment.address) == family);
    Ok(())
}

kube_ipam_policy::export!(ByQuota);
