//! Several who ask at once, and what somebody would be answered who lost.

use std::net::IpAddr;

use super::world::{Asker, NETWORK, PATIENCE, TrialOutcome, World, at_once};
use engine::Call;
use ipam::{Claim, Proposal};
use kube_ipam::verbs::add::Attempt;
use kube_ipam::verbs::add::decide::{contested, decide};
use kube_ipam::verbs::add::deciding::Deciding;
use kube_ipam::verbs::add::retry::Races;
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
struct Contender<'a> {
    asker: &'a Asker,
    deciding: Deciding<'a>,
    races: Races,
    lost: Vec<Proposal>,
    calls: Vec<Call>,
    outcome: Option<Result<Claim, verbs::Error>>,
}

impl World {
    /// ADDs that meet, in rounds: all of them look before the first one commits, and whoever loses the race looks again
    /// when all the others have committed or lost theirs.
    pub fn contend(&self, askers: &[Asker]) -> Vec<TrialOutcome> {
        let mut contenders: Vec<Contender<'_>> = askers.iter().map(|asker| self.contender(asker)).collect();
        for attempt in 0..limits::ATTEMPTS {
            let pending: Vec<_> = contenders.iter_mut().filter(|one| one.outcome.is_none()).collect();
            let looks: Vec<_> = pending.iter().map(|one| self.look_at(one.asker, &contested(&one.lost))).collect();
            pending.into_iter().zip(looks).for_each(|(one, look)| self.attempt(one, look, attempt));
        }
        contenders.into_iter().map(|one| self.end(one)).collect()
    }

    /// What the policy answers an asker whose proposals were lost so often, `contested` being what they wanted. Nothing
    /// is claimed.
    pub fn propose(&self, asker: &Asker, attempt: u32, contested: &[IpAddr]) -> Proposed {
        let (verdict, previous) = match self.look_at(asker, contested) {
            Err(error) => (Err(error), Vec::new()),
            Ok(mut look) => {
                let verdict = self.with_context(asker, |context| {
                    let request = context.request(&mut look, attempt);
                    at_once(decide(&self.policy, &request, self.settings(), &mut look))
                });
                (verdict, look.previous.iter().flat_map(Claim::addresses).collect())
            }
        };
        Proposed { verdict, previous, calls: self.policy.take_calls() }
    }

    fn attempt(&self, contender: &mut Contender<'_>, look: Result<Look, verbs::Error>, attempt: u32) {
        let deadline = Deadline::after(PATIENCE);
        let Contender { asker, deciding, races, lost, .. } = contender;
        let attempt = look.and_then(|look| {
            if attempt > 0 {
                races.lost(std::mem::take(lost), &look);
            }
            match look.claim {
                Some(claim) => Ok(Attempt::Won(claim)),
                None => self.with_context(asker, |context| {
                    at_once(context.attempt(deciding, &self.store, look, &deadline, attempt))
                }),
            }
        });
        contender.calls.extend(self.policy.take_calls());
        match attempt {
            Ok(Attempt::Won(claim)) => contender.outcome = Some(Ok(claim)),
            Ok(Attempt::Lost(proposals)) => contender.lost = proposals,
            Err(error) => contender.outcome = Some(Err(error)),
        }
    }

    fn contender<'a>(&'a self, asker: &'a Asker) -> Contender<'a> {
        let deciding = Deciding::by(&self.policy, &self.network.policy);
        Contender { asker, deciding, races: Races::default(), lost: Vec::new(), calls: Vec::new(), outcome: None }
    }

    /// Whoever is left after the last round looks once more, as an ADD does, to say why.
    fn end(&self, contender: Contender<'_>) -> TrialOutcome {
        let Contender { asker, mut races, lost, calls, outcome, .. } = contender;
        let outcome = outcome.unwrap_or_else(|| {
            let look = self.look_at(asker, &contested(&lost))?;
            races.lost(lost, &look);
            Err(races.given_up(self.policy.name(), NETWORK))
        });
        TrialOutcome { outcome, calls }
    }
}
