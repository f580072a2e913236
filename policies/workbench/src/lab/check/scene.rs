//! From a plan's numbers to addresses: the network, what is held in it and by whom, and the requesters.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::annotations::is_ours;
use super::generate::{Fill, GATEWAY_ELSEWHERE, NO_GATEWAY, RangePlan, SetPlan, WorldPlan};
use super::writer::Writer;
use crate::lab::TrialRequester;
use crate::lab::network::trial_netconf;
use crate::lab::world::NETWORK;
use ipam::address::successor;
use ipam::{Family, RangeSets, Span};
use kube_ipam::config::Network;

/// How many addresses of each range set are listed one by one; a /64 has more than a test can hold.
pub(super) const TOLD_APART: usize = 512;

/// A world laid out in addresses, before it is played.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The `ipam` section, without the policy.
    pub(super) network: Map<String, Value>,
    pub(super) range_sets: RangeSets,
    /// The first addresses of each range set.
    pub(super) offered: Vec<Vec<IpAddr>>,
    /// What bystanders hold; the last span was claimed last.
    pub(super) held: Vec<Span>,
    /// Requesters that came before, and whether each is gone again.
    pub(super) visits: Vec<(TrialRequester, bool)>,
    /// Whether an older container of the requester's pod holds something.
    pub(super) older: bool,
    pub(super) requester: TrialRequester,
    pub(super) rivals: usize,
    pub(super) choice: usize,
}

/// What is the same in every world of one check.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    /// The `ipam` section of a network that takes the place of generated ones.
    pub(super) network: Option<Map<String, Value>>,
    /// Names that occur in the settings.
    pub(super) words: Vec<String>,
    /// Names of annotations that the policy says it reads.
    pub(super) read: Vec<String>,
    /// Names of annotations that the author says the policy reads.
    pub(super) annotations: Vec<String>,
}

impl Scene {
    pub(super) fn of(plan: &WorldPlan, site: &Site) -> Self {
        let (network, range_sets) = match &site.network {
            Some(network) => (network.clone(), range_sets(network).unwrap_or_default()),
            None => laid_out(plan),
        };
        let offered: Vec<Vec<IpAddr>> = range_sets.iter().map(|set| first_of(set.offered())).collect();
        let writer = Writer { site, usable: offered.iter().flatten().copied().collect() };
        Self {
            held: held(&plan.fill, plan.cursor, &offered),
            visits: visits(plan, &writer),
            older: plan.older,
            requester: writer.requester(&plan.requester, "asking"),
            rivals: plan.rivals.into(),
            choice: plan.choice.into(),
            network,
            range_sets,
            offered,
        }
    }

    /// Whether all addresses are listed, and so can all be held.
    pub(super) fn can_be_filled(&self) -> bool {
        self.range_sets.iter().zip(&self.offered).all(|(set, listed)| set.size() <= listed.len() as u128)
    }

    /// The requester and the visitors, each in a new container.
    pub(super) fn everybody(&self) -> Vec<TrialRequester> {
        let mut requesters = vec![self.requester.clone()];
        requesters.extend(self.visits.iter().map(|(visitor, _)| visitor.clone()));
        for (nth, requester) in requesters.iter_mut().enumerate() {
            requester.attachment.container = format!("asking-{nth}");
        }
        requesters
    }

    /// A network of one range, of which less is offered; `None` where there are more ranges.
    pub(super) fn narrowed(&self, first: IpAddr, last: IpAddr) -> Option<Self> {
        let mut network = self.network.clone();
        if network.contains_key("ranges") || !network.contains_key("subnet") {
            return None;
        }
        network.insert("rangeStart".to_owned(), json!(first));
        network.insert("rangeEnd".to_owned(), json!(last));
        let range_sets = range_sets(&network)?;
        let offered = range_sets.iter().map(|set| first_of(set.offered())).collect();
        Some(Self { network, range_sets, offered, ..self.clone() })
    }

    /// The nth pod of the requester's kind that names nothing: the same place, the same controller, the same labels.
    pub(super) fn kin(&self, nth: usize) -> TrialRequester {
        let mut kin = self.twin(nth);
        kin.requested.clear();
        if let Some(pod) = &mut kin.pod {
            pod.annotations.retain(|name, _| !is_ours(name));
        }
        kin
    }

    /// The nth pod of the requester's kind that names what the requester names.
    pub(super) fn twin(&self, nth: usize) -> TrialRequester {
        let mut twin = self.requester.clone();
        twin.attachment.container = format!("kin-{nth}");
        if let Some(pod) = &mut twin.pod {
            pod.name.name = format!("kin-{nth}");
            if pod.name.uid.is_some() {
                pod.name.uid = Some(format!("uid-kin-{nth}"));
            }
        }
        twin
    }
}

/// These addresses as spans, each as long as the next address is a neighbour.
pub(super) fn spans(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for address in addresses {
        match spans.last_mut() {
            Some(last) if successor(last.last()) == Some(address) => {
                *last = Span::new(last.first(), address).unwrap_or(*last);
            }
            _ => spans.push(Span::single(address)),
        }
    }
    spans
}

/// The first addresses of these spans, as many as are listed one by one.
fn first_of(spans: impl Iterator<Item = Span>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for span in spans {
        let mut next = Some(span);
        while let Some(rest) = next {
            if addresses.len() == TOLD_APART {
                return addresses;
            }
            addresses.push(rest.first());
            next = span.above(rest.first());
        }
    }
    addresses
}

fn held(fill: &Fill, cursor: Option<u16>, offered: &[Vec<IpAddr>]) -> Vec<Span> {
    let all: Vec<IpAddr> = offered.iter().flatten().copied().collect();
    let (picks, are_held) = match fill {
        Fill::These(picks) => (picks, true),
        Fill::AllBut(picks) => (picks, false),
    };
    let picked: BTreeSet<usize> = picks.iter().map(|pick| usize::from(*pick) % all.len().max(1)).collect();
    let mut held = Vec::new();
    for (nth, address) in all.into_iter().enumerate() {
        if picked.contains(&nth) == are_held {
            held.push(address);
        }
    }
    // The one that was claimed last comes last, and is no part of another span, because the cursor stands behind it.
    let mut last = None;
    if let Some(cursor) = cursor
        && !held.is_empty()
    {
        last = Some(held.remove(usize::from(cursor) % held.len()));
    }
    let mut spans = spans(held);
    spans.extend(last.map(Span::single));
    spans
}

/// The network of a plan and its range sets. Numbers drawn at random may make a network that the plugin refuses, such as
/// a gateway beside its subnet. It is not thrown away, which would keep a failing world from shrinking; it loses first
/// its exclusions, and if that does not help, everything but its subnets.
fn laid_out(plan: &WorldPlan) -> (Map<String, Value>, RangeSets) {
    let mut bare = plan.sets.clone();
    for range in bare.iter_mut().flat_map(|set| &mut set.ranges) {
        *range = RangePlan { low: 0, high: 0, gateway: None, fixed: None, bits: range.bits };
    }
    for (sets, excluded) in [(&plan.sets, &plan.excluded[..]), (&plan.sets, &[]), (&bare, &[])] {
        let network = network(sets, excluded, plan.cooldown);
        if let Some(range_sets) = range_sets(&network) {
            return (network, range_sets);
        }
    }
    Default::default()
}

fn network(sets: &[SetPlan], excluded: &[(u8, u8, u8)], cooldown: bool) -> Map<String, Value> {
    let mut nth = 0_u8;
    let mut subnets = Vec::new();
    let mut ranges: Vec<Vec<Map<String, Value>>> = Vec::new();
    for set in sets {
        let mut one = Vec::new();
        for range in &set.ranges {
            let subnet = Subnet::new(nth, set.is_v6, range.bits);
            one.push(subnet.range(range));
            subnets.push(subnet);
            nth += 1;
        }
        ranges.push(one);
    }
    let mut network = match ranges.as_mut_slice() {
        [set] if set.len() == 1 => set.remove(0),
        _ => Map::from_iter([("ranges".to_owned(), json!(ranges))]),
    };
    if !excluded.is_empty() {
        let mut parts = Vec::new();
        for &(range, at, bits) in excluded {
            parts.push(subnets[usize::from(range) % subnets.len()].part(at, bits));
        }
        network.insert("exclude".to_owned(), json!(parts));
    }
    if cooldown {
        network.insert("cooldown".to_owned(), json!("10m"));
    }
    network
}

/// A subnet inside 10.0.0.0/8 or fd00::/16. No two of one world overlap, which a network may not.
struct Subnet {
    family: Family,
    /// The first address, as a number.
    base: u128,
    /// The size, as a power of two.
    bits: u8,
}

impl Subnet {
    fn new(nth: u8, is_v6: bool, bits: u8) -> Self {
        if is_v6 {
            return Self { family: Family::V6, base: (0xfd00 << 112) | u128::from(nth) << 96, bits };
        }
        Self { family: Family::V4, base: (10 << 24) | u128::from(nth) << 16, bits: bits.min(16) }
    }

    fn address(&self, nth: u128) -> IpAddr {
        self.family.address(self.base + nth)
    }

    fn size(&self) -> u128 {
        1 << self.bits
    }

    fn range(&self, plan: &RangePlan) -> Map<String, Value> {
        let RangePlan { low, high, gateway, fixed, .. } = *plan;
        let mut range = Map::new();
        range.insert("subnet".to_owned(), json!(format!("{}/{}", self.address(0), self.family.bits() - self.bits)));
        let last = self.size() - 1;
        let (low, high) = (u128::from(low), u128::from(high));
        if low > 0 && low + 2 < last {
            range.insert("rangeStart".to_owned(), json!(self.address(low + 2)));
        }
        if high > 0 && high + low + 3 < last {
            range.insert("rangeEnd".to_owned(), json!(self.address(last - high - 1)));
        }
        let gateway = match gateway {
            Some(NO_GATEWAY) => json!("none"),
            Some(GATEWAY_ELSEWHERE) => json!(if self.family == Family::V4 { "169.254.1.1" } else { "fe80::1" }),
            Some(gateway) if last > 2 => json!(self.address(1 + u128::from(gateway) % (last - 1))),
            _ => Value::Null,
        };
        if !gateway.is_null() {
            range.insert("gateway".to_owned(), gateway);
        }
        if let Some((start, length)) = fixed {
            let start = u128::from(start) % self.size();
            range.insert("fixedStart".to_owned(), json!(self.address(start)));
            range.insert("fixedEnd".to_owned(), json!(self.address((start + u128::from(length)).min(last))));
        }
        range
    }

    /// An aligned part of the subnet, in CIDR form.
    fn part(&self, at: u8, bits: u8) -> String {
        let bits = bits.min(self.bits);
        let at = ((u128::from(at) % self.size()) >> bits) << bits;
        format!("{}/{}", self.address(at), self.family.bits() - bits)
    }
}

/// The ranges as the plugin reads them; `None` where it would refuse them.
pub(super) fn range_sets(network: &Map<String, Value>) -> Option<RangeSets> {
    Network::range_sets(&trial_netconf(NETWORK, network).ok()?).ok()
}

fn visits(plan: &WorldPlan, writer: &Writer<'_>) -> Vec<(TrialRequester, bool)> {
    let mut visits = Vec::new();
    for (nth, (who, leaves)) in plan.visits.iter().enumerate() {
        visits.push((writer.requester(who, &format!("visitor-{nth}")), *leaves));
    }
    visits
}
