//! Several who ask at once, and what somebody would be answered who lost.

use std::net::IpAddr;

use super::world::{NETWORK, PATIENCE, TrialOutcome, TrialRequester, World, at_once};
use engine::Call;
use ipam::{Claim, Proposal};
use kube_ipam::verbs::add::Attempt;
use kube_ipam::verbs::add::decide::{Deciders, propose};
use kube_ipam::verbs::add::retry::{Races, contested};
use kube_ipam::verbs::{self, Deadline};
use store::Look;

/// What the policy would accept.
#[derive(Debug)]
pub struct Proposed {
    /// Proposals, or why there are none.
    pub verdict: Result<Vec<Proposal>, verbs::Error>,
    /// What an older attachment of the pod holds: proposing it is no race.
    pub previous: Vec<IpAddr>,
    /// The run of the policy it took; none where it asked without end.
    pub calls: Vec<Call>,
}

/// One of several ADDs that meet.
struct RacingAdd<'a> {
    requester: &'a TrialRequester,
    deciders: Deciders<'a>,
    races: Races,
    lost: Vec<Proposal>,
    calls: Vec<Call>,
    outcome: Option<Result<Claim, verbs::Error>>,
}

impl World {
    /// ADDs that meet, in rounds: all of them look before the first one commits, and whoever loses the race looks again
    /// when all the others have committed or lost theirs.
    pub fn contend(&self, requesters: &[TrialRequester]) -> Vec<TrialOutcome> {
        let mut adds: Vec<RacingAdd<'_>> = requesters.iter().map(|requester| self.racing_add(requester)).collect();
        for attempt in 0..limits::ATTEMPTS {
            let pending: Vec<_> = adds.iter_mut().filter(|one| one.outcome.is_none()).collect();
            let looks: Vec<_> = pending.iter().map(|one| self.look_at(one.requester, &contested(&one.lost))).collect();
            for (add, look) in pending.into_iter().zip(looks) {
                self.attempt(add, look, attempt);
            }
        }
        adds.into_iter().map(|one| self.end(one)).collect()
    }

    /// What the policy answers a requester whose proposals were lost so often, `contested` being what they wanted. Nothing
    /// is claimed.
    pub fn propose(&self, requester: &TrialRequester, attempt: u32, contested: &[IpAddr]) -> Proposed {
        let (verdict, previous) = match self.look_at(requester, contested) {
            Err(error) => (Err(error), Vec::new()),
            Ok(mut look) => {
                let verdict = self.with_context(requester, |context| {
                    let request = context.request(&mut look, attempt);
                    at_once(propose(&self.policy, &request, self.settings(), &mut look))
                });
                (verdict, look.previous.iter().flat_map(Claim::addresses).collect())
            }
        };
        Proposed { verdict, previous, calls: self.policy.take_calls() }
    }

    fn attempt(&self, add: &mut RacingAdd<'_>, look: Result<Look, verbs::Error>, attempt: u32) {
        let deadline = Deadline::after(PATIENCE);
        let RacingAdd { requester, deciders, races, lost, .. } = add;
        let attempt = look.and_then(|look| {
            if attempt > 0 {
                races.lost(std::mem::take(lost), &look);
            }
            match look.claim {
                Some(claim) => Ok(Attempt::Won(claim)),
                None => self.with_context(requester, |context| {
                    at_once(context.attempt(deciders, &self.store, look, &deadline, attempt))
                }),
            }
        });
        add.calls.extend(self.policy.take_calls());
        match attempt {
            Ok(Attempt::Won(claim)) => add.outcome = Some(Ok(claim)),
            Ok(Attempt::Lost(proposals)) => add.lost = proposals,
            Err(error) => add.outcome = Some(Err(error)),
        }
    }

    fn racing_add<'a>(&'a self, requester: &'a TrialRequester) -> RacingAdd<'a> {
        let deciders = Deciders::by(&self.policy, &self.network.policy);
        RacingAdd { requester, deciders, races: Races::default(), lost: Vec::new(), calls: Vec::new(), outcome: None }
    }

    /// Whoever is left after the last round looks once more, as an ADD does, to say why.
    fn end(&self, add: RacingAdd<'_>) -> TrialOutcome {
        let RacingAdd { requester, mut races, lost, calls, outcome, .. } = add;
        let outcome = outcome.unwrap_or_else(|| {
            let look = self.look_at(requester, &contested(&lost))?;
            races.lost(lost, &look);
            Err(races.given_up(self.policy.name(), NETWORK))
        });
        TrialOutcome { outcome, calls }
    }
}
