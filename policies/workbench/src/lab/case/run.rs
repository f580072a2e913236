//! A case is run: its steps, one after another, in a world of their own.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::expect::{Check, Earlier, Observed};
use super::file::{CaseError, CaseFile};
use super::format::{Asker, Case, Expectation, Held, Metadata, Step};
use super::layout::Part;
use super::yaml::flow;
use crate::lab::world::NETWORK;
use crate::lab::{self, Mishap, World};
use cni::Fail;
use engine::Policy;
use ipam::{Attachment, Hold, Kind, Pod, PodName, Span, address};
use kube_ipam::verbs;
use store::KeptAddress;

/// Holders that are listed after a step that went wrong.
const HOLDERS_SHOWN: usize = 16;

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Everybody who asked, in order.
    pub answers: Vec<Answer>,
}

/// What came of one who asked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of the file, counted from 0.
    pub step: usize,
    /// Of those who asked in this step, counted from 0.
    pub nth: usize,
    /// Who asked, in one line.
    pub who: String,
    /// What came of it.
    pub observed: Observed,
    /// The expectations.
    pub checks: Vec<Check>,
    /// Who held what afterwards; only told where an expectation is not met.
    pub held: Vec<String>,
}

impl Trial {
    /// Whether every expectation is met.
    pub fn is_passed(&self) -> bool {
        self.answers.iter().all(Answer::is_met)
    }

    /// Run a case. An error is one of its file: of the network, its settings or what is held from the beginning.
    pub fn run(file: &CaseFile, policy: Policy) -> Result<Self, CaseError> {
        let case = &file.case;
        let network = |error: &Mishap| {
            let about_settings = matches!(error, Mishap::Network(verbs::Error::Policy(_))) && case.settings.is_some();
            let way = [Part::Key(if about_settings { "settings" } else { "network" })];
            file.error_at(&way, error.message().replace("ipam.", "network."))
        };
        let world = World::named(case.network_name(), &case.ipam(), policy).map_err(|error| network(&error))?;
        let network = case.network_name().to_owned();
        let mut run =
            Run { world, network, earlier: Earlier::new(), attachments: BTreeMap::new(), trial: Self::default() };
        run.begin(file)?;
        for (nth, step) in case.steps.iter().enumerate() {
            run.step(nth, step)
                .map_err(|error| file.error_at(&[Part::Key("steps"), Part::Nth(nth)], error.to_string()))?;
        }
        Ok(run.trial)
    }
}

impl Answer {
    /// Whether every expectation is met.
    pub fn is_met(&self) -> bool {
        self.checks.iter().all(|check| check.is_met)
    }
}

impl Case {
    fn network_name(&self) -> &str {
        self.name.as_deref().unwrap_or(NETWORK)
    }

    /// Each with the number of the first entry about it: what a pod holds, one attachment of it holds.
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

    /// The `ipam` section of the network.
    fn ipam(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut ipam = self.network.clone();
        if let (Some(settings), Some(policy)) =
            (&self.settings, ipam.entry("policy").or_insert_with(|| serde_json::json!({})).as_object_mut())
        {
            policy.insert("settings".to_owned(), settings.clone().into());
        }
        ipam
    }
}

struct Run {
    world: World,
    network: String,
    earlier: Earlier,
    attachments: BTreeMap<String, Vec<Attachment>>,
    trial: Trial,
}

impl Run {
    fn begin(&self, file: &CaseFile) -> Result<(), CaseError> {
        // Before anything is held, or it could not be claimed.
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
            let hold = Hold { identity: kept.identity.clone(), seconds: kept.lapse.0.as_secs() };
            let done = self.world.keep(kept.address, hold);
            done.map_err(|error| file.error_at(&[Part::Key("kept"), Part::Nth(nth)], error.message()))?;
        }
        Ok(())
    }

    fn step(&mut self, nth: usize, step: &Step) -> Result<(), Mishap> {
        if let Some(lapse) = step.advance {
            self.world.advance(lapse.0);
        }
        for attachment in step.release.iter().flat_map(|released| self.attachments.get(released)).flatten() {
            self.world.release(attachment).map_err(verbs::Error::from)?;
        }
        let askers: Vec<_> = step.askers().map(|asker| asker.of(&self.network)).collect();
        let allocations = match step.contend {
            None => askers.iter().map(|asker| self.world.allocate(asker)).collect(),
            Some(_) => self.world.contend(&askers),
        };
        let plainly = Expectation::default();
        for (of_step, (asker, allocation)) in step.askers().zip(allocations).enumerate() {
            let observed = Observed::of(allocation);
            let expectation = step.expectation(of_step).unwrap_or(&plainly);
            let checks = expectation.compare(&observed, &self.earlier);
            let held = if checks.iter().all(|check| check.is_met) { Vec::new() } else { self.held()? };
            self.remember(&askers[of_step].attachment, &observed);
            self.trial.answers.push(Answer { step: nth, nth: of_step, who: who(asker), observed, checks, held });
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

    /// Neighbours with the same holder in one line.
    fn held(&self) -> Result<Vec<String>, Mishap> {
        let mut spans: Vec<(Span, String)> = Vec::new();
        for held in self.world.held().map_err(verbs::Error::from)? {
            let pod = held.pod.as_ref().map(ToString::to_string);
            let holder = match held.attachment.container.starts_with(lab::world::BYSTANDER) {
                true => pod.unwrap_or_else(|| "held before".to_owned()),
                false => {
                    format!("{}{}", pod.map(|pod| format!("{pod} ")).unwrap_or_default(), held.attachment.container)
                }
            };
            match spans.last_mut().filter(|(span, known)| *known == holder && is_next(*span, &held)) {
                Some((span, _)) => *span = Span::new(span.first(), held.address).unwrap_or(*span),
                None => spans.push((Span::single(held.address), holder)),
            }
        }
        let kept = self.world.kept().map_err(verbs::Error::from)?;
        let kept = kept.into_iter().map(|KeptAddress { address, identity, until }| {
            format!("{address} kept for {} until {until}", identity.as_deref().unwrap_or(KeptAddress::COOLING_DOWN))
        });
        let mut lines: Vec<_> = spans.iter().map(|(span, holder)| format!("{span} {holder}")).chain(kept).collect();
        if let Some(more @ 1..) = lines.len().checked_sub(HOLDERS_SHOWN) {
            lines.truncate(HOLDERS_SHOWN);
            lines.push(format!("and {more} more"));
        }
        Ok(lines)
    }
}

fn is_next(span: Span, held: &ipam::Allocation) -> bool {
    address::successor(span.last()) == Some(held.address)
}

/// Who asks, as whoever wrote the case knows them.
fn who(asker: &Asker) -> String {
    let container = asker.container.as_deref().unwrap_or_default();
    let mut who = match &asker.pod {
        Some(pod) => format!("{pod} (container {container}"),
        None => format!("container {container} ("),
    };
    let parts = [
        asker.node.as_ref().map(|node| format!("on {node}")),
        asker.interface.as_ref().map(|interface| format!("interface {interface}")),
        (!asker.annotations.is_empty()).then(|| flow(&serde_json::json!(asker.annotations))),
    ];
    for part in parts.into_iter().flatten() {
        if !who.ends_with('(') {
            who.push_str(", ");
        }
        who.push_str(&part);
    }
    match who.strip_suffix(" (") {
        Some(who) => who.to_owned(),
        None => who + ")",
    }
}

impl Asker {
    /// As the runtime and the API server would tell of it.
    fn of(&self, network: &str) -> lab::Asker {
        let mut asks = lab::Asker::container(self.container.as_deref().unwrap_or_default());
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
        // As the plugin reads what a runtime asks for.
        asks.requested = self.requested.iter().flat_map(|requested| &requested.0).map(IpAddr::to_canonical).collect();
        asks
    }
}

impl From<Metadata> for ipam::Metadata {
    fn from(Metadata { labels, annotations }: Metadata) -> Self {
        Self { labels, annotations }
    }
}
