//! A decision, and what a site may want around it.
//!
//! ```text
//!  the policy ── is at fault, and the site wants it so ──► the built-in policy, in its stead
//!      │                                                            │
//!      └───────────────► proposals, or a refusal ◄──────────────────┘
//!                                 │
//!          and beside it: a shadow is asked the same, the journal notes both
//! ```
//!
//! Without any of these it is the policy's verdict and nothing else. Neither a shadow nor the journal can change what was
//! decided, and nothing that goes wrong there is the pod's business: it is a line in the log.

use std::time::Duration;

use super::shadow::Shadow;
use crate::config::{OnFault, PolicyConfig, RecordConfig};
use crate::journal::{Pair, record, tally};
use crate::verbs::load::stand_in;
use crate::verbs::{Deadline, Error, FAULT, OUTCOME};
use engine::{Answers, Policy};
use ipam::{Decision, PolicyName, Proposal, Question, Request, Shadowed, Snapshot, Verdict, VerdictOrFault};
use limits::{RECORD_WAIT, SHADOW_SHARE};
use store::{Look, StoreError};

/// Whoever has a part in the decisions of one ADD.
pub struct Deciders<'a> {
    config: &'a PolicyConfig,
    policy: &'a Policy,
    stand_in: Option<Policy>,
    shadow: Option<Shadow<'a>>,
}

/// What was decided, and by whom.
pub(crate) struct Decided {
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) policy: PolicyName,
}

/// The store, asked for what a snapshot does not know, in the view that the snapshot is of.
struct StoreAnswers<'a>(&'a mut Look);

impl Answers for StoreAnswers<'_> {
    type Error = StoreError;

    fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    async fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        self.0.answer(question).await
    }
}

/// The proposals of one policy, each verified against the ranges; a refusal is an error.
pub async fn propose(
    policy: &Policy,
    request: &Request,
    settings: &str,
    look: &mut Look,
) -> Result<Vec<Proposal>, Error> {
    let mut verdict = policy.decide(request, settings, &mut StoreAnswers(look)).await?;
    // Marks of full blocks make a search fast, and one may have outlived its truth: no pod is refused on their word.
    if matches!(verdict, Verdict::Refuse(_)) && look.doubt_marks() {
        verdict = policy.decide(request, settings, &mut StoreAnswers(look)).await?;
    }
    match verdict {
        Verdict::Propose(proposals) => Ok(proposals),
        Verdict::Refuse(refusal) => Err(Error::Refused { refusal }),
    }
}

impl<'a> Deciders<'a> {
    /// With a policy that was loaded for this configuration.
    pub fn by(policy: &'a Policy, config: &'a PolicyConfig) -> Self {
        let shadow = config.shadow.as_ref().map(|shadow| Shadow::new(shadow, config));
        Self { config, policy, stand_in: None, shadow }
    }

    /// Proposals, each verified against the ranges. The look is as good for a claim afterwards as after the policy alone.
    pub(crate) async fn decide(
        &mut self,
        request: Request,
        look: &mut Look,
        deadline: &Deadline,
    ) -> Result<Decided, Error> {
        let attempt = request.attempt;
        let decided = self.propose(&request, look).await;
        let policy = self.decider().0.name().clone();
        tracing::info!(target: OUTCOME, %policy, attempt, verdict = word(&decided));
        if self.config.is_watched() {
            self.watch(request, look, &decided, deadline).await;
        }
        Ok(Decided { proposals: decided?, policy })
    }

    async fn propose(&mut self, request: &Request, look: &mut Look) -> Result<Vec<Proposal>, Error> {
        let (policy, settings) = self.decider();
        match propose(policy, request, settings, look).await {
            Err(fault) if self.may_be_replaced() && fault.may_be_replaced() => {
                self.stand_in = Some(stand_in(self.config, &fault)?);
                let (policy, settings) = self.decider();
                propose(policy, request, settings, look).await
            }
            decided => decided,
        }
    }

    /// Who decides, with which settings. A policy that is at fault once does not get a second chance.
    fn decider(&self) -> (&Policy, &str) {
        let policy = self.stand_in.as_ref().unwrap_or(self.policy);
        // The settings are the replaced policy's, and mean nothing to the built-in one.
        let settings = if policy.name().instead_of.is_some() { "{}" } else { &self.config.settings };
        (policy, settings)
    }

    fn may_be_replaced(&self) -> bool {
        self.config.on_fault == OnFault::Default && self.decider().0.name().instead_of.is_none()
    }

    async fn watch(
        &mut self,
        request: Request,
        look: &mut Look,
        decided: &Result<Vec<Proposal>, Error>,
        deadline: &Deadline,
    ) {
        let Some(answer) = verdict_or_fault(decided) else { return };
        let shadow = match &mut self.shadow {
            Some(shadow) => Some(shadow.ask(&request, look, deadline).await),
            None => None,
        };
        if let Some(shadow) = &shadow {
            self.compare(&request, look, &answer, shadow, deadline);
        }
        let Some(config) = &self.config.record else { return };
        if !config.sample.takes(&request.attachment) {
            return;
        }
        let (policy, settings) = self.decider();
        let decision = Decision {
            at: look.at(),
            policy: policy.name().clone(),
            settings: serde_json::from_str(settings).unwrap_or_default(),
            request,
            snapshot: look.snapshot.clone(),
            answer,
            shadow,
            left_out: Vec::new(),
        };
        write(config, decision, turn(deadline));
    }

    fn compare(
        &self,
        request: &Request,
        look: &Look,
        decided: &VerdictOrFault,
        shadow: &Shadowed,
        deadline: &Deadline,
    ) {
        let (name, answer) = (&shadow.policy, &shadow.answer);
        if let VerdictOrFault::Fault(_) = answer {
            tracing::warn!(shadow = %name, %answer, %decided, "the shadow faulted");
        } else if !answer.agrees_with(decided) {
            tracing::info!(shadow = %name, %answer, %decided, "the shadow decided differently");
        }
        let policy = self.decider().0.name().clone();
        let pair = Pair { network: request.attachment.network.clone(), policy, shadow: name.clone() };
        let directory = &self.config.cache_dir;
        if let Err(error) = tally::count(directory, pair, (decided, answer), look.at(), turn(deadline)) {
            tracing::warn!(directory = %directory.display(), %error, "the shadow's answer is not counted");
        }
    }
}

/// What became of a decision, in a word for the log and the counts; none where nobody could decide.
fn word(decided: &Result<Vec<Proposal>, Error>) -> Option<&'static str> {
    match decided {
        Ok(_) => Some("proposed"),
        Err(Error::Refused { refusal }) => Some(refusal.kind()),
        Err(fault) if fault.is_fault_of_policy() => Some(FAULT),
        Err(_) => None,
    }
}

/// How long to wait for a turn to write: most of the time that is left is the pod's.
fn turn(deadline: &Deadline) -> Duration {
    RECORD_WAIT.min(deadline.left() / SHADOW_SHARE)
}

fn write(config: &RecordConfig, decision: Decision, wait: Duration) {
    if let Err(error) = record::append(config, decision, wait) {
        tracing::warn!(file = %config.file.display(), %error, "the decision is not recorded");
    }
}

/// What the policy said or did; none where it was kept from either, as by a store that did not answer.
fn verdict_or_fault(decided: &Result<Vec<Proposal>, Error>) -> Option<VerdictOrFault> {
    match decided {
        Ok(proposals) => Some(VerdictOrFault::Proposals(proposals.clone())),
        Err(Error::Refused { refusal, .. }) => Some(VerdictOrFault::Refusal(refusal.clone())),
        Err(fault) if fault.is_fault_of_policy() => Some(VerdictOrFault::Fault(fault.to_string())),
        Err(_) => None,
    }
}
