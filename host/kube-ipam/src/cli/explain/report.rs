//! A rehearsed ADD, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::request::ExplainRequest;
use crate::cli::network::Opened;
use crate::cli::show::reason;
use crate::config::{Base, KubernetesConfig, Network};
use crate::verbs::{self, Rehearsal};
use cni::Fail;
use cni::failure::for_network;
use engine::{Asked, Call};
use ipam::shown::{first_of, one_line};
use ipam::{Allocation, Assignment, Claim, PodName, PolicyName, Proposal, Verdict};
use store::StoreConfig;

/// How many proposals of a verdict are told.
const PROPOSALS_TOLD: usize = 4;

/// What an ADD would come to, and by which steps.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    network: String,
    file: String,
    store: String,
    domain: String,
    node: String,
    interface: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<PodName>,
    /// Where the pod's name is from.
    asked_by: String,
    /// The annotations that the policy is told.
    annotations: BTreeMap<String, String>,
    annotations_from: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requested: Vec<String>,
    /// What the pod holds now.
    held: Vec<Allocation>,
    /// What an older container of the pod holds, which gives way to the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyName>,
    decisions: Vec<ExplainedDecision>,
    outcome: ExplainedOutcome,
}

/// One run of the policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedDecision {
    asked: Vec<Asked>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proposals: Vec<Proposal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ExplainedOutcome {
    /// The ADD would claim this.
    Claims(Vec<Assignment>),
    /// The ADD would answer this.
    Fails { code: u32, message: String, hint: String },
}

impl Explanation {
    pub(super) fn new(
        opened: &Opened,
        base: &Base,
        asked: &ExplainRequest,
        pod: Option<&PodName>,
        held: Vec<Allocation>,
    ) -> Self {
        Self {
            network: base.network.clone(),
            file: opened.found.file.clone(),
            store: describe_store(&base.store),
            domain: base.domain.clone(),
            node: base.node.clone(),
            interface: asked.interface.clone(),
            pod: pod.cloned(),
            asked_by: asked.source.clone(),
            annotations: asked.annotations.clone().unwrap_or_default(),
            annotations_from: annotations_from(opened, asked),
            requested: asked.addresses.clone(),
            held,
            previous: None,
            policy: None,
            decisions: Vec::new(),
            outcome: ExplainedOutcome::Claims(Vec::new()),
        }
    }

    pub(super) fn learn(&mut self, rehearsal: Rehearsal, outcome: Result<Claim, verbs::Error>) {
        let Rehearsal { metadata, previous, policy, calls } = rehearsal;
        if !metadata.annotations().is_empty() {
            self.annotations = metadata.annotations().clone();
        }
        if let Some(pod) = metadata.pod {
            self.pod = Some(pod.name);
        }
        (self.previous, self.policy) = (previous, policy);
        self.decisions = calls.into_iter().map(ExplainedDecision::of).collect();
        self.outcome = match outcome {
            Ok(claim) => {
                self.policy = claim.policy.or(self.policy.take());
                ExplainedOutcome::Claims(claim.addresses)
            }
            Err(error) => ExplainedOutcome::Fails {
                code: error.code(),
                message: error.message(),
                hint: for_network(&error.hint().unwrap_or_default(), &self.network),
            },
        };
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.outcome, ExplainedOutcome::Fails { .. })
    }
}

fn describe_store(store: &StoreConfig) -> String {
    match store {
        StoreConfig::Embedded { dir } => format!("embedded, in {}", dir.display()),
        StoreConfig::Etcd(etcd) => format!("etcd {}, keys under {}", etcd.endpoints.join(", "), etcd.prefix),
    }
}

/// Who tells the annotations of the pod.
fn annotations_from(opened: &Opened, asked: &ExplainRequest) -> String {
    if asked.annotations.is_some() {
        return asked.source.clone();
    }
    match Network::kubernetes(&opened.netconf) {
        Ok(Some(KubernetesConfig { kubeconfig, .. })) => format!("the API server ({})", kubeconfig.display()),
        _ => "nobody: no API server is configured, and a runtime that passes them is not asked here (--annotation)"
            .to_owned(),
    }
}

impl ExplainedDecision {
    fn of(call: Call) -> Self {
        let Call { answer, lines, asked, took, .. } = call;
        let (mut proposals, mut refused, mut fault) = (Vec::new(), None, None);
        match answer {
            Ok(Verdict::Propose(proposed)) => proposals = proposed,
            Ok(Verdict::Refuse(refusal)) => refused = Some(format!("{}: {refusal}", refusal.kind())),
            Err(why) => fault = Some(why),
        }
        let log = lines.into_iter().map(|line| format!("{}: {}", line.level, line.text)).collect();
        Self { asked, log, proposals, refused, fault, milliseconds: took.as_secs_f64() * 1e3 }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        for Asked { question, answer } in &self.asked {
            lines.push(("it asked", format!("{question}: {answer}")));
        }
        for line in &self.log {
            lines.push(("it logged", line.clone()));
        }
        if !self.proposals.is_empty() {
            let proposals = first_of(&self.proposals, PROPOSALS_TOLD, "; or ", |proposal| listed(proposal));
            lines.push(("it proposed", proposals));
            lines.push(("verified", "every proposal is of the network's ranges, usable and complete".to_owned()));
        }
        lines.extend(self.refused.iter().map(|refused| ("it refused", refused.clone())));
        lines.extend(self.fault.iter().map(|fault| ("it failed", fault.clone())));
        lines
    }
}

/// Step by step, in the order of an ADD.
pub(super) fn rendered(explained: &Explanation) -> String {
    let mut lines = vec![
        ("network", format!("{} ({})", explained.network, explained.file)),
        ("store", format!("{}, domain {:?}", explained.store, explained.domain)),
        ("asks", requester(explained)),
    ];
    if explained.pod.is_some() {
        lines.push(("annotated", annotations(explained)));
    }
    if !explained.requested.is_empty() {
        lines.push(("requested", format!("{} ({})", explained.requested.join(", "), explained.asked_by)));
    }
    for held in &explained.held {
        let (address, why) = (held.address, reason(held));
        let policy = held.policy.as_ref().map(|policy| format!(", chosen by policy {policy}")).unwrap_or_default();
        let container = &held.attachment.container;
        lines.push(("holds", format!("{address} by container {container} since {:.0}{policy}: {why}", held.since)));
    }
    if let Some(previous) = &explained.previous {
        let container = &previous.attachment.container;
        lines.push(("replaces", format!("container {container} of the same pod, whose addresses it may take over")));
    }
    if let Some(policy) = &explained.policy {
        lines.push(("policy", format!("{policy} (sha256 {})", policy.sha256)));
    }
    for (nth, decision) in explained.decisions.iter().enumerate() {
        if nth > 0 {
            lines.push((
                "again",
                "somebody has what it proposed: the store is looked at and the policy asked once more".to_owned(),
            ));
        }
        lines.extend(decision.lines());
    }
    lines.extend(outcome(&explained.outcome));
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<12} {}", one_line(value))).collect();
    lines.join("\n")
}

fn requester(explained: &Explanation) -> String {
    let Explanation { pod, node, interface, asked_by, .. } = explained;
    let who = match pod {
        Some(PodName { uid: Some(uid), .. }) => {
            format!("pod {} (uid {uid})", pod.as_ref().map(ToString::to_string).unwrap_or_default())
        }
        Some(pod) => format!("pod {pod}"),
        None => "a container without a pod".to_owned(),
    };
    format!("a new container of {who} on node {node}, interface {interface} ({asked_by})")
}

fn annotations(explained: &Explanation) -> String {
    let ours: Vec<String> = explained
        .annotations
        .iter()
        .filter(|(name, _)| name.starts_with("kube-ipam"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let ours = if ours.is_empty() { "none of kube-ipam's".to_owned() } else { ours.join(", ") };
    format!("{ours}; from {}", explained.annotations_from)
}

fn outcome(outcome: &ExplainedOutcome) -> Vec<(&'static str, String)> {
    match outcome {
        ExplainedOutcome::Claims(addresses) => {
            let mut lines = Vec::new();
            for assignment in addresses {
                let why = match assignment.why {
                    Some(why) => why.to_string(),
                    None => "the first of the proposals that is free".to_owned(),
                };
                lines.push(("would claim", format!("{}: {why}", described(assignment))));
            }
            lines
        }
        ExplainedOutcome::Fails { code, message, hint } => {
            let mut lines = vec![("would fail", format!("code {code}: {message}"))];
            if !hint.is_empty() {
                lines.push(("hint", hint.clone()));
            }
            lines
        }
    }
}

fn listed(proposal: &[Assignment]) -> String {
    proposal.iter().map(described).collect::<Vec<_>>().join(" and ")
}

fn described(assignment: &Assignment) -> String {
    let Assignment { address, prefix_length, gateway, kind, hold, .. } = assignment;
    let mut text = format!("{address}/{prefix_length} ({kind:?}").to_lowercase();
    if let Some(gateway) = gateway {
        text.push_str(&format!(", gateway {gateway}"));
    }
    if let Some(hold) = hold {
        text.push_str(&format!(", on hold for {:?} for {} s afterwards", hold.identity, hold.seconds));
    }
    text + ")"
}
