//! What came of a request, compared with what was expected.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::format::{Expectation, ExpectedHold, HoldParts};
use super::words::{Address, Many, Span};
use crate::lab::TrialOutcome;
use cni::{Failure, code};
use engine::Line;
use ipam::{Assignment, Family, HoldTerms, Kind, Verdict};
use kube_ipam::verbs;

/// Why there is no address, in the words of a case; the codes are those of a CNI error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Refused {
    /// Every usable address is held: code 101.
    Exhausted,
    /// The address is held by another: code 102.
    Taken,
    /// An annotation or a requested address is invalid: code 103.
    Invalid,
    /// The policy said no: code 104.
    Denied,
    /// The policy trapped, hit a limit or made a bad proposal: code 105.
    Fault,
    /// Every race was lost: code 11.
    Contended,
    /// There is any other error.
    Other,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What was claimed, or why nothing was.
    pub outcome: Result<Vec<Assignment>, NoAddress>,
    /// The addresses of each proposal of the last run.
    pub proposals: Vec<Vec<IpAddr>>,
    /// The fuel of the most expensive run.
    pub fuel: u64,
    /// The lines that the policy wrote to its log.
    pub lines: Vec<Line>,
}

/// What the pod's operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAddress {
    pub refused: Refused,
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

/// One expectation and what was observed instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The key of the expectation.
    pub key: &'static str,
    /// The value as it is written; null where none is.
    pub expected: Value,
    /// What an exact expectation would be, or what speaks against a property; null where there is nothing to compare.
    pub observed: Value,
    pub is_met: bool,
}

/// The keys that state a rule, which many outcomes follow, and not an outcome.
const PROPERTIES: [&str; 4] = ["inside", "outside", "same-as", "fuel"];

/// The addresses that each container got, by its name.
pub(super) type Earlier = BTreeMap<String, Vec<IpAddr>>;

impl Observed {
    pub(super) fn of(allocation: TrialOutcome) -> Self {
        let TrialOutcome { outcome, calls } = allocation;
        let proposals = match calls.last().map(|call| &call.answer) {
            Some(Ok(Verdict::Propose(proposals))) => {
                proposals.iter().map(|proposal| proposal.iter().map(|one| one.address).collect()).collect()
            }
            _ => Vec::new(),
        };
        Self {
            outcome: outcome.map(|claim| claim.addresses).map_err(|error| NoAddress::of(&error)),
            proposals,
            fuel: calls.iter().map(|call| call.spent.fuel).max().unwrap_or(0),
            lines: calls.into_iter().flat_map(|call| call.lines).collect(),
        }
    }

    /// The expectation that this outcome meets, and no other does.
    pub fn exactly(&self) -> Map<String, Value> {
        let mut exactly = Map::new();
        match &self.outcome {
            Ok(assignments) => {
                exactly.insert("addresses".to_owned(), addresses(assignments, true));
                let gateways = gateways(assignments);
                if !gateways.is_empty() {
                    exactly.insert("gateways".to_owned(), json!(gateways));
                }
            }
            Err(NoAddress { refused, message, .. }) => {
                exactly.insert("refused".to_owned(), json!(refused));
                exactly.insert("says".to_owned(), json!(message));
            }
        }
        exactly
    }
}

impl NoAddress {
    fn of(error: &verbs::Error) -> Self {
        let failure = Failure::from(error);
        let refused = match failure.code {
            code::EXHAUSTED => Refused::Exhausted,
            code::TAKEN => Refused::Taken,
            code::INVALID_REQUEST => Refused::Invalid,
            code::DENIED => Refused::Denied,
            code::POLICY_FAULT => Refused::Fault,
            code::TRY_AGAIN => Refused::Contended,
            _ => Refused::Other,
        };
        Self { refused, message: failure.msg, hint: failure.details }
    }
}

impl Check {
    /// Whether it states a rule that many outcomes follow.
    pub fn is_property(&self) -> bool {
        PROPERTIES.contains(&self.key)
    }

    fn new(key: &'static str, expected: impl Serialize, observed: Option<Value>, is_met: bool) -> Self {
        let expected = serde_json::to_value(expected).unwrap_or_default();
        // What is as expected is shown as it was written: of `10.0.0.7` and `10.0.0.7/24`, which mean the same here, a
        // comparison of the texts would make a difference.
        let observed = if is_met { expected.clone() } else { observed.unwrap_or_default() };
        Self { key, expected, observed, is_met }
    }
}

impl Expectation {
    /// Whether it states a rule that several outcomes may follow.
    pub(super) fn has_properties(&self) -> bool {
        self.inside.is_some() || self.outside.is_some() || self.same_as.is_some()
    }

    /// Compare everything that is expected; where neither addresses nor a refusal are, that there is an address.
    pub(super) fn compare(&self, observed: &Observed, earlier: &Earlier) -> Vec<Check> {
        let mut checks = self.compare_outcome(observed);
        let given = observed.outcome.as_deref().ok();
        if let Some(wanted) = &self.addresses {
            checks.push(compare_addresses(wanted, given));
        }
        if let Some(wanted) = &self.gateways {
            let found = given.map(gateways);
            let is_met = found.as_ref() == Some(&wanted.0);
            checks.push(Check::new("gateways", wanted, found.map(|found| json!(found)), is_met));
        }
        if let Some(spans) = &self.inside {
            let objection = given.map(|given| objection_to_inside(given, &spans.0));
            let is_met = objection == Some(None);
            checks.push(Check::new("inside", spans, objection.flatten().map(Value::from), is_met));
        }
        if let Some(spans) = &self.outside {
            let objection = given.map(|given| objection_to_outside(given, &spans.0));
            let is_met = objection == Some(None);
            checks.push(Check::new("outside", spans, objection.flatten().map(Value::from), is_met));
        }
        if let Some(kind) = self.kind {
            let kinds: Option<Vec<Kind>> = given.map(|given| given.iter().map(|one| one.kind).collect());
            let is_met = kinds.as_ref().is_some_and(|kinds| kinds.iter().all(|one| *one == kind));
            checks.push(Check::new("kind", kind, kinds.and_then(|kinds| distinct(&kinds)), is_met));
        }
        if let Some(wanted) = &self.hold {
            checks.push(compare_holds(wanted, given));
        }
        if let Some(container) = &self.same_as {
            checks.push(compare_same(container, given, earlier));
        }
        checks.extend(self.compare_run(observed));
        checks
    }

    fn compare_outcome(&self, observed: &Observed) -> Vec<Check> {
        let mut checks = Vec::new();
        let refusal = observed.outcome.as_ref().err();
        let refused = refusal.map(|refusal| refusal.refused);
        if self.refused.is_some() || (refused.is_some() && !self.wants_refusal()) {
            checks.push(Check::new("refused", self.refused, refused.map(|why| json!(why)), self.refused == refused));
        }
        checks.extend(self.compare_words(refusal));
        if let Ok(given) = &observed.outcome
            && self.wants_refusal()
        {
            checks.push(Check::new("addresses", (), Some(addresses(given, true)), false));
        }
        checks
    }

    /// What the operator is told, where that is expected. Where another outcome was expected, it is shown as well,
    /// because the reason is what an author looks for next.
    fn compare_words(&self, refusal: Option<&NoAddress>) -> Option<Check> {
        let message = refusal.map(|refusal| refusal.message.as_str()).filter(|message| !message.trim().is_empty());
        let Some(parts) = &self.says else {
            let refused = refusal?.refused;
            return (self.refused != Some(refused)).then(|| Check::new("says", (), message.map(Value::from), false));
        };
        let is_met = refusal.is_some_and(|refusal| parts.0.iter().all(|part| refusal.says(part)));
        let said = message.or(refusal.map(|_| "nothing, not even why"));
        Some(Check::new("says", parts, said.map(Value::from), is_met))
    }

    /// Compare what can be expected of a run of the policy, whether it refuses or not.
    fn compare_run(&self, observed: &Observed) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(wanted) = &self.proposals {
            let found = Many(observed.proposals.iter().cloned().map(Many).collect());
            checks.push(Check::new("proposals", wanted, serde_json::to_value(&found.0).ok(), *wanted == found));
        }
        if let Some(parts) = &self.log {
            let lines: Vec<&str> = observed.lines.iter().map(|line| line.text.as_str()).collect();
            let is_met = parts.0.iter().all(|part| lines.iter().any(|line| line.contains(part)));
            checks.push(Check::new("log", parts, (!lines.is_empty()).then(|| json!(lines)), is_met));
        }
        if let Some(most) = self.fuel {
            checks.push(Check::new("fuel", most, Some(json!(observed.fuel)), observed.fuel <= most));
        }
        checks
    }
}

impl NoAddress {
    /// Whether this is part of the message or the hint. An empty part asks that there be a message at all.
    fn says(&self, part: &str) -> bool {
        if part.trim().is_empty() {
            return !self.message.trim().is_empty();
        }
        self.message.contains(part) || self.hint.contains(part)
    }
}

impl Address {
    /// Whether this is the address that was given. Its length is compared where it is written.
    fn fits(&self, given: &Assignment) -> bool {
        self.address == given.address && self.prefix_length.is_none_or(|length| length == given.prefix_length)
    }
}

fn compare_addresses(wanted: &Many<Address>, given: Option<&[Assignment]>) -> Check {
    let Some(given) = given else { return Check::new("addresses", &wanted.0, None, false) };
    let is_met = wanted.0.len() == given.len() && wanted.0.iter().zip(given).all(|(wanted, given)| wanted.fits(given));
    let with_length = wanted.0.iter().any(|address| address.prefix_length.is_some());
    Check::new("addresses", &wanted.0, Some(addresses(given, with_length)), is_met)
}

fn compare_holds(wanted: &ExpectedHold, given: Option<&[Assignment]>) -> Check {
    let Some(given) = given else { return Check::new("hold", wanted, None, false) };
    let is_met = given.iter().all(|one| wanted.fits(one.hold.as_ref()));
    let mut holds = Vec::new();
    for Assignment { hold, .. } in given {
        holds.push(hold.as_ref().map_or(json!("none"), |hold| json!(hold)));
    }
    Check::new("hold", wanted, distinct(&holds), is_met)
}

impl ExpectedHold {
    fn fits(&self, hold: Option<&HoldTerms>) -> bool {
        match (self, hold) {
            (Self::None(_), hold) => hold.is_none(),
            (Self::Some(_), None) => false,
            (Self::Some(HoldParts { identity, seconds }), Some(hold)) => {
                identity.as_ref().is_none_or(|identity| *identity == hold.identity)
                    && seconds.is_none_or(|seconds| seconds == hold.seconds)
            }
        }
    }
}

fn compare_same(container: &str, given: Option<&[Assignment]>, earlier: &Earlier) -> Check {
    let Some(given) = given else { return Check::new("same-as", container, None, false) };
    let had = earlier.get(container).map(Vec::as_slice).unwrap_or_default();
    let has: Vec<IpAddr> = given.iter().map(|one| one.address).collect();
    // Two that got nothing have not got the same.
    let is_met = has == had && !had.is_empty();
    let instead = format!("{container} had {}, this is {}", list(had), list(&has));
    Check::new("same-as", container, Some(json!(instead)), is_met)
}

fn addresses(given: &[Assignment], with_length: bool) -> Value {
    let mut written = Vec::new();
    for Assignment { address, prefix_length, .. } in given {
        let prefix_length = with_length.then_some(*prefix_length);
        written.push(Address { address: *address, prefix_length }.to_string());
    }
    json!(written)
}

fn gateways(given: &[Assignment]) -> Vec<IpAddr> {
    given.iter().filter_map(|one| one.gateway).collect()
}

/// What speaks against these addresses being inside of the spans. An address is compared with the spans of its family
/// only, so that one `inside` can be written for a network of one family and of two; where there is no
/// span of any of the families, the expectation would say nothing, and is not met.
fn objection_to_inside(given: &[Assignment], spans: &[Span]) -> Option<String> {
    let (mut stray, mut is_compared) = (Vec::new(), false);
    for Assignment { address, .. } in given {
        let mut of_family = spans.iter().filter(|one| one.span.family() == Family::of(*address)).peekable();
        if of_family.peek().is_some() {
            is_compared = true;
            if !of_family.any(|one| one.span.contains(*address)) {
                stray.push(*address);
            }
        }
    }
    if !is_compared {
        let given: Vec<IpAddr> = given.iter().map(|one| one.address).collect();
        return Some(format!("{} is of another family", list(&given)));
    }
    (!stray.is_empty()).then(|| format!("{} is outside", list(&stray)))
}

/// What speaks against these addresses being outside of the spans.
fn objection_to_outside(given: &[Assignment], spans: &[Span]) -> Option<String> {
    let mut stray: Vec<IpAddr> = given.iter().map(|one| one.address).collect();
    stray.retain(|address| spans.iter().any(|one| one.span.contains(*address)));
    (!stray.is_empty()).then(|| format!("{} is inside", list(&stray)))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// One value where all are equal, as they were expected to be; otherwise all of them.
fn distinct<T: Serialize + PartialEq>(values: &[T]) -> Option<Value> {
    let (first, rest) = values.split_first()?;
    let is_one = rest.iter().all(|other| other == first);
    if is_one { serde_json::to_value(first).ok() } else { serde_json::to_value(values).ok() }
}
