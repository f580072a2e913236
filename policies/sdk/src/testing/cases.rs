//! Cases as data: a JSON file of situations and what the policy answers, for people who never saw this crate.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use super::{PoolDouble, addresses, range, request};
use crate::address::{Family, SpanError};
use crate::policy::Policy;
use crate::pool::{Holder, Pool};
use crate::proposal::{Assignment, Kind, Proposal, Refusal};
use crate::range::{RangeSet, RangeSets};
use crate::request::{Metadata, Owner, Request};
use crate::settings::decode;

/// One situation. Only `case` and one of `first`, `addresses` and `refusal` are required.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    /// What the case shows, in a sentence or a few words.
    case: String,
    /// The range sets; without them, one range over all of 10.0.0.0/24.
    #[serde(default)]
    range_sets: Vec<Vec<Range>>,
    /// `namespace/name`; without it `default/web-0`, and the empty string for no pod.
    pod: Option<String>,
    /// `Kind/name`; without it the policy is told of no controller.
    owner: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    requested: Vec<IpAddr>,
    #[serde(default)]
    previous: Vec<IpAddr>,
    #[serde(default)]
    attempt: u32,
    container: Option<String>,
    /// The interface inside the pod; without it `eth0`.
    interface: Option<String>,
    /// Addresses and spans that are held.
    #[serde(default)]
    held: Vec<String>,
    /// Addresses that are kept, each with its identity.
    #[serde(default)]
    kept: BTreeMap<String, String>,
    /// The slots of lists that are taken.
    #[serde(default)]
    slots: BTreeMap<String, Vec<u32>>,
    /// Labels of the node; without them nothing is known of it.
    node_labels: Option<BTreeMap<String, String>>,
    /// The address that was claimed last in each range set, by its index.
    #[serde(default)]
    last_claimed: BTreeMap<usize, String>,
    #[serde(default)]
    settings: Option<Value>,
    /// The first proposal in full: `10.0.0.7/24 via 10.0.0.1 fixed + fd00::2/64 via fd00::1 dynamic`. What is
    /// kept afterwards ends in `, kept 60 s for IDENTITY`, what takes a slot in `, slot 3 of LIST`.
    first: Option<String>,
    /// The addresses of all proposals.
    addresses: Option<Vec<String>>,
    /// `invalid: ` and the whole text.
    refusal: Option<String>,
}

/// Defaults as in the network's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    subnet: String,
    /// First and last dynamic address.
    span: Option<String>,
    /// An address, or `none`.
    gateway: Option<String>,
    fixed: Option<String>,
    #[serde(default)]
    excluded: Vec<String>,
}

/// Run every case of a JSON array and report all that differ.
///
/// # Panics
/// When a case differs or the text is not a list of cases.
pub fn check_cases<P: Policy>(json: &str) {
    let cases: Vec<Case> = match serde_json::from_str(json) {
        Ok(cases) => cases,
        Err(error) => panic!("not a list of cases: {error}"),
    };
    let differ: String = cases.iter().filter_map(|case| case.differs::<P>()).collect();
    assert!(differ.is_empty(), "{differ}");
}

impl Case {
    fn differs<P: Policy>(&self) -> Option<String> {
        let request = self.request();
        let settings = self.settings.as_ref().map_or("{}".to_owned(), ToString::to_string);
        let settings = decode::<P::Settings>(&settings).unwrap_or_else(|error| panic!("{}: {error}", self.case));
        let answer = P::allocate(&request, &settings, &self.pool(&request));
        let fault = answer.as_ref().ok().and_then(|proposals| fault(&request, proposals));
        let mut said = String::new();
        match &answer {
            Ok(proposals) => {
                self.compare(&mut said, "first", &self.first, proposals.first().map(in_full));
                let all = self.addresses.as_ref().map(|_| addresses(proposals));
                self.compare(&mut said, "addresses", &self.addresses, all);
                self.compare(&mut said, "refusal", &self.refusal, None);
            }
            Err(refusal) => {
                self.compare(&mut said, "refusal", &Some(described(refusal)), self.refusal.clone());
            }
        }
        (!said.is_empty() || fault.is_some()).then(|| format!("\n{}:{}{said}\n", self.case, fault.unwrap_or_default()))
    }

    fn compare<T: PartialEq + std::fmt::Debug>(&self, said: &mut String, what: &str, one: &Option<T>, two: Option<T>) {
        let only_asked = one.is_none() && what != "refusal";
        if !only_asked && *one != two {
            let _ = write!(said, "\n  {what}: {one:#?}\n  against: {two:#?}");
        }
    }

    fn request(&self) -> Request {
        let mut request = request(&["10.0.0.0/24"]);
        if !self.range_sets.is_empty() {
            let mut sets = Vec::with_capacity(self.range_sets.len());
            for ranges in &self.range_sets {
                sets.push(RangeSet(ranges.iter().map(Range::build).collect()));
            }
            request.range_sets = RangeSets(sets);
        }
        match self.pod.as_deref().map(|pod| pod.split_once('/')) {
            Some(None) => request.pod = None,
            Some(Some((namespace, name))) => {
                let pod = request.pod.get_or_insert_default();
                (pod.namespace, pod.name) = (namespace.to_owned(), name.to_owned());
            }
            None => {}
        }
        if let (Some(pod), Some((kind, name))) =
            (&mut request.pod, self.owner.as_deref().and_then(|owner| owner.split_once('/')))
        {
            pod.owner = Some(Owner { kind: kind.to_owned(), name: name.to_owned() });
        }
        request.node_metadata = self
            .node_labels
            .as_ref()
            .map(|labels| Metadata { labels: labels.clone().into_iter().collect(), ..Metadata::default() });
        request.requested.clone_from(&self.requested);
        request.previous.clone_from(&self.previous);
        request.attempt = self.attempt;
        request.container_id = self.container.clone().unwrap_or(request.container_id);
        request.interface_name = self.interface.clone().unwrap_or(request.interface_name);
        for (name, value) in &self.annotations {
            request = request.annotated(name, value);
        }
        request
    }

    fn pool(&self, request: &Request) -> impl Pool + use<> {
        let mut pool = PoolDouble::of(&request.range_sets).holding(self.held.iter().map(String::as_str));
        for (address, identity) in &self.kept {
            pool = pool.held_by(address, Holder::Hold(identity.clone()));
        }
        for (name, slots) in &self.slots {
            pool = pool.taking(name, slots.iter().copied());
        }
        for (range_set, address) in &self.last_claimed {
            pool = pool.claimed_last(*range_set, address);
        }
        pool
    }
}

impl Range {
    fn build(&self) -> crate::range::AddressRange {
        let mut built = range(&self.subnet);
        if let Some(gateway) = self.gateway.as_deref() {
            let gateway = (gateway != "none").then(|| super::parse(gateway));
            built = built.with_gateway(gateway);
        }
        built.span = self.span.as_deref().map_or(built.span, parsed);
        built.fixed = self.fixed.as_deref().map(parsed);
        built.excluded = self.excluded.iter().map(|text| parsed(text)).collect();
        built
    }
}

/// A part of a case that has to make sense.
fn parsed<T: FromStr<Err = SpanError>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// What the host would find wrong with the proposals.
fn fault(request: &Request, proposals: &[Proposal]) -> Option<String> {
    if proposals.is_empty() {
        return Some("\n  neither proposal nor refusal".to_owned());
    }
    for proposal in proposals {
        for (nth, Assignment { address, .. }) in proposal.iter().enumerate() {
            if let Some(why) = request.range_sets.unusable(*address) {
                return Some(format!("\n  proposes {address} which {why}"));
            }
            if proposal[..nth].iter().any(|earlier| earlier.address == *address) {
                return Some(format!("\n  repeats an address: {}", in_full(proposal)));
            }
        }
        for range in request.range_sets.ranges() {
            if !proposal.iter().any(|assignment| Family::of(assignment.address) == range.family()) {
                return Some(format!("\n  leaves a family out: {}", in_full(proposal)));
            }
        }
    }
    None
}

fn in_full(proposal: &Proposal) -> String {
    proposal.iter().map(assignment_in_full).collect::<Vec<_>>().join(" + ")
}

fn assignment_in_full(assignment: &Assignment) -> String {
    let Assignment { address, prefix_length, gateway, kind, hold, slot } = assignment;
    let mut text = format!("{address}/{prefix_length}");
    if let Some(gateway) = gateway {
        text += &format!(" via {gateway}");
    }
    text += if *kind == Kind::Fixed { " fixed" } else { " dynamic" };
    if let Some(hold) = hold {
        text += &format!(", kept {} s for {}", hold.seconds, hold.identity);
    }
    if let Some(slot) = slot {
        text += &format!(", slot {} of {}", slot.number, slot.name);
    }
    text
}

fn described(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Exhausted(why) => format!("exhausted: {why}"),
        Refusal::Taken(why) => format!("taken: {why}"),
        Refusal::Invalid(why) => format!("invalid: {why}"),
        Refusal::Denied(why) => format!("denied: {why}"),
    }
}
