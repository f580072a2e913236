//! When the ranges are full.
//!
//! Which addresses a policy may use is its own affair. So it is watched: what it gave to a pod when there was room, it can
//! give to a pod of the same kind when that is all there is. Rules of a site may deny that; "exhausted" says otherwise.

use std::net::IpAddr;
use std::time::Duration;

use super::answers::Taken;
use super::{list, quoted, refusal};
use crate::lab::TrialRequester;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::{Scene, spans};
use crate::lab::check::trial::{Broken, Finding, Trial};
use ipam::{Claim, Kind, Range, Refusal, Span};
use kube_ipam::verbs::Error;

/// Of a range with fewer addresses for pods, one that is never given tells nothing.
const TELLING: usize = 6;

/// How many of the addresses given are tried alone.
const TRIED_ALONE: usize = 3;

/// Longer than anything is kept here, unless somebody keeps it for good.
const LONG: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// It says "exhausted" when, and only when, all that it gives is held.
pub(super) fn exhaustion_is_exact(bench: &Bench, scene: &Scene) -> Finding {
    if !scene.can_be_filled() {
        return Ok(false);
    }
    let trial = Trial::holding(bench, scene, Vec::new())?;
    let Some(filled) = Filled::by_kin(&trial, scene) else { return Ok(false) };
    match &filled.refused {
        Ok(Refusal::Exhausted(_)) => no_end_is_left_out(bench, scene, &trial, &filled)?,
        Ok(Refusal::Denied(_)) => {}
        Ok(other) => {
            let what = format!("when everything is held it refuses as {}", quoted(other));
            return Err(trial.broken(what, Expect::refused("exhausted", None)));
        }
        Err(Error::Contended { .. } | Error::Repetitive { .. }) if filled.left_nothing(&trial, scene)? => {
            let what = "when everything is held it proposes on and on";
            return Err(trial.broken(what, Expect::refused("exhausted", None)));
        }
        Err(_) => return Ok(false),
    }
    for (_, claim) in
        filled.claims.iter().cycle().skip(scene.choice % filled.claims.len()).take(TRIED_ALONE.min(filled.claims.len()))
    {
        alone(bench, scene, claim)?;
    }
    filled.give_back_one_by_one(&trial, scene)?;
    Ok(true)
}

/// A full range, or a rule by which there is no more for pods of a kind; and a pod whose older attachment holds one of the
/// addresses. Whatever the rule, that pod was served by it before.
pub(super) fn restart_is_served(bench: &Bench, scene: &Scene) -> Finding {
    if !scene.can_be_filled() || scene.requester.pod.is_none() {
        return Ok(false);
    }
    let trial = Trial::holding(bench, scene, Vec::new())?;
    let Some(filled) = Filled::by_kin(&trial, scene) else { return Ok(false) };
    if !matches!(filled.refused, Ok(Refusal::Exhausted(_) | Refusal::Denied(_))) {
        return Ok(false);
    }
    let (kin, claim) = &filled.claims[scene.choice % filled.claims.len()];
    let mut again = kin.clone();
    again.attachment.container = "made-anew".to_owned();
    match trial.allocate(&again).outcome.as_ref().err().and_then(refusal) {
        Some(refused) => {
            let what = format!(
                "nobody else is served, {} being held by an older container of this very pod; the new one is refused \
                 as {}",
                list(claim.addresses()),
                quoted(refused)
            );
            Err(trial.broken(what, Expect::served(scene)))
        }
        None => Ok(true),
    }
}

/// Pods that came one after the other until there was nothing left for the next one.
struct Filled {
    claims: Vec<(TrialRequester, Claim)>,
    refused: Result<Refusal, Error>,
    next: TrialRequester,
}

impl Filled {
    /// `None` where not even the first one is served, or somebody gets a fixed address though nobody names one.
    fn by_kin(trial: &Trial<'_>, scene: &Scene) -> Option<Self> {
        let mut claims = Vec::new();
        let most: usize = scene.offered.iter().map(Vec::len).sum();
        for nth in 0..=most {
            let kin = scene.kin(nth);
            match trial.allocate(&kin).outcome {
                Ok(claim) if claim.addresses.iter().all(|one| one.kind == Kind::Dynamic) => claims.push((kin, claim)),
                Ok(_) => return None,
                Err(_) if claims.is_empty() => return None,
                Err(Error::Refused { refusal, .. }) => return Some(Self { claims, refused: Ok(refusal), next: kin }),
                Err(error) => return Some(Self { claims, refused: Err(error), next: kin }),
            }
        }
        None
    }

    /// Whether all that some range set offers is held or kept: who proposes what is held while there is room is found by
    /// other properties.
    fn left_nothing(&self, trial: &Trial<'_>, scene: &Scene) -> Result<bool, Box<Broken>> {
        let taken = Taken::of(trial)?;
        Ok(scene.offered.iter().any(|set| !set.iter().any(|address| taken.is_free(*address))))
    }

    fn gave(&self, address: IpAddr) -> bool {
        self.claims.iter().any(|(_, claim)| claim.addresses().any(|given| given == address))
    }

    /// Whatever is released can be had again.
    fn give_back_one_by_one(&self, trial: &Trial<'_>, scene: &Scene) -> Result<(), Box<Broken>> {
        let mut next = self.next.clone();
        for (nth, (kin, claim)) in self.claims.iter().enumerate() {
            trial.release(&kin.attachment);
            trial.advance(LONG);
            let outcome = trial.allocate(&next).outcome;
            if let Some(refused) = outcome.as_ref().err().and_then(wrongly_refused) {
                let what =
                    format!("{} was released, but the next pod is refused as {refused}", list(claim.addresses()));
                return Err(trial.broken(what, Expect::served(scene)));
            }
            if outcome.is_err() {
                return Ok(());
            }
            next = scene.kin(self.claims.len() + 1 + nth);
        }
        Ok(())
    }
}

/// Whoever gives every address of a range but its last one has a rule for that address, or miscounts: then, of a range
/// without it, the one before is left out.
fn no_end_is_left_out(bench: &Bench, scene: &Scene, trial: &Trial<'_>, filled: &Filled) -> Result<(), Box<Broken>> {
    let ranges = scene.range_sets.iter().flat_map(|set| set.ranges());
    let meant: Vec<IpAddr> = ranges.flat_map(|range| meant_for_all(range, scene)).collect();
    let left: Vec<IpAddr> = meant.iter().copied().filter(|one| !filled.gave(*one)).collect();
    let ([first, second, .., before, last], [left]) = (&meant[..], &left[..]) else { return Ok(()) };
    let (narrowed, next) = match left {
        left if left == last => (scene.narrowed(*first, *before), before),
        left if left == first => (scene.narrowed(*second, *last), second),
        _ => return Ok(()),
    };
    let Some(narrowed) = narrowed.filter(|_| meant.len() >= TELLING) else { return Ok(()) };
    let again = Trial::holding(bench, &narrowed, Vec::new())?;
    match Filled::by_kin(&again, &narrowed) {
        Some(again) if !again.gave(*next) => {
            let what = format!(
                "it gives every address of {} but {left}, and says \"exhausted\" while that one is free",
                list(spans(meant.iter().copied()))
            );
            Err(trial.broken(what, Expect::served(scene)))
        }
        _ => Ok(()),
    }
}

/// Everything is held but what one claim had.
fn alone(bench: &Bench, scene: &Scene, claim: &Claim) -> Result<(), Box<Broken>> {
    let free: Vec<IpAddr> = claim.addresses().collect();
    let held = spans(scene.offered.iter().flatten().copied().filter(|one| !free.contains(one)));
    let trial = Trial::holding(bench, scene, held)?;
    match trial.allocate(&scene.kin(0)).outcome.as_ref().err().and_then(wrongly_refused) {
        None => Ok(()),
        Some(refused) => {
            let free = list(&free);
            let what =
                format!("it gives {free} when there is room, but when nothing else is free it refuses as {refused}");
            Err(trial.broken(what, Expect::served(scene)))
        }
    }
}

/// Not denied by rule; a fault is another property's.
fn wrongly_refused(error: &Error) -> Option<String> {
    refusal(error).filter(|refusal| refusal.kind() != "denied").map(quoted)
}

/// What a range offers to pods that name nothing.
fn meant_for_all(range: &Range, scene: &Scene) -> Vec<IpAddr> {
    let fixed = |address: &IpAddr| range.fixed().is_some_and(|fixed: Span| fixed.contains(*address));
    let offered = scene.offered.iter().flatten().copied();
    offered.filter(|address| range.span().contains(*address) && !fixed(address)).collect()
}
