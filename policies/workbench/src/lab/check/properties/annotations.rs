//! What a policy makes of annotations with good and with malformed values.
//!
//! No policy has to know any annotation. So it is tried first whether it follows a good value: if so, it has to refuse a
//! malformed one; and if not, nothing may come of the malformed one either.

use std::net::IpAddr;

use super::answers::{Taken, outcome};
use super::refusal;
use crate::lab::check::Bench;
use crate::lab::check::annotations::{MALFORMED, for_network};
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Broken, Finding, Trial, ill};
use crate::lab::{Proposed, TrialRequester};
use ipam::{Assignment, Refusal};
use kube_ipam::verbs::Error;

/// An annotation, a value that can be followed, and how to see that it was.
struct Rule {
    name: &'static str,
    value: String,
    /// For an address the pod names by `kube-ipam.ip`.
    beside: Option<IpAddr>,
    followed: Box<dyn Fn(&Assignment) -> bool>,
}

/// An annotation with a malformed value is refused by name, or means nothing to the policy at all.
pub(super) fn are_followed_or_refused(bench: &Bench, scene: &Scene) -> Finding {
    let trial = Trial::of(bench, scene)?;
    let plain = scene.kin(0);
    let proposed = trial.propose(&plain, 0, &[]);
    let (Some(_), Ok(proposals)) = (&plain.pod, &proposed.verdict) else { return Ok(false) };
    // The address that the annotations name is one that the pod would not get without them; otherwise it could not be
    // seen whether they were followed.
    let taken = Taken::of(&trial)?;
    let mut candidates: Vec<IpAddr> = scene.offered.iter().flatten().copied().collect();
    candidates.retain(|address| taken.is_free(*address));
    candidates.retain(|address| !proposals.iter().flatten().any(|one| one.address == *address));
    let Some(address) = candidates.get(scene.choice % 4).copied() else { return Ok(false) };
    for rule in rules(address, scene) {
        for malformed in MALFORMED.iter().cycle().skip(scene.choice % MALFORMED.len()).take(3) {
            rule.check(&trial, &plain, scene, malformed)?;
        }
    }
    Ok(true)
}

fn rules(address: IpAddr, scene: &Scene) -> Vec<Rule> {
    let named = move |one: &Assignment| one.address == address;
    let by = |name| Rule { name, value: address.to_string(), beside: None, followed: Box::new(named) };
    let range = scene.range_sets.iter().find_map(|set| set.range_of(address));
    // Wider than the subnet: a narrower one may leave out the gateway.
    let length = range.map_or(1, |range| range.subnet().length() - 1).max(1);
    let mut rules = vec![by("kube-ipam.ip"), by("kube-ipam.ip-pool")];
    rules.push(Rule {
        name: "kube-ipam.netmask",
        value: length.to_string(),
        beside: Some(address),
        followed: Box::new(move |one| named(one) && one.prefix_length == length),
    });
    let mut neighbours = scene.offered.iter().flatten().copied().filter(|one| *one != address);
    if let Some(gateway) = neighbours.find(|one| range.is_some_and(|range| range.span().contains(*one))) {
        rules.push(Rule {
            name: "kube-ipam.gateway",
            value: gateway.to_string(),
            beside: Some(address),
            followed: Box::new(move |one| named(one) && one.gateway == Some(gateway)),
        });
    }
    rules
}

impl Rule {
    fn check(
        &self,
        trial: &Trial<'_>,
        plain: &TrialRequester,
        scene: &Scene,
        malformed: &str,
    ) -> Result<(), Box<Broken>> {
        let name = if scene.choice.is_multiple_of(2) { self.name.to_owned() } else { for_network(self.name) };
        let base = match self.beside {
            None => plain.clone(),
            Some(address) => annotated(plain, "kube-ipam.ip", &address.to_string()),
        };
        let good = trial.propose(&annotated(&base, &name, &self.value), 0, &[]);
        let requester = annotated(&base, &name, malformed);
        let bad = trial.propose(&requester, 0, &[]);
        // The host refuses it before the policy is asked, which says nothing of the policy.
        if matches!(bad.verdict, Err(Error::Annotated(_))) {
            return Ok(());
        }
        if [&good, &bad].into_iter().any(|proposed| proposed.verdict.as_ref().err().and_then(ill).is_some()) {
            return Ok(());
        }
        let refused = bad.verdict.as_ref().err().and_then(refusal);
        if matches!(refused, Some(refusal @ Refusal::Invalid(_)) if refusal.to_string().contains(self.name)) {
            return Ok(());
        }
        let got = outcome(&bad.verdict);
        let what = if self.is_followed(&good) {
            self.describe_answer(&name, malformed, refused, &got)
        } else {
            let ignored = outcome(&trial.propose(&base, 0, &[]).verdict);
            if got == ignored {
                return Ok(());
            }
            format!(
                "it does not follow {name}: {}, but {name}: {malformed:?} changes its answer from {ignored} to {got}",
                self.value
            )
        };
        Err(trial.broken_asking(&requester, what, Expect::refused("invalid", Some(self.name))))
    }

    /// What a policy that follows good values does with a malformed one instead of refusing it by name.
    fn describe_answer(&self, name: &str, malformed: &str, refused: Option<&Refusal>, got: &str) -> String {
        match refused {
            None => format!("it follows {name}: {}, but gives {got} to a pod with {name}: {malformed:?}", self.value),
            Some(Refusal::Invalid(_)) => format!("its refusal of {name}: {malformed:?} does not name it ({got})"),
            Some(other) => format!("it refuses {name}: {malformed:?} as {}, not as invalid ({got})", other.kind()),
        }
    }

    fn is_followed(&self, good: &Proposed) -> bool {
        good.verdict.as_ref().is_ok_and(|proposals| proposals.iter().all(|one| one.iter().any(&self.followed)))
    }
}

fn annotated(requester: &TrialRequester, name: &str, value: &str) -> TrialRequester {
    let mut requester = requester.clone();
    if let Some(pod) = &mut requester.pod {
        pod.annotations.insert(name.to_owned(), value.to_owned());
    }
    requester
}
