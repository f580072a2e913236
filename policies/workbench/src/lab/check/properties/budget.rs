//! What a call costs.

use crate::lab::TrialRequester;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Finding, Ill, Trial, ill};
use engine::Call;
use limits::Thousands;

/// At most half of the fuel and of the host calls, also at a late attempt.
pub(super) fn is_kept(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    for (requester, attempt) in scene.everybody().iter().flat_map(|requester| [(requester, 0), (requester, 3)]) {
        let proposed = trial.propose(requester, attempt, &[]);
        let overspent = match proposed.verdict.as_ref().err().and_then(ill) {
            Some(Ill::Overspent(what)) => Some(what),
            Some(Ill::Faulted(_)) => None,
            None => proposed.calls.iter().find_map(|call| dear(bench, call)),
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

fn dear(bench: &Bench, call: &Call) -> Option<String> {
    let limits = bench.policy.limits();
    let more = |spent: u64, limit: u64, unit: &str| {
        let told = || {
            format!("one call takes {} {unit}, more than half of the limit of {}", Thousands(spent), Thousands(limit))
        };
        (spent > limit / 2).then(told)
    };
    more(call.spent.fuel, limits.fuel, "units of fuel")
        .or_else(|| more(call.spent.host_calls, limits.host_calls, "calls of the host"))
}
