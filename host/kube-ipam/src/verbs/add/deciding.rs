//! A decision, and what a site may want around it: a stand-in for a policy that is at fault, a shadow that is asked as
//! well, a record. Without any of these it is the policy's answer and nothing else.

use std::time::Duration;

use super::decide::decide;
use super::shadow::Shadow;
use crate::config::{OnFault, PolicyConfig, RecordConfig};
use crate::journal::{Pair, record, tally};
use crate::verbs::load::stand_in;
use crate::verbs::{Deadline, Error};
use engine::Policy;
use ipam::{Answer, Decision, PolicyName, Proposal, Request, Shadowed};
use limits::{RECORD_WAIT, SHADOW_SHARE};
use store::Look;

/// Whoever has a part in the decisions of one ADD.
pub struct Deciding<'a> {
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

impl<'a> Deciding<'a> {
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
        let decided = self.ask(&request, look).await;
        let policy = self.decider().0.name().clone();
        if self.config.is_watched() {
            self.watch(request, look, &decided, deadline).await;
        }
        Ok(Decided { proposals: decided?, policy })
    }

    async fn ask(&mut self, request: &Request, look: &mut Look) -> Result<Vec<Proposal>, Error> {
        let (policy, settings) = self.decider();
        match decide(policy, request, settings, look).await {
            Err(fault) if self.may_be_replaced() && fault.may_be_replaced() => {
                self.stand_in = Some(stand_in(self.config, &fault)?);
                let (policy, settings) = self.decider();
                decide(policy, request, settings, look).await
            }
            decided => decided,
        }
    }

    /// Who decides, with which settings. A policy that is at fault once does not get a second chance.
    fn decider(&self) -> (&Policy, &str) {
        let policy = self.stand_in.as_ref().unwrap_or(self.policy);
        let settings = if policy.name().instead_of.is_some() { "{}" } else { &self.config.settings };
        (policy, settings)
    }

    fn may_be_replaced(&self) -> bool {
        self.config.on_fault == OnFault::Default && self.decider().0.name().instead_of.is_none()
    }

    /// Nothing that goes wrong here is the pod's business.
    async fn watch(
        &mut self,
        request: Request,
        look: &mut Look,
        decided: &Result<Vec<Proposal>, Error>,
        deadline: &Deadline,
    ) {
        let Some(answer) = answer(decided) else { return };
        let shadow = match &mut self.shadow {
            Some(shadow) => Some(shadow.ask(&request, look, deadline).await),
            None => None,
        };
        let (policy, settings) = self.decider();
        if let Some(shadow) = &shadow {
            self.compare(&request, look, &answer, shadow, deadline);
        }
        let Some(config) = self.config.record.as_ref().filter(|config| config.sample.takes(&request.attachment)) else {
            return;
        };
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

    fn compare(&self, request: &Request, look: &Look, decided: &Answer, shadow: &Shadowed, deadline: &Deadline) {
        let name = &shadow.policy;
        match &shadow.answer {
            Answer::Fault(_) => tracing::warn!(shadow = %name, answer = %shadow.answer, %decided, "the shadow faulted"),
            answer if !answer.agrees_with(decided) => {
                tracing::info!(shadow = %name, %answer, %decided, "the shadow decided differently");
            }
            _ => {}
        }
        let policy = self.decider().0.name().clone();
        let pair = Pair { network: request.attachment.network.clone(), policy, shadow: name.clone() };
        let directory = &self.config.cache_dir;
        if let Err(error) = tally::count(directory, pair, (decided, &shadow.answer), look.at(), turn(deadline)) {
            tracing::warn!(directory = %directory.display(), %error, "the shadow's answer is not counted");
        }
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

/// The policy's answer; none, where it was kept from answering.
fn answer(decided: &Result<Vec<Proposal>, Error>) -> Option<Answer> {
    match decided {
        Ok(proposals) => Some(Answer::Proposals(proposals.clone())),
        Err(Error::Refused { refusal, .. }) => Some(Answer::Refusal(refusal.clone())),
        Err(fault) if fault.is_fault_of_policy() => Some(Answer::Fault(fault.to_string())),
        Err(_) => None,
    }
}
