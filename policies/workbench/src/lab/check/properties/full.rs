//! What a policy does when the ranges are full.
//!
//! Which addresses a policy may use is for the policy to decide. So it is watched: what it gave to a pod when there was
//! room, it can give to a pod of the same kind when that is all there is. A rule of the site may deny that, but a
//! refusal as "exhausted" claims that there is nothing to give.

use std::net::IpAddr;
use std::time::Duration;

use super::answers::Taken;
use super::{list, quoted, refusal};
use crate::lab::TrialRequester;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::{Scene, spans};
use crate::lab::check::trial::{Broken, Finding, Trial};
use ipam::{Claim, Kind, Range, Refusal};
use kube_ipam::verbs::Error;

/// The size from which on a range has to be given completely: in a smaller one, an address that is never given may be one
/// that a rule leaves out.
const TELLING: usize = 6;

/// How many of the given addresses are tried alone, each in a world of its own.
const TRIED_ALONE: usize = 3;

/// A time after which no address is kept any more, unless a policy keeps it for good.
const LONG: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// The policy says "exhausted" when, and only when, all that it gives is held.
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
            let what = "when everything is held it keeps proposing addresses that are held";
            return Err(trial.broken(what, Expect::refused("exhausted", None)));
        }
        Err(_) => return Ok(false),
    }
    let count = filled.claims.len();
    for nth in 0..TRIED_ALONE.min(count) {
        let (_, claim) = &filled.claims[(scene.choice + nth) % count];
        alone(bench, scene, claim)?;
    }
    filled.release_one_by_one(&trial, scene)?;
    Ok(true)
}

/// A pod whose older container holds an address is served in a full range, and where a rule gives no more to pods of its
/// kind. Whatever the rule is, it served that pod before.
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
    again.attachment.container = "made-again".to_owned();
    let outcome = trial.allocate(&again).outcome;
    let Some(refused) = outcome.as_ref().err().and_then(refusal) else { return Ok(true) };
    let what = format!(
        "no other pod is served, and {} is held by an older container of this very pod; its new container is refused as {}",
        list(claim.addresses()),
        quoted(refused)
    );
    Err(trial.broken(what, Expect::served(scene)))
}

/// Pods that came one after the other until there was nothing left for the next one.
struct Filled {
    claims: Vec<(TrialRequester, Claim)>,
    refused: Result<Refusal, Error>,
    next: TrialRequester,
}

impl Filled {
    /// `None` where not even the first pod is served, or one gets a fixed address though it names none.
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

    /// Whether all that some range set offers is held or kept. A policy that proposes what is held while there is room is
    /// found by other properties.
    fn left_nothing(&self, trial: &Trial<'_>, scene: &Scene) -> Result<bool, Box<Broken>> {
        let taken = Taken::of(trial)?;
        Ok(scene.offered.iter().any(|set| !set.iter().any(|address| taken.is_free(*address))))
    }

    fn gave(&self, address: IpAddr) -> bool {
        self.claims.iter().any(|(_, claim)| claim.addresses().any(|given| given == address))
    }

    /// What is released can be given again.
    fn release_one_by_one(&self, trial: &Trial<'_>, scene: &Scene) -> Result<(), Box<Broken>> {
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

/// A policy that gives every address of a range but one at an end has a rule for that address, or miscounts. The second
/// is seen in a range without that address: now its neighbour is left out, which is at the end there.
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
    let Some(narrowed) = narrowed else { return Ok(()) };
    if meant.len() < TELLING {
        return Ok(());
    }
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

/// What one claim had is given to a pod of the same kind when everything else is held.
fn alone(bench: &Bench, scene: &Scene, claim: &Claim) -> Result<(), Box<Broken>> {
    let free: Vec<IpAddr> = claim.addresses().collect();
    let mut rest: Vec<IpAddr> = scene.offered.iter().flatten().copied().collect();
    rest.retain(|address| !free.contains(address));
    let trial = Trial::holding(bench, scene, spans(rest))?;
    let outcome = trial.allocate(&scene.kin(0)).outcome;
    let Some(refused) = outcome.as_ref().err().and_then(wrongly_refused) else { return Ok(()) };
    let free = list(&free);
    let what = format!("it gives {free} when there is room, but when nothing else is free it refuses as {refused}");
    Err(trial.broken(what, Expect::served(scene)))
}

/// A refusal that is not a denial by rule, in a sentence. A fault is another property's to tell.
fn wrongly_refused(error: &Error) -> Option<String> {
    refusal(error).filter(|refusal| refusal.kind() != "denied").map(quoted)
}

/// The addresses that a range offers to pods that name nothing.
fn meant_for_all(range: &Range, scene: &Scene) -> Vec<IpAddr> {
    let mut meant: Vec<IpAddr> = scene.offered.iter().flatten().copied().collect();
    meant.retain(|address| range.span().contains(*address));
    if let Some(fixed) = range.fixed() {
        meant.retain(|address| !fixed.contains(*address));
    }
    meant
}
