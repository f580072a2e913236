//! The lowest free address of every range set, at or above an offset that the pod may name.

use kube_ipam_policy::annotations::{GATEWAY, IP, IP_POOL, NETMASK};
use kube_ipam_policy::{
    Description, Draw, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Ring, Span, Strategy, Wish, log,
};
use serde::Deserialize;

/// The least distance of the pod's address from the start of its range.
const OFFSET: &str = "kube-ipam.offset";

/// The policy.
#[derive(Debug)]
pub struct NewPolicy;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many candidates to bring: the host claims the first that is still free.
    #[serde(default)]
    pub proposals: ProposalCount,
}

impl Policy for NewPolicy {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "new-policy",
            version: env!("CARGO_PKG_VERSION"),
            summary: "The lowest free addresses, at or above an offset that the pod may name",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    // The host refuses a pod with another annotation beginning with kube-ipam.
    fn annotations() -> &'static [&'static str] {
        &[IP, IP_POOL, NETMASK, GATEWAY, OFFSET]
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        let offset = offset(request)?;
        // Annotation kube-ipam.ip and addresses that the runtime asks for, with all their checks.
        let wish = Wish::read(request)?;
        let mut draws = Draw::of_choice(&wish);
        for range_set in wish.unnamed() {
            draws.push(draw(request, range_set, offset)?);
        }
        log::debug(&format!("{} range sets, from offset {offset} on", draws.len()));
        kube_ipam_policy::propose(&wish, &draws, settings.proposals, pool)
    }
}

/// A value that cannot be followed is refused, never ignored.
fn offset(request: &Request) -> Result<u64, Refusal> {
    let Some(value) = request.annotation(OFFSET) else { return Ok(0) };
    value.parse().map_err(|_| {
        // The beginning is enough to find it; a refusal has at most 4,096 bytes.
        let beginning: String = value.chars().take(40).collect();
        Refusal::Invalid(format!("annotation {OFFSET} {beginning:?}: expected a whole number"))
    })
}

/// One address out of a range set: outside the part kept for fixed addresses, at the offset or above.
fn draw(request: &Request, range_set: usize, offset: u64) -> Result<Draw, Refusal> {
    let above = request.range_sets[range_set].iter().filter_map(|range| range.span.starting_at(offset.into()));
    let above: Vec<Span> = above.collect();
    let dynamic = request.range_sets.dynamic(range_set);
    let ring = Ring::new(dynamic.iter().flat_map(|span| above.iter().filter_map(|above| above.intersection(span))));
    if ring.is_empty() {
        return Err(Refusal::Invalid(format!(
            "annotation {OFFSET} \"{offset}\": range set {range_set} of network {:?} ends below",
            request.network
        )));
    }
    Ok(Draw { ring, range_set: Some(range_set), strategy: Strategy::Lowest, whom: String::new(), kept: None })
}

kube_ipam_policy::export!(NewPolicy);
