//! Proposals out of draws: each draw offers one address, the n-th proposal combines the n-th candidates of all.
//!
//! Many pods may start from one snapshot. The first proposals of contenders agree, so each brings several; and once
//! all of them lost (`attempt` > 0) contenders spread over the ring by a hash of their container and bring more.

use std::net::IpAddr;

use serde::Deserialize;

use crate::address::Family;
use crate::pool::{AttachmentHolder, Holder, Pool, Usage};
use crate::proposal::{Proposal, Refusal};
use crate::range::{RangeSet, list};
use crate::request::Request;
use crate::ring::Ring;
use crate::wish::{Origin, Wish};

/// Where the search for a free address starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// After the address that was claimed last: a released address rests as long as possible.
    #[default]
    RoundRobin,
    /// At the start of the range.
    Lowest,
    /// At a place that the pod's namespace and name (the container's ID where there is no pod) always give.
    Hash,
}

/// How many proposals to bring: 1 to 64, and 4 where the settings do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct ProposalCount(u8);

/// The largest number of proposals.
const MOST_PROPOSALS: u8 = 64;

/// How many holders a refusal names, and of how many addresses it asks for that: gateways and the like have none.
const NAMED_HOLDERS: usize = 3;
const LOOKED_AT: usize = 8;

/// How far contenders spread at their first retry, in addresses; doubled at each further one.
const SPREAD: u128 = 64;

/// One address out of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// What the address may be.
    pub ring: Ring,
    /// The range set it is drawn for: its cursor and its usage are asked for.
    pub range_set: Option<usize>,
    /// Where to start; without a range set, round-robin starts at the first address.
    pub strategy: Strategy,
    /// For whom, in a refusal: `namespace "team-a"`, `annotation kube-ipam.ip-pool "…"`; empty for anybody.
    pub whom: String,
    /// An address that is the pod's already, by a hold or an older attachment: nobody contends for it, so that it is
    /// the only candidate. The policy vouches for it.
    pub kept: Option<IpAddr>,
}

impl Default for ProposalCount {
    fn default() -> Self {
        Self(4)
    }
}

impl TryFrom<u64> for ProposalCount {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        match u8::try_from(count) {
            Ok(count @ 1..=MOST_PROPOSALS) => Ok(Self(count)),
            _ => Err(format!("{count}: expected a whole number from 1 to {MOST_PROPOSALS}")),
        }
    }
}

impl ProposalCount {
    /// Four times as many at each retry, up to the largest number.
    pub fn at(self, attempt: u32) -> usize {
        // From the third retry on the largest number is reached whatever the first one was: 1 << 6 is 64.
        let more = usize::from(self.0) << (2 * attempt.min(3));
        more.min(MOST_PROPOSALS.into())
    }
}

/// The named addresses together with one address of each draw, best first; a refusal when a draw has none.
pub fn propose(
    wish: &Wish<'_>,
    draws: &[Draw],
    count: ProposalCount,
    pool: &dyn Pool,
) -> Result<Vec<Proposal>, Refusal> {
    let request = wish.request();
    let count = count.at(request.attempt);
    let mut drawn = Vec::with_capacity(draws.len());
    for draw in draws {
        let fitted = wish.fitted(draw)?;
        let candidates = fitted.candidates(request, count, pool);
        drawn.push(candidates.map_err(|refusal| wish.blame(refusal, draw, &fitted))?);
    }
    // A draw with fewer candidates begins again with its first: one that is only kept is in every proposal.
    let longest = drawn.iter().map(Vec::len).max().unwrap_or(1);
    Ok((0..longest)
        .map(|nth| combine(wish, drawn.iter().map(|candidates| candidates[nth % candidates.len()])))
        .collect())
}

/// Named addresses alone stay in the order the pod gave them. Together with drawn ones, the family of the
/// configuration's first range set comes first: the first address is the pod's primary one.
fn combine(wish: &Wish<'_>, drawn: impl Iterator<Item = IpAddr>) -> Proposal {
    let mut proposal = wish.fixed().to_vec();
    proposal.extend(drawn.filter_map(|address| wish.dynamic(address)));
    let named_alone = proposal.len() == wish.fixed().len();
    if named_alone || *wish.origin() == Origin::Nowhere {
        return proposal;
    }
    let first_family = wish.request().range_sets.iter().find_map(RangeSet::family);
    let (first, others): (Proposal, Proposal) =
        proposal.into_iter().partition(|assignment| Some(Family::of(assignment.address)) == first_family);
    [first, others].concat()
}

impl Draw {
    /// Whatever a wish leaves open: one address of each family of its pool, and a dynamic one of every range set of
    /// which it names nothing.
    pub fn of_wish(wish: &Wish<'_>, strategy: Strategy) -> Result<Vec<Self>, Refusal> {
        let mut draws = Self::of_choice(wish);
        for range_set in wish.unnamed() {
            draws.push(Self::of_range_set(wish.request(), range_set, strategy)?);
        }
        Ok(draws)
    }

    /// A dynamic address of a range set: anywhere in it but in the part kept for fixed addresses.
    pub fn of_range_set(request: &Request, range_set: usize, strategy: Strategy) -> Result<Self, Refusal> {
        let network = &request.network;
        let ring = Ring::new(request.range_sets.dynamic(range_set));
        if ring.is_empty() {
            return Err(Refusal::Denied(format!(
                "network {network:?} keeps all of range set {range_set} for fixed addresses; \
                 name one by annotation {}",
                crate::annotations::IP
            )));
        }
        Ok(Self { ring, range_set: Some(range_set), strategy, whom: String::new(), kept: None })
    }

    /// One address for each family of the pool the pod named; the spans in the pod's order, from the first on.
    pub fn of_choice(wish: &Wish<'_>) -> Vec<Self> {
        let mut draws = Vec::new();
        for family in Family::BOTH {
            let ring = Ring::new(wish.choice().iter().copied().filter(|span| span.family() == family));
            if !ring.is_empty() {
                let whom = wish.origin().to_string();
                draws.push(Self { ring, range_set: None, strategy: Strategy::Lowest, whom, kept: None });
            }
        }
        draws
    }

    /// At least one address. What an older attachment of this pod holds comes first: taking it over frees nothing and
    /// costs nothing, and the pod keeps its address.
    fn candidates(&self, request: &Request, count: usize, pool: &dyn Pool) -> Result<Vec<IpAddr>, Refusal> {
        if let Some(kept) = self.kept {
            return Ok(vec![kept]);
        }
        let mut candidates = request.previous.clone();
        // The configuration may have changed since: it may no longer offer what the older attachment got.
        candidates.retain(|old| self.ring.contains(*old) && request.range_sets.unusable(*old).is_none());
        // As many as are wanted, although some may be the pod's already: those are skipped, and there must be enough left.
        let fresh = self.ring.free_from(pool, self.start(request, pool), count);
        candidates.extend(fresh.into_iter().filter(|address| !request.previous.contains(address)));
        candidates.truncate(count);
        if candidates.is_empty() { Err(self.exhausted(request, pool)) } else { Ok(candidates) }
    }

    fn start(&self, request: &Request, pool: &dyn Pool) -> u128 {
        let start = match self.strategy {
            Strategy::Lowest => 0,
            Strategy::RoundRobin => {
                let last = self.range_set.and_then(|range_set| pool.last_claimed(range_set));
                last.map_or(0, |last| self.ring.position_after(last))
            }
            Strategy::Hash => u128::from(identity_hash(request)),
        };
        if request.attempt == 0 {
            return start;
        }
        // Measured from the first free address: in a dense range all contenders would meet there again.
        let free = self.ring.free_from(pool, start, 1);
        let free = free.first().and_then(|free| self.ring.position(*free)).unwrap_or(start);
        let salt = request.attempt.to_le_bytes();
        let jump = u128::from(hash(&[request.container_id.as_bytes(), &salt])) % (SPREAD << request.attempt.min(6));
        free.saturating_add(jump)
    }

    fn exhausted(&self, request: &Request, pool: &dyn Pool) -> Refusal {
        let Self { ring, whom, .. } = self;
        let Some(range_set) = self.range_set else {
            let free = format!("none of the {} addresses of {whom} is free", ring.size());
            return Refusal::Exhausted(free + &self.holders(pool));
        };
        // Only now: to count costs the store a read, and most requests find an address.
        let Usage { size, held } = pool.usage(range_set);
        // Whoever may have any address, and finds none though not all are held, finds the rest kept.
        let all_kept = u128::from(size) == ring.size() && held < size;
        let rest = if all_kept { "; the others are reserved or cooling down" } else { "" };
        let whom = if whom.is_empty() { String::new() } else { format!(" for {whom}") };
        Refusal::Exhausted(format!(
            "network {:?} has no free address{whom} in {}: {held} of {size} addresses of range set {range_set} are \
             held{rest}",
            request.network,
            list(ring.spans())
        ))
    }
}

impl Draw {
    /// Who has the first of the addresses: whoever named them knows best which of these pods can go.
    fn holders(&self, pool: &dyn Pool) -> String {
        let mut named: Vec<String> = Vec::new();
        let mut looked_at = 0;
        for span in self.ring.spans() {
            let mut rest = Some(*span);
            while let Some(part) = rest
                && named.len() < NAMED_HOLDERS
                && looked_at < LOOKED_AT
            {
                let address = part.first();
                if let Some(holder) = pool.holder_of(address) {
                    named.push(format!("{address} is {}", has(&holder)));
                }
                looked_at += 1;
                rest = part.above(address);
            }
        }
        let more = match self.ring.size().checked_sub(named.len() as u128) {
            Some(more @ 1..) => format!(", and {more} more"),
            _ => String::new(),
        };
        if named.is_empty() { String::new() } else { format!(": {}{more}", named.join(", ")) }
    }
}

fn has(holder: &Holder) -> String {
    match holder {
        // What the host itself keeps has a reason in brackets in place of an identity, such as a cool-down.
        Holder::Hold(identity) if identity.starts_with('(') => format!("kept {identity}"),
        Holder::Hold(identity) => format!("kept for {identity:?}"),
        Holder::Attachment(AttachmentHolder { pod: Some((namespace, name)), node, .. }) => {
            format!("held by pod {namespace}/{name} on node {node}")
        }
        Holder::Attachment(AttachmentHolder { container_id, node, .. }) => {
            format!("held by container {container_id} on node {node}")
        }
    }
}

fn identity_hash(request: &Request) -> u64 {
    match &request.pod {
        Some(pod) => hash(&[pod.namespace.as_bytes(), b"/", pod.name.as_bytes()]),
        None => hash(&[request.container_id.as_bytes()]),
    }
}

/// FNV-1a, finished by the mixer of MurmurHash3 so that the low bits are fit for a remainder. Stable forever: a
/// pod's address hangs on it.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().copied().flatten();
    let fnv =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(&[b"default", b"/", b"web-0"]), hash(&[b"default/web-0"]));
        assert_eq!(hash(&[b"default/web-0"]), 15_004_675_615_223_515_774);
    }

    #[test]
    fn retries_bring_more_up_to_the_limit() {
        let counts: Vec<usize> = (0..4).map(|attempt| ProposalCount::default().at(attempt)).collect();
        assert_eq!(counts, [4, 16, 64, 64]);
        assert_eq!(ProposalCount(1).at(u32::MAX), 64);
    }

    #[test]
    fn a_count_out_of_bounds_is_refused() {
        for count in [0, 65, u64::MAX] {
            let error = ProposalCount::try_from(count).unwrap_err();
            assert_eq!(error, format!("{count}: expected a whole number from 1 to 64"));
        }
    }
}
