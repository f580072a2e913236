//! What came of asking, held against what was expected.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::format::{Expectation, ExpectedHold, HoldParts};
use super::words::{Address, Many, Span};
use crate::lab::TrialOutcome;
use cni::code;
use engine::Line;
use ipam::{Assignment, Family, Verdict};
use kube_ipam::verbs::{self, codes};

/// Why there is no address.
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
    /// Anything else.
    Other,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The addresses, or why there are none.
    pub outcome: Result<Vec<Assignment>, NoAddress>,
    /// The addresses of all proposals of the last run.
    pub proposals: Vec<Vec<IpAddr>>,
    /// What the dearest run took.
    pub fuel: u64,
    /// What the policy wrote to its log.
    pub lines: Vec<Line>,
}

/// What whoever looks after the pod is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAddress {
    /// Why.
    pub refused: Refused,
    /// The error.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

/// One expectation and what there was instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its key.
    pub key: &'static str,
    /// As written; null where nothing was.
    pub expected: Value,
    /// What an exact expectation would be, or what speaks against a property; null where there is nothing to compare.
    pub observed: Value,
    /// Whether it is so.
    pub is_met: bool,
}

/// Many answers are right for these: they state a rule, not an outcome.
const PROPERTIES: [&str; 4] = ["inside", "outside", "same-as", "fuel"];

/// By container, the addresses it got.
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

    /// The expectation that this, and nothing else, fulfils.
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
        let failure = codes::failure(error);
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
    /// Whether it states a rule that many answers follow.
    pub fn is_property(&self) -> bool {
        PROPERTIES.contains(&self.key)
    }

    fn new(key: &'static str, expected: impl Serialize, observed: Option<Value>, is_met: bool) -> Self {
        let expected = serde_json::to_value(expected).unwrap_or_default();
        // What is as expected is shown as it was written.
        let observed = if is_met { expected.clone() } else { observed.unwrap_or_default() };
        Self { key, expected, observed, is_met }
    }
}

impl Expectation {
    /// Whether it states a rule that several answers may follow.
    pub(super) fn has_properties(&self) -> bool {
        self.inside.is_some() || self.outside.is_some() || self.same_as.is_some()
    }

    /// Every expectation that is written, and that there is an address where nothing else is.
    pub(super) fn compare(&self, observed: &Observed, earlier: &Earlier) -> Vec<Check> {
        let mut checks = self.compare_outcome(observed);
        let given = observed.outcome.as_deref().ok();
        checks.extend(self.addresses.as_ref().map(|wanted| compare_addresses(wanted, given)));
        checks.extend(self.gateways.as_ref().map(|wanted| {
            let found = given.map(gateways);
            Check::new("gateways", wanted, found.as_ref().map(|found| json!(found)), found.as_ref() == Some(&wanted.0))
        }));
        checks.extend(self.inside.as_ref().map(|spans| {
            let stray = given.map(|given| outside(given, &spans.0));
            Check::new("inside", spans, stray.clone().map(Into::into), stray.as_deref() == Some(""))
        }));
        checks.extend(self.outside.as_ref().map(|spans| {
            let stray = given.map(|given| inside(given, &spans.0));
            Check::new("outside", spans, stray.clone().map(Into::into), stray.as_deref() == Some(""))
        }));
        checks.extend(self.kind.map(|kind| {
            let kinds: Option<Vec<_>> = given.map(|given| given.iter().map(|one| one.kind).collect());
            let is_met = kinds.as_ref().is_some_and(|kinds| kinds.iter().all(|one| *one == kind));
            Check::new("kind", kind, kinds.and_then(|kinds| distinct(&kinds)), is_met)
        }));
        checks.extend(self.hold.as_ref().map(|wanted| compare_holds(wanted, given)));
        checks.extend(self.same_as.as_ref().map(|container| compare_same(container, given, earlier)));
        checks.extend(self.compare_run(observed));
        checks
    }

    fn compare_outcome(&self, observed: &Observed) -> Vec<Check> {
        let (refused, message, hint) = match &observed.outcome {
            Ok(_) => (None, None, ""),
            Err(NoAddress { refused, message, hint }) => (Some(*refused), Some(message.as_str()), hint.as_str()),
        };
        let message = message.filter(|message| !message.trim().is_empty());
        let mut checks = Vec::new();
        if self.refused.is_some() || (refused.is_some() && !self.wants_refusal()) {
            checks.push(Check::new("refused", self.refused, refused.map(|why| json!(why)), self.refused == refused));
        }
        let is_said = |part: &String| match part.trim().is_empty() {
            true => message.is_some(),
            false => message.is_some_and(|message| message.contains(part)) || hint.contains(part),
        };
        match &self.says {
            Some(parts) => {
                let is_met = refused.is_some() && parts.0.iter().all(is_said);
                let said = message.or(refused.map(|_| "nothing, not even why"));
                checks.push(Check::new("says", parts, said.map(Value::from), is_met));
            }
            // Why there is no address is worth knowing, if one was expected.
            None if refused.is_some() && self.refused != refused => {
                checks.push(Check::new("says", (), message.map(Value::from), false));
            }
            None => {}
        }
        if let (Ok(given), true) = (&observed.outcome, self.wants_refusal()) {
            checks.push(Check::new("addresses", (), Some(addresses(given, true)), false));
        }
        checks
    }

    /// What can be expected of a policy that refuses, too.
    fn compare_run(&self, observed: &Observed) -> impl Iterator<Item = Check> {
        let proposals = self.proposals.as_ref().map(|wanted| {
            let found = Many(observed.proposals.iter().cloned().map(Many).collect());
            Check::new("proposals", wanted, serde_json::to_value(&found.0).ok(), *wanted == found)
        });
        let log = self.log.as_ref().map(|parts| {
            let is_logged = |part: &String| observed.lines.iter().any(|line| line.text.contains(part));
            let lines: Vec<_> = observed.lines.iter().map(|line| line.text.as_str()).collect();
            Check::new("log", parts, (!lines.is_empty()).then(|| json!(lines)), parts.0.iter().all(is_logged))
        });
        let fuel = self.fuel.map(|most| Check::new("fuel", most, Some(json!(observed.fuel)), observed.fuel <= most));
        [proposals, log, fuel].into_iter().flatten()
    }
}

fn compare_addresses(wanted: &Many<Address>, given: Option<&[Assignment]>) -> Check {
    let is_same = |(wanted, given): (&Address, &Assignment)| {
        wanted.address == given.address && wanted.prefix_length.is_none_or(|length| length == given.prefix_length)
    };
    let is_met = given.is_some_and(|given| wanted.0.len() == given.len() && wanted.0.iter().zip(given).all(is_same));
    let with_length = wanted.0.iter().any(|address| address.prefix_length.is_some());
    Check::new("addresses", &wanted.0, given.map(|given| addresses(given, with_length)), is_met)
}

fn compare_holds(wanted: &ExpectedHold, given: Option<&[Assignment]>) -> Check {
    let is_met = |given: &Assignment| match (wanted, &given.hold) {
        (ExpectedHold::None(_), hold) => hold.is_none(),
        (ExpectedHold::Some(_), None) => false,
        (ExpectedHold::Some(HoldParts { identity, seconds }), Some(hold)) => {
            identity.as_ref().is_none_or(|identity| *identity == hold.identity)
                && seconds.is_none_or(|seconds| seconds == hold.seconds)
        }
    };
    let found = given.and_then(|given| {
        let holds: Vec<_> =
            given.iter().map(|one| one.hold.as_ref().map_or(json!("none"), |hold| json!(hold))).collect();
        distinct(&holds)
    });
    Check::new("hold", wanted, found, given.is_some_and(|given| given.iter().all(is_met)))
}

fn compare_same(container: &str, given: Option<&[Assignment]>, earlier: &Earlier) -> Check {
    let had = earlier.get(container).map(Vec::as_slice).unwrap_or_default();
    let has: Option<Vec<IpAddr>> = given.map(|given| given.iter().map(|one| one.address).collect());
    let is_met = has.as_deref() == Some(had) && !had.is_empty();
    let instead = has.map(|has| json!(format!("{container} had {}, this is {}", list(had), list(&has))));
    Check::new("same-as", container, instead, is_met)
}

fn addresses(given: &[Assignment], with_length: bool) -> Value {
    let written = |one: &Assignment| {
        let prefix_length = with_length.then_some(one.prefix_length);
        Address { address: one.address, prefix_length }.to_string()
    };
    given.iter().map(written).collect()
}

fn gateways(given: &[Assignment]) -> Vec<IpAddr> {
    given.iter().filter_map(|one| one.gateway).collect()
}

/// Addresses that lie in no span of their family; that there is no such span of any family speaks against it, too.
fn outside(given: &[Assignment], spans: &[Span]) -> String {
    let of_family = |address| spans.iter().filter(move |one| one.span.family() == Family::of(address));
    let is_stray = |address: &IpAddr| {
        let mut spans = of_family(*address).peekable();
        spans.peek().is_some() && !spans.any(|one| one.span.contains(*address))
    };
    let given: Vec<IpAddr> = given.iter().map(|one| one.address).collect();
    if !given.iter().any(|address| of_family(*address).next().is_some()) {
        return format!("{} is of another family", list(&given));
    }
    told(given.into_iter().filter(is_stray).collect(), "outside")
}

/// Addresses that lie in a span.
fn inside(given: &[Assignment], spans: &[Span]) -> String {
    let is_stray = |address: &IpAddr| spans.iter().any(|one| one.span.contains(*address));
    told(given.iter().map(|one| one.address).filter(is_stray).collect(), "inside")
}

fn told(stray: Vec<IpAddr>, side: &str) -> String {
    if stray.is_empty() { String::new() } else { format!("{} is {side}", list(&stray)) }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// One value where all are equal, as they were expected to be.
fn distinct<T: Serialize + PartialEq>(values: &[T]) -> Option<Value> {
    let (first, rest) = values.split_first()?;
    let is_one = rest.iter().all(|other| other == first);
    if is_one { serde_json::to_value(first).ok() } else { serde_json::to_value(values).ok() }
}
