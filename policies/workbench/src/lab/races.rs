//! Several requesters at once, and what one of them would be told after it lost.

use std::net::IpAddr;

use super::TrialRequester;
use super::world::{NETWORK, PATIENCE, TrialOutcome, World, at_once};
use engine::Call;
use ipam::{Claim, Proposal};
use kube_ipam::verbs::add::Attempt;
use kube_ipam::verbs::add::decide::{Deciders, propose};
use kube_ipam::verbs::add::retry::{Races, contested};
use kube_ipam::verbs::{self, Deadline};
use store::Look;

/// What the policy would accept, where nothing is claimed.
#[derive(Debug)]
pub struct Proposed {
    /// Proposals, or why there are none.
    pub verdict: Result<Vec<Proposal>, verbs::Error>,
    /// What an older attachment of the pod holds: proposing it starts no race.
    pub previous: Vec<IpAddr>,
    /// The run of the policy that it took; none where the policy asked without end.
    pub calls: Vec<Call>,
}

/// One of several ADDs that meet.
struct RacingAdd<'a> {
    requester: &'a TrialRequester,
    deciders: Deciders<'a>,
    races: Races,
    /// What it proposed and lost in the round before.
    lost: Vec<Proposal>,
    calls: Vec<Call>,
    outcome: Option<Result<Claim, verbs::Error>>,
}

impl World {
    /// Let ADDs meet, in rounds: all of them look before the first one commits, and those that lose the race look again
    /// when all the others have committed or lost theirs.
    pub fn contend(&self, requesters: &[TrialRequester]) -> Vec<TrialOutcome> {
        let mut racing: Vec<RacingAdd<'_>> = requesters.iter().map(|one| self.racing(one)).collect();
        for attempt in 0..limits::ATTEMPTS {
            let mut pending: Vec<_> = racing.iter_mut().filter(|one| one.outcome.is_none()).collect();
            // Two loops, not one: a requester that looked after another had committed would see the address taken, and
            // there would be no race. This is the worst that can happen in a cluster, and it happens every time.
            let mut looks = Vec::new();
            for one in &pending {
                looks.push(self.look_at(one.requester, &contested(&one.lost)));
            }
            for (one, look) in pending.iter_mut().zip(looks) {
                self.attempt(one, look, attempt);
            }
        }
        racing.into_iter().map(|one| self.end(one)).collect()
    }

    /// What the policy tells a requester that has lost `attempt` times, `contested` being what it wanted. Nothing is
    /// claimed.
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

    fn attempt(&self, one: &mut RacingAdd<'_>, look: Result<Look, verbs::Error>, attempt: u32) {
        let deadline = Deadline::after(PATIENCE);
        let RacingAdd { requester, deciders, races, lost, .. } = one;
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
        one.calls.extend(self.policy.take_calls());
        match attempt {
            Ok(Attempt::Won(claim)) => one.outcome = Some(Ok(claim)),
            Ok(Attempt::Lost(proposals)) => one.lost = proposals,
            Err(error) => one.outcome = Some(Err(error)),
        }
    }

    fn racing<'a>(&'a self, requester: &'a TrialRequester) -> RacingAdd<'a> {
        let deciders = Deciders::by(&self.policy, &self.network.policy);
        RacingAdd { requester, deciders, races: Races::default(), lost: Vec::new(), calls: Vec::new(), outcome: None }
    }

    /// A requester that is left after the last round looks once more, as an ADD does, to say who won instead.
    fn end(&self, one: RacingAdd<'_>) -> TrialOutcome {
        let RacingAdd { requester, mut races, lost, calls, outcome, .. } = one;
        let outcome = outcome.unwrap_or_else(|| {
            let look = self.look_at(requester, &contested(&lost))?;
            races.lost(lost, &look);
            Err(races.given_up(self.policy.name(), NETWORK))
        });
        TrialOutcome { outcome, calls }
    }
}
