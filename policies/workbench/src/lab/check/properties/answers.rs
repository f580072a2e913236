//! What is wrong with an answer by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{list, quoted, refusal};
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Broken, Finding, Ill, Trial, ill};
use ipam::{Assignment, Kind, Proposal};
use store::Hold;

/// The policy never faults, whatever requester it is asked for.
pub(super) fn are_usable(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    for requester in scene.everybody() {
        if let Err(error) = trial.propose(&requester, 0, &[]).verdict
            && let Some(Ill::Faulted(what)) = ill(&error)
        {
            return Err(trial.broken_asking(&requester, what, Expect::no_fault(scene, &requester)));
        }
    }
    Ok(true)
}

/// A dynamic proposal names no address that another attachment holds, or that is kept for another identity.
pub(super) fn are_free(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    let proposed = trial.propose(&scene.requester, 0, &[]);
    let Ok(proposals) = &proposed.verdict else { return Ok(false) };
    let taken = Taken::of(&trial)?;
    // A fixed one may: it is for the host to say who holds it, and to take it from a pod that is gone.
    for assignment in dynamic(proposals).filter(|one| !proposed.previous.contains(&one.address)) {
        if let Some(why) = taken.why_not(assignment) {
            let what = format!("it proposes {} as dynamic, but {why}", assignment.address);
            return Err(trial.broken_asking(&scene.requester, what, Expect::none_of(&[assignment.address])));
        }
    }
    Ok(!taken.is_nothing())
}

/// A refusal has a text.
pub(super) fn say_why(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    let proposed = trial.propose(&scene.requester, 0, &[]);
    let Some(refusal) = proposed.verdict.as_ref().err().and_then(refusal) else { return Ok(false) };
    if refusal.to_string().trim().is_empty() {
        let kind = refusal.kind();
        let what = format!("it refuses as {kind} and gives no reason");
        return Err(trial.broken_asking(&scene.requester, what, Expect::refused(kind, Some(""))));
    }
    Ok(true)
}

/// The addresses of a world that are in use or kept.
pub(super) struct Taken {
    held: BTreeSet<IpAddr>,
    kept: BTreeMap<IpAddr, Hold>,
}

impl Taken {
    pub(super) fn of(trial: &Trial<'_>) -> Result<Self, Box<Broken>> {
        let (held, kept) = (trial.world.held()?, trial.world.kept()?);
        Ok(Self {
            held: held.into_iter().map(|held| held.address).collect(),
            kept: kept.into_iter().map(|kept| (kept.address, kept)).collect(),
        })
    }

    pub(super) fn is_free(&self, address: IpAddr) -> bool {
        !self.held.contains(&address) && !self.kept.contains_key(&address)
    }

    fn is_nothing(&self) -> bool {
        self.held.is_empty() && self.kept.is_empty()
    }

    fn why_not(&self, assignment: &Assignment) -> Option<String> {
        if self.held.contains(&assignment.address) {
            return Some("another attachment holds it".to_owned());
        }
        let kept = self.kept.get(&assignment.address)?;
        let own = assignment.hold.as_ref().map(|hold| &hold.identity);
        match &kept.identity {
            None => Some("it is cooling down".to_owned()),
            Some(identity) if Some(identity) == own => None,
            Some(identity) => Some(format!("it is kept for {identity:?}")),
        }
    }
}

/// The dynamic assignments among proposals, in whose place any other address would do.
pub(super) fn dynamic(proposals: &[Proposal]) -> impl Iterator<Item = &Assignment> {
    proposals.iter().flatten().filter(|assignment| assignment.kind == Kind::Dynamic)
}

/// The first proposals in a sentence: `10.0.0.2 + fd00::2, 10.0.0.3 + fd00::3`.
pub(super) fn told(proposals: &[Proposal]) -> String {
    let mut told = Vec::new();
    for proposal in proposals.iter().take(4) {
        told.push(list(proposal.iter().map(|assignment| assignment.address)).replace(", ", " + "));
    }
    list(told)
}

/// Proposals, or why there are none, in a sentence.
pub(super) fn outcome(verdict: &Result<Vec<Proposal>, kube_ipam::verbs::Error>) -> String {
    match verdict {
        Ok(proposals) => told(proposals),
        Err(error) => refusal(error).map_or_else(|| error.to_string(), quoted),
    }
}
