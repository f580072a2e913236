//! How much of what a call may spend it does spend.

use crate::lab::TrialRequester;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Finding, Ill, Trial, ill};
use engine::Call;
use limits::Thousands;

/// A call takes at most half of the fuel and of the host calls, also at a late attempt, which brings more proposals.
pub(super) fn is_kept(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    for (requester, attempt) in scene.everybody().iter().flat_map(|requester| [(requester, 0), (requester, 3)]) {
        let proposed = trial.propose(requester, attempt, &[]);
        let overspent = match proposed.verdict.as_ref().err().and_then(ill) {
            Some(Ill::Overspent(what)) => Some(what),
            Some(Ill::Faulted(_)) => None,
            None => proposed.calls.iter().find_map(|call| expensive(bench, call)),
        };
        if let Some(what) = overspent {
            return Err(broken(&trial, requester, what, bench));
        }
    }
    Ok(true)
}

fn broken(
    trial: &Trial<'_>,
    requester: &TrialRequester,
    what: String,
    bench: &Bench,
) -> Box<crate::lab::check::trial::Broken> {
    trial.broken_asking(requester, what, Expect::within(bench.policy.limits().fuel / 2))
}

/// What a call takes too much of.
fn expensive(bench: &Bench, call: &Call) -> Option<String> {
    let limits = bench.policy.limits();
    for (spent, limit, unit) in
        [(call.spent.fuel, limits.fuel, "units of fuel"), (call.spent.host_calls, limits.host_calls, "host calls")]
    {
        if spent > limit / 2 {
            let (spent, limit) = (Thousands(spent), Thousands(limit));
            return Some(format!("one call takes {spent} {unit}, more than half of the limit of {limit}"));
        }
    }
    None
}
