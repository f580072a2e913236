//! From a plan's numbers to addresses: the network, who holds what in it, and who asks.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::annotations::{MALFORMED, OTHERS, for_network, is_ours};
use super::generate::{Fill, GATEWAY_ELSEWHERE, NO_GATEWAY, Plan, PodPlan, RangePlan, SetPlan, Text, WhoPlan};
use crate::lab::TrialRequester;
use crate::lab::network::trial_netconf;
use crate::lab::world::NETWORK;
use ipam::address::{number, successor};
use ipam::{Family, Metadata, Owner, Pod, PodName, RangeSets, Span};
use kube_ipam::config::Network;

/// Of each range set so many addresses are told apart; a /64 has more than anybody can hold.
pub(super) const TOLD_APART: usize = 512;

/// A world laid out.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The `ipam` section, without the policy.
    pub(super) network: Map<String, Value>,
    pub(super) range_sets: RangeSets,
    /// The first addresses of each range set.
    pub(super) offered: Vec<Vec<IpAddr>>,
    /// By bystanders, the last one most recently.
    pub(super) held: Vec<Span>,
    pub(super) visits: Vec<(TrialRequester, bool)>,
    pub(super) older: bool,
    pub(super) requester: TrialRequester,
    pub(super) rivals: usize,
    pub(super) choice: usize,
}

/// What is the same in every world of one check.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    /// The `ipam` section of a network that is given.
    pub(super) network: Option<Map<String, Value>>,
    /// Names that occur in the settings.
    pub(super) words: Vec<String>,
    /// Names of annotations that the policy reads, by its own word.
    pub(super) read: Vec<String>,
    /// Names of annotations that it reads by the word of whoever runs the check.
    pub(super) annotations: Vec<String>,
}

impl Scene {
    pub(super) fn of(plan: &Plan, site: &Site) -> Self {
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

    /// Whether all addresses are told apart, and so can all be held.
    pub(super) fn can_be_filled(&self) -> bool {
        self.range_sets.iter().zip(&self.offered).all(|(set, told)| set.size() <= told.len() as u128)
    }

    /// The requester and the visitors, each in a new container.
    pub(super) fn everybody(&self) -> Vec<TrialRequester> {
        let requesters = std::iter::once(&self.requester).chain(self.visits.iter().map(|(visitor, _)| visitor));
        let mut requesters: Vec<TrialRequester> = requesters.cloned().collect();
        for (nth, requester) in requesters.iter_mut().enumerate() {
            requester.attachment.container = format!("asking-{nth}");
        }
        requesters
    }

    /// The same network of one range, of which less is offered; `None` where there are more ranges.
    pub(super) fn narrowed(&self, first: IpAddr, last: IpAddr) -> Option<Self> {
        let mut network = self.network.clone();
        network.get("subnet").filter(|_| !network.contains_key("ranges"))?;
        network.insert("rangeStart".to_owned(), json!(first));
        network.insert("rangeEnd".to_owned(), json!(last));
        let range_sets = range_sets(&network)?;
        let offered = range_sets.iter().map(|set| first_of(set.offered())).collect();
        Some(Self { network, range_sets, offered, ..self.clone() })
    }

    /// Pods of the requester's kind that name nothing: same place, same controller, same labels.
    pub(super) fn kin(&self, nth: usize) -> TrialRequester {
        let mut kin = self.twin(nth);
        kin.requested.clear();
        if let Some(pod) = &mut kin.pod {
            pod.annotations.retain(|name, _| !is_ours(name));
        }
        kin
    }

    /// Pods that name what the requester names.
    pub(super) fn twin(&self, nth: usize) -> TrialRequester {
        let mut twin = self.requester.clone();
        twin.attachment.container = format!("kin-{nth}");
        if let Some(pod) = &mut twin.pod {
            pod.name.name = format!("kin-{nth}");
            pod.name.uid = pod.name.uid.as_ref().map(|_| format!("uid-kin-{nth}"));
        }
        twin
    }
}

/// Spans of neighbours, in order.
pub(super) fn spans(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for address in addresses {
        let grown = spans.last().filter(|last| successor(last.last()) == Some(address));
        match grown.and_then(|last| Span::new(last.first(), address)) {
            Some(longer) => *spans.last_mut().expect("it has just grown") = longer,
            None => spans.push(Span::single(address)),
        }
    }
    spans
}

fn first_of(spans: impl Iterator<Item = Span>) -> Vec<IpAddr> {
    let addresses =
        |span: Span| std::iter::successors(Some(span.first()), move |one| span.above(*one).map(|rest| rest.first()));
    spans.flat_map(addresses).take(TOLD_APART).collect()
}

fn held(fill: &Fill, cursor: Option<u16>, offered: &[Vec<IpAddr>]) -> Vec<Span> {
    let all: Vec<IpAddr> = offered.iter().flatten().copied().collect();
    let picked =
        |picks: &[u16]| -> Vec<usize> { picks.iter().map(|&pick| usize::from(pick) % all.len().max(1)).collect() };
    let (picks, listed) = match fill {
        Fill::These(picks) => (picked(picks), true),
        Fill::AllBut(picks) => (picked(picks), false),
    };
    let is_held = |(nth, _): &(usize, &IpAddr)| picks.contains(nth) == listed;
    let mut held: Vec<IpAddr> = all.iter().enumerate().filter(is_held).map(|(_, address)| *address).collect();
    let last = cursor.filter(|_| !held.is_empty()).map(|cursor| held.remove(usize::from(cursor) % held.len()));
    let mut spans = spans(held);
    spans.extend(last.map(Span::single));
    spans
}

/// What would not be a network loses first its exclusions, then everything but its subnets.
fn laid_out(plan: &Plan) -> (Map<String, Value>, RangeSets) {
    let bare = |sets: &[SetPlan]| -> Vec<SetPlan> {
        let bare = |range: &RangePlan| RangePlan { low: 0, high: 0, gateway: None, fixed: None, ..range.clone() };
        let bare = |set: &SetPlan| SetPlan { ranges: set.ranges.iter().map(bare).collect(), ..set.clone() };
        sets.iter().map(bare).collect()
    };
    let candidates = [(plan.sets.clone(), &plan.excluded[..]), (plan.sets.clone(), &[]), (bare(&plan.sets), &[])];
    let networks = candidates.iter().map(|(sets, excluded)| network(sets, excluded, plan.cooldown));
    let mut whole = networks.filter_map(|network| range_sets(&network).map(|sets| (network, sets)));
    whole.next().unwrap_or_default()
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
    let excluded: Vec<String> = excluded
        .iter()
        .filter_map(|&(range, at, bits)| subnets.get(usize::from(range) % subnets.len())?.part(at, bits))
        .collect();
    if !excluded.is_empty() {
        network.insert("exclude".to_owned(), json!(excluded));
    }
    if cooldown {
        network.insert("cooldown".to_owned(), json!("10m"));
    }
    network
}

/// The subnets of a world have nothing in common but their beginning: 10.0.0.0/8 or fd00::/16.
struct Subnet {
    family: Family,
    base: u128,
    bits: u8,
}

impl Subnet {
    fn new(nth: u8, is_v6: bool, bits: u8) -> Self {
        match is_v6 {
            false => Self { family: Family::V4, base: (10 << 24) | u128::from(nth) << 16, bits: bits.min(16) },
            true => Self { family: Family::V6, base: (0xfd00 << 112) | u128::from(nth) << 96, bits },
        }
    }

    fn address(&self, nth: u128) -> IpAddr {
        self.family.address(self.base + nth)
    }

    fn size(&self) -> u128 {
        1 << self.bits
    }

    fn range(&self, plan: &RangePlan) -> Map<String, Value> {
        let RangePlan { low, high, gateway, fixed, .. } = *plan;
        let text = |nth: u128| json!(self.address(nth).to_string());
        let mut range = Map::new();
        range.insert("subnet".to_owned(), json!(format!("{}/{}", self.address(0), self.family.bits() - self.bits)));
        let last = self.size() - 1;
        let (low, high) = (u128::from(low), u128::from(high));
        if low > 0 && low + 2 < last {
            range.insert("rangeStart".to_owned(), text(low + 2));
        }
        if high > 0 && high + low + 3 < last {
            range.insert("rangeEnd".to_owned(), text(last - high - 1));
        }
        let gateway = match gateway {
            Some(NO_GATEWAY) => Some(json!("none")),
            Some(GATEWAY_ELSEWHERE) => Some(json!(if self.family == Family::V4 { "169.254.1.1" } else { "fe80::1" })),
            Some(gateway) if last > 2 => Some(text(1 + u128::from(gateway) % (last - 1))),
            _ => None,
        };
        range.extend(gateway.map(|gateway| ("gateway".to_owned(), gateway)));
        if let Some((start, length)) = fixed {
            let start = u128::from(start) % self.size();
            range.insert("fixedStart".to_owned(), text(start));
            range.insert("fixedEnd".to_owned(), text((start + u128::from(length)).min(last)));
        }
        range
    }

    /// An aligned part of the subnet.
    fn part(&self, at: u8, bits: u8) -> Option<String> {
        let bits = bits.min(self.bits);
        let at = ((u128::from(at) % self.size()) >> bits) << bits;
        Some(format!("{}/{}", self.address(at), self.family.bits() - bits))
    }
}

/// The ranges as the plugin reads them; `None` where it would refuse them.
pub(super) fn range_sets(network: &Map<String, Value>) -> Option<RangeSets> {
    Network::range_sets(&trial_netconf(NETWORK, network).ok()?).ok()
}

/// Each under a name of its own.
fn visits(plan: &Plan, writer: &Writer<'_>) -> Vec<(TrialRequester, bool)> {
    let visit =
        |(nth, (who, leaves)): (usize, &(WhoPlan, bool))| (writer.requester(who, &format!("visitor-{nth}")), *leaves);
    plan.visits.iter().enumerate().map(visit).collect()
}

struct Writer<'a> {
    site: &'a Site,
    usable: Vec<IpAddr>,
}

impl Writer<'_> {
    fn requester(&self, plan: &WhoPlan, container: &str) -> TrialRequester {
        let mut requester = TrialRequester::container(container);
        requester.node = format!("node-{}", plan.node % 3 + 1);
        let label = |name: &str, word: u8| [(name.to_owned(), self.word(word))].into();
        requester.node_metadata = plan
            .zone
            .map(|zone| Metadata { labels: label("topology.kubernetes.io/zone", zone), ..Metadata::default() });
        requester.namespace =
            plan.namespace_label.map(|word| Metadata { labels: label("team", word), ..Metadata::default() });
        requester.requested = plan.requested.iter().filter_map(|text| self.text(text).parse().ok()).collect();
        requester.requested.sort();
        requester.requested.dedup();
        requester.pod = plan.pod.as_ref().map(|pod| self.pod(pod, container));
        requester
    }

    fn pod(&self, plan: &PodPlan, container: &str) -> Pod {
        let name = format!("{}-{}", ["web", "db", container][usize::from(plan.name % 3)], plan.name / 3);
        let owner = match plan.owner {
            1 => Some(("StatefulSet", name.rsplit_once('-').map_or(name.as_str(), |(stem, _)| stem).to_owned())),
            2 => Some(("ReplicaSet", "web-5d4f".to_owned())),
            _ => None,
        };
        let named = |(nth, text): &(u8, Text)| (self.annotation(*nth), self.text(text));
        Pod {
            name: PodName {
                namespace: self.word(plan.namespace),
                uid: plan.has_uid.then(|| format!("uid-{container}")),
                name,
                cluster: None,
            },
            annotations: plan.annotations.iter().map(named).collect(),
            labels: plan.label.map(|word| ("app".to_owned(), self.word(word))).into_iter().collect(),
            owner: owner.map(|(kind, name)| Owner { kind: kind.to_owned(), name }),
        }
    }

    fn word(&self, nth: u8) -> String {
        const COMMON: [&str; 2] = ["default", "team-a"];
        let nth = usize::from(nth) % (COMMON.len() + self.site.words.len());
        COMMON.get(nth).map_or_else(|| self.site.words[nth - COMMON.len()].clone(), |word| (*word).to_owned())
    }

    fn annotation(&self, nth: u8) -> String {
        let (nth, Site { read, annotations: own, .. }) = (usize::from(nth), self.site);
        match nth % 3 {
            1 if !own.is_empty() => own[nth / 3 % own.len()].clone(),
            0 | 1 if !read.is_empty() => read[nth % read.len()].clone(),
            2 if nth.is_multiple_of(2) && !read.is_empty() => for_network(&read[nth % read.len()]),
            _ => OTHERS[nth % OTHERS.len()].to_owned(),
        }
    }

    fn text(&self, text: &Text) -> String {
        let usable = |nth: u16| self.usable.get(usize::from(nth) % self.usable.len().max(1)).copied();
        let usable = |nth| usable(nth).unwrap_or(IpAddr::from([192, 0, 2, 1]));
        match text {
            Text::Usable(nth) => usable(*nth).to_string(),
            Text::Span(one, two) => {
                let (one, two) = (usable(*one), usable(*two));
                let (first, last) = if number(one) <= number(two) { (one, two) } else { (two, one) };
                format!("{first}-{last}")
            }
            Text::Malformed(nth) => MALFORMED[usize::from(*nth) % MALFORMED.len()].to_owned(),
            Text::Word(nth) => self.word(*nth),
            Text::Wild(text) => text.clone(),
            Text::Huge(kilobytes) => "10.0.0.7,".repeat(usize::from(*kilobytes) * 114),
        }
    }
}

/// Names that a policy may have a rule for: whatever in its settings could be the name of something.
pub(super) fn words(settings: &Map<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    settings.iter().for_each(|(_, value)| collect(value, &mut words));
    words.sort();
    words.dedup();
    words.truncate(20);
    words
}

fn collect(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.extend(text.split('/').filter(|word| is_name(word)).map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
        Value::Object(map) => {
            for (key, value) in map {
                words.extend(key.split('/').filter(|word| is_name(word)).map(str::to_owned));
                collect(value, words);
            }
        }
        _ => {}
    }
}

fn is_name(word: &str) -> bool {
    let begins_well = word.starts_with(|c: char| c.is_ascii_lowercase());
    begins_well
        && word.len() <= 63
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
}
