//! Races.

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

/// Attempts somebody may lose in a row here; each brings more proposals than the one before.
const LOSSES: u32 = 5;

/// Whoever loses proposes something else, and whoever could have an address one after the other gets one in a crowd.
pub(super) fn makes(bench: &Bench, scene: &Scene) -> Finding {
    let lost = losing_again(bench, scene)?;
    let crowded = crowd(bench, scene)?;
    Ok(lost || crowded)
}

/// Everything that is proposed is snatched away.
fn losing_again(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    let (mut lost, mut all, mut brought): (Vec<IpAddr>, Vec<IpAddr>, usize) = Default::default();
    for attempt in 0..LOSSES {
        let proposed = trial.propose(&scene.requester, attempt, &lost);
        let Ok(proposals) = proposed.verdict else { return Ok(attempt > 0) };
        let fresh =
            |proposal: &Proposal| proposal.iter().all(|one| one.kind == Kind::Fixed || !all.contains(&one.address));
        if !proposals.iter().any(fresh) {
            let what = format!(
                "at attempt {attempt} it proposes again what it lost before, and nothing else: {}",
                told(&proposals)
            );
            return one_too_many(bench, scene, brought, what);
        }
        brought += proposals.len();
        let wanted = dynamic(&proposals).map(|one| one.address).filter(|one| !proposed.previous.contains(one));
        let mut wanted: Vec<IpAddr> = wanted.collect();
        wanted.sort();
        wanted.dedup();
        // What is kept for the requester nobody can snatch.
        wanted.retain(|address| trial.world.hold(Span::single(*address), Kind::Dynamic).is_ok());
        lost = wanted;
        if lost.is_empty() {
            return Ok(attempt > 0);
        }
        all.extend(&lost);
    }
    Ok(true)
}

/// So many who ask at the same time that one of them loses all that was brought before it insisted. Where there is no
/// room for all of them, insisting is in vain, and what it hides is found where the ranges are full.
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

/// Pods that only differ in their names; as many as could have addresses if they came one after the other.
fn crowd(bench: &Bench, scene: &Scene) -> Finding {
    let orderly = Trial::of(bench, scene)?;
    let served = |kin: &TrialRequester| {
        let outcome = orderly.allocate(kin).outcome;
        outcome.is_ok_and(|claim| claim.addresses.iter().all(|one| one.kind == Kind::Dynamic))
    };
    let kin: Vec<TrialRequester> = (0..=scene.rivals).map(|nth| scene.kin(nth)).take_while(served).collect();
    let trial = Trial::of(bench, scene)?;
    let allocations = trial.contend(&kin);
    let unserved = kin.iter().zip(&allocations).find_map(|(kin, allocation)| {
        let error = allocation.outcome.as_ref().err()?;
        (ill(error).is_none() && !is_denied(error)).then(|| format!("{}: {error}", kin.attachment.container))
    });
    match unserved {
        None => Ok(kin.len() > 1),
        Some(one) => {
            let got = allocations.iter().filter_map(|allocation| allocation.outcome.as_ref().ok());
            let got = list(got.flat_map(|claim| claim.addresses().collect::<Vec<_>>()));
            let what = format!(
                "of {} pods that could all have an address, asking at the same time, only some get one ({got}); {one}",
                kin.len()
            );
            Err(trial.broken(what, Expect::all_served(scene)))
        }
    }
}

fn is_denied(error: &Error) -> bool {
    super::refusal(error).is_some_and(|refusal| refusal.kind() == "denied")
}
