//! The default policy: the address a pod names, or else the next free one of each range set.
//!
//! In this order: annotation `kube-ipam.ip` (all of these) or `kube-ipam.ip-pool` (one of these), the addresses the
//! runtime asks for, and for every family of which nothing is named a dynamic address.

use kube_ipam_policy::address::without;
use kube_ipam_policy::{
    Description, Draw, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Span, Strategy, Wish, list,
};
use serde::Deserialize;

#[derive(Debug)]
pub struct RangeFixed;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the search for a dynamic address starts.
    pub strategy: Strategy,
    /// How many proposals to bring.
    pub proposals: ProposalCount,
    /// Where named addresses may lie.
    pub fixed: Fixed,
}

/// Where the addresses may lie that a pod names, or the runtime for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fixed {
    /// Every usable address of the subnets.
    #[default]
    Anywhere,
    /// Only from `fixedStart` to `fixedEnd` of a range: what is given dynamically cannot be named.
    ReservedOnly,
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
        if settings.fixed == Fixed::ReservedOnly {
            refuse_unreserved(&wish)?;
        }
        let draws = Draw::of_wish(&wish, settings.strategy)?;
        kube_ipam_policy::propose(&wish, &draws, settings.proposals, pool)
    }
}

/// Of a pool every part has to be reserved: to pass over some of it would be to follow another annotation.
fn refuse_unreserved(wish: &Wish<'_>) -> Result<(), Refusal> {
    let request = wish.request();
    let reserved: Vec<Span> = request.range_sets.ranges().filter_map(|range| range.fixed).collect();
    let single = wish.fixed().iter().map(|assignment| Span::single(assignment.address));
    let mut named = single.chain(wish.choice().iter().copied());
    let Some(other) = named.find(|named| !without(vec![*named], reserved.iter().copied()).is_empty()) else {
        return Ok(());
    };
    let places = if reserved.is_empty() {
        "none of its ranges has fixedStart and fixedEnd".to_owned()
    } else {
        format!("fixedStart to fixedEnd: {}", list(reserved))
    };
    Err(wish.origin().invalid(format_args!(
        "{other} is not reserved for pods that name their address in network {:?} ({places}), and policy.settings.fixed \
         is \"reserved-only\"",
        request.network
    )))
}

kube_ipam_policy::export!(RangeFixed);
