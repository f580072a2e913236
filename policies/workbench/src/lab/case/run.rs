//! A case is run: its steps one after another, in a world of their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::expect::{Check, Earlier, Observed};
use super::file::{CaseError, CaseFile};
use super::format::{Case, CaseRequester, Expectation, Held, Metadata, Step};
use super::layout::Part;
use super::yaml::flow;
use crate::lab::world::{BYSTANDER, NETWORK};
use crate::lab::{self, Mishap, World};
use cni::Fail;
use engine::Policy;
use ipam::{Allocation, Attachment, HoldTerms, Kind, Pod, PodName, Span, address};
use kube_ipam::verbs;
use store::Hold;

/// How many lines about holders are shown after a step that went wrong.
const HOLDERS_SHOWN: usize = 16;

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub struct CaseRun {
    /// What came of each requester, in order.
    pub requests: Vec<CheckedRequest>,
}

/// What came of one requester.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    /// The number of its step, counted from 0.
    pub step: usize,
    /// Its number among the requesters of the step, counted from 0.
    pub nth: usize,
    /// The requester, in one line.
    pub who: String,
    pub observed: Observed,
    pub checks: Vec<Check>,
    /// What was held afterwards and by whom, a line each; empty where every expectation is met.
    pub held: Vec<String>,
}

impl CaseRun {
    /// Whether every expectation is met.
    pub fn is_passed(&self) -> bool {
        self.requests.iter().all(CheckedRequest::is_met)
    }

    /// Run a case. An error is one of its file: the network, its settings or what is held from the beginning.
    pub fn run(file: &CaseFile, policy: Policy) -> Result<Self, CaseError> {
        let case = &file.case;
        let world = match World::named(case.network_name(), &case.ipam(), policy) {
            Ok(world) => world,
            Err(error) => return Err(file.error_of_network(&error)),
        };
        let mut running = RunningCase {
            world,
            network: case.network_name().to_owned(),
            earlier: Earlier::new(),
            attachments: BTreeMap::new(),
            requests: Vec::new(),
        };
        running.begin(file)?;
        for (nth, step) in case.steps.iter().enumerate() {
            if let Err(error) = running.play(nth, step) {
                return Err(file.error_at(&[Part::Key("steps"), Part::Nth(nth)], error.to_string()));
            }
        }
        Ok(Self { requests: running.requests })
    }
}

impl CaseFile {
    /// An error about the network, in the words of the file: its section has another name there, and settings may stand
    /// outside of it.
    fn error_of_network(&self, error: &Mishap) -> CaseError {
        let is_about_settings = matches!(error, Mishap::Network(verbs::Error::Policy(_)));
        let key = if is_about_settings && self.case.settings.is_some() { "settings" } else { "network" };
        self.error_at(&[Part::Key(key)], error.message().replace("ipam.", "network."))
    }
}

impl CheckedRequest {
    /// Whether every expectation is met.
    pub fn is_met(&self) -> bool {
        self.checks.iter().all(|check| check.is_met)
    }
}

impl Case {
    fn network_name(&self) -> &str {
        self.name.as_deref().unwrap_or(NETWORK)
    }

    /// The holders with all their spans, and the number of the first entry of each in the file. Entries about the same
    /// interface of a pod are put together, because one attachment holds all that an interface has.
    fn holders(&self) -> Vec<(usize, &Held, Vec<Span>)> {
        let mut holders: Vec<(usize, &Held, Vec<Span>)> = Vec::new();
        for (nth, held) in self.held.iter().enumerate() {
            match holders.iter_mut().find(|(_, of, _)| held.is_of_same_holder(of)) {
                Some((.., spans)) => spans.push(held.address.span),
                None => holders.push((nth, held, vec![held.address.span])),
            }
        }
        holders
    }

    /// The `ipam` section of the network, with the settings that stand beside it.
    fn ipam(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut ipam = self.network.clone();
        let Some(settings) = &self.settings else { return ipam };
        let policy = ipam.entry("policy").or_insert_with(|| serde_json::json!({}));
        if let Some(policy) = policy.as_object_mut() {
            policy.insert("settings".to_owned(), settings.clone().into());
        }
        ipam
    }
}

/// A case under way.
struct RunningCase {
    world: World,
    network: String,
    earlier: Earlier,
    /// The attachments of each container, by its name: a `release` is one of the whole container.
    attachments: BTreeMap<String, Vec<Attachment>>,
    requests: Vec<CheckedRequest>,
}

impl RunningCase {
    /// Prepare the situation before the first step.
    fn begin(&self, file: &CaseFile) -> Result<(), CaseError> {
        // First of all: the address that was claimed last may be held as well, and then could not be claimed any more.
        for address in file.case.last_claimed.iter().flat_map(|last| &last.0) {
            let done = self.world.claim_last(*address);
            done.map_err(|error| file.error_at(&[Part::Key("lastClaimed")], error.message()))?;
        }
        for (nth, held, spans) in file.case.holders() {
            let (pod, interface) = (held.by.as_ref().map(|pod| &pod.0), held.interface.as_deref().unwrap_or("eth0"));
            let done = self.world.hold_by(pod, interface, &spans, held.kind.unwrap_or(Kind::Fixed));
            done.map_err(|error| file.error_at(&[Part::Key("held"), Part::Nth(nth)], error.message()))?;
        }
        for (nth, kept) in file.case.kept.iter().enumerate() {
            let hold = HoldTerms { identity: kept.identity.clone(), seconds: kept.lapse.0.as_secs() };
            let done = self.world.keep(kept.address, hold);
            done.map_err(|error| file.error_at(&[Part::Key("kept"), Part::Nth(nth)], error.message()))?;
        }
        Ok(())
    }

    fn play(&mut self, nth: usize, step: &Step) -> Result<(), Mishap> {
        if let Some(lapse) = step.advance {
            self.world.advance(lapse.0);
        }
        for attachment in step.release.iter().flat_map(|released| self.attachments.get(released)).flatten() {
            self.world.release(attachment).map_err(verbs::Error::from)?;
        }
        let requesters: Vec<_> = step.requesters().map(|requester| requester.to_lab(&self.network)).collect();
        let outcomes = match step.contend {
            None => requesters.iter().map(|requester| self.world.allocate(requester)).collect(),
            Some(_) => self.world.contend(&requesters),
        };
        let an_address = Expectation::default();
        for (of_step, (requester, outcome)) in step.requesters().zip(outcomes).enumerate() {
            let observed = Observed::of(outcome);
            let expectation = step.expectation(of_step).unwrap_or(&an_address);
            let checks = expectation.compare(&observed, &self.earlier);
            let held = if checks.iter().all(|check| check.is_met) { Vec::new() } else { self.holders()? };
            self.remember(&requesters[of_step].attachment, &observed);
            self.requests.push(CheckedRequest {
                step: nth,
                nth: of_step,
                who: describe(requester),
                observed,
                checks,
                held,
            });
        }
        Ok(())
    }

    fn remember(&mut self, attachment: &Attachment, observed: &Observed) {
        let container = &attachment.container;
        self.attachments.entry(container.clone()).or_default().push(attachment.clone());
        if let Ok(given) = &observed.outcome {
            self.earlier.insert(container.clone(), given.iter().map(|one| one.address).collect());
        }
    }

    /// What is held and kept, and by whom. Neighbours with the same holder are one line.
    fn holders(&self) -> Result<Vec<String>, Mishap> {
        let mut spans: Vec<(Span, String)> = Vec::new();
        for held in self.world.held().map_err(verbs::Error::from)? {
            let holder = name_holder(&held);
            match spans.last_mut() {
                Some((span, known)) if *known == holder && address::successor(span.last()) == Some(held.address) => {
                    *span = Span::new(span.first(), held.address).unwrap_or(*span);
                }
                _ => spans.push((Span::single(held.address), holder)),
            }
        }
        let mut lines: Vec<String> = spans.iter().map(|(span, holder)| format!("{span} {holder}")).collect();
        for Hold { address, identity, until, .. } in self.world.kept().map_err(verbs::Error::from)? {
            let whom = identity.as_deref().unwrap_or(Hold::COOLING_DOWN);
            lines.push(format!("{address} kept for {whom} until {until}"));
        }
        if lines.len() > HOLDERS_SHOWN {
            let more = lines.len() - HOLDERS_SHOWN;
            lines.truncate(HOLDERS_SHOWN);
            lines.push(format!("and {more} more"));
        }
        Ok(lines)
    }
}

/// Name a holder by what its case says of it. The container of a bystander is the world's invention.
fn name_holder(held: &Allocation) -> String {
    let container = &held.attachment.container;
    match &held.pod {
        Some(pod) if container.starts_with(BYSTANDER) => pod.to_string(),
        None if container.starts_with(BYSTANDER) => "held before".to_owned(),
        Some(pod) => format!("{pod} {container}"),
        None => container.clone(),
    }
}

/// Name a requester by what its case says of it.
fn describe(requester: &CaseRequester) -> String {
    let container = requester.container.as_deref().unwrap_or_default();
    let mut details = Vec::new();
    if requester.pod.is_some() {
        details.push(format!("container {container}"));
    }
    if let Some(node) = &requester.node {
        details.push(format!("on {node}"));
    }
    if let Some(interface) = &requester.interface {
        details.push(format!("interface {interface}"));
    }
    if !requester.annotations.is_empty() {
        details.push(flow(&serde_json::json!(requester.annotations)));
    }
    let name = match &requester.pod {
        Some(pod) => pod.to_string(),
        None => format!("container {container}"),
    };
    if details.is_empty() { name } else { format!("{name} ({})", details.join(", ")) }
}

impl CaseRequester {
    /// The requester of a world, with what the runtime and the API server would tell of it.
    fn to_lab(&self, network: &str) -> lab::TrialRequester {
        let mut asks = lab::TrialRequester::container(self.container.as_deref().unwrap_or_default());
        let interface = self.interface.clone().unwrap_or(asks.attachment.interface);
        asks.attachment = Attachment { network: network.to_owned(), interface, ..asks.attachment };
        asks.node = self.node.clone().unwrap_or(asks.node);
        asks.pod = self.pod.as_ref().map(|pod| Pod {
            name: PodName { uid: self.uid.clone(), ..pod.0.clone() },
            annotations: self.annotations.clone(),
            labels: self.labels.clone(),
            owner: self.owner.as_ref().map(|owner| owner.0.clone()),
        });
        if asks.pod.is_none() {
            asks.annotations.clone_from(&self.annotations);
        }
        asks.namespace = self.namespace.clone().map(ipam::Metadata::from);
        asks.node_metadata = self.node_metadata.clone().map(ipam::Metadata::from);
        // The plugin makes plain IPv4 of `::ffff:10.0.0.7` when it reads what a runtime asks for. It is passed by here.
        asks.requested = self.requested.iter().flat_map(|requested| &requested.0).map(IpAddr::to_canonical).collect();
        asks
    }
}

impl From<Metadata> for ipam::Metadata {
    fn from(Metadata { labels, annotations }: Metadata) -> Self {
        Self { labels, annotations }
    }
}
