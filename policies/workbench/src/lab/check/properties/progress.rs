//! What comes of races that a policy's proposals lose.

use std::net::IpAddr;

use super::answers::{dynamic, told};
use super::list;
use crate::lab::TrialRequester;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Finding, Trial, ill};
use ipam::{Kind, Proposal, Span};
use kube_ipam::verbs::Error;

/// How many attempts are lost in a row. Each brings more proposals than the one before.
const LOSSES: u32 = 5;

/// After a lost race the policy proposes something else, and pods that would all get an address one after the other get
/// one in a crowd.
pub(super) fn makes(bench: &Bench, scene: &Scene) -> Finding {
    let lost = losing_again(bench, scene)?;
    let crowded = crowd(bench, scene)?;
    Ok(lost || crowded)
}

/// Everything that is proposed is taken before it can be claimed, attempt after attempt.
fn losing_again(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    let (mut lost, mut all, mut brought): (Vec<IpAddr>, Vec<IpAddr>, usize) = Default::default();
    for attempt in 0..LOSSES {
        let proposed = trial.propose(&scene.requester, attempt, &lost);
        let Ok(proposals) = proposed.verdict else { return Ok(attempt > 0) };
        if !proposals.iter().any(|proposal| is_fresh(proposal, &all)) {
            let what = format!(
                "at attempt {attempt} it proposes again what it lost before, and nothing else: {}",
                told(&proposals)
            );
            return one_too_many(bench, scene, brought, what);
        }
        brought += proposals.len();
        lost = dynamic(&proposals).map(|one| one.address).collect();
        lost.sort();
        lost.dedup();
        // What the pod has already it cannot lose, and what is kept for it cannot be held by a bystander.
        lost.retain(|address| !proposed.previous.contains(address));
        lost.retain(|address| trial.world.hold(Span::single(*address), Kind::Dynamic).is_ok());
        if lost.is_empty() {
            return Ok(attempt > 0);
        }
        all.extend(&lost);
    }
    Ok(true)
}

/// Whether a proposal has no dynamic address that was lost before.
fn is_fresh(proposal: &Proposal, lost: &[IpAddr]) -> bool {
    proposal.iter().all(|one| one.kind == Kind::Fixed || !lost.contains(&one.address))
}

/// Break the property with as many twins at once as it takes for one of them to lose all that was proposed before the
/// policy repeated itself. A case cannot say "these addresses are taken meanwhile", but it can let pods contend. Where
/// there is no room for all the twins, one of them would be refused by right: that is no counterexample, and a policy
/// that repeats itself in a full range is found by the properties of full ranges.
fn one_too_many(bench: &Bench, scene: &Scene, brought: usize, what: String) -> Finding {
    let twins: Vec<TrialRequester> = (0..=brought).map(|nth| scene.twin(nth)).collect();
    let orderly = Trial::of(bench, scene)?;
    if twins.iter().any(|twin| orderly.allocate(twin).outcome.is_err()) {
        return Ok(true);
    }
    let trial = Trial::of(bench, scene)?;
    trial.contend(&twins);
    Err(trial.broken(what, Expect::all_served(scene)))
}

/// Pods that differ in their names alone ask at once: as many as get addresses when they come one after the other.
fn crowd(bench: &Bench, scene: &Scene) -> Finding {
    let orderly = Trial::of(bench, scene)?;
    let mut crowd = Vec::new();
    for nth in 0..=scene.rivals {
        let kin = scene.kin(nth);
        let outcome = orderly.allocate(&kin).outcome;
        if !outcome.is_ok_and(|claim| claim.addresses.iter().all(|one| one.kind == Kind::Dynamic)) {
            break;
        }
        crowd.push(kin);
    }
    let trial = Trial::of(bench, scene)?;
    let allocations = trial.contend(&crowd);
    let (mut got, mut unserved) = (Vec::new(), None);
    for (kin, allocation) in crowd.iter().zip(&allocations) {
        match &allocation.outcome {
            Ok(claim) => got.extend(claim.addresses()),
            // A fault is another property's to tell, and a denial may follow from a rule.
            Err(error) if ill(error).is_some() || is_denied(error) => {}
            Err(error) if unserved.is_none() => unserved = Some(format!("{}: {error}", kin.attachment.container)),
            Err(_) => {}
        }
    }
    let Some(unserved) = unserved else { return Ok(crowd.len() > 1) };
    let what = format!(
        "of {} pods that could all have an address, asking at the same time, only some get one ({}); {unserved}",
        crowd.len(),
        list(got)
    );
    Err(trial.broken(what, Expect::all_served(scene)))
}

fn is_denied(error: &Error) -> bool {
    super::refusal(error).is_some_and(|refusal| refusal.kind() == "denied")
}
