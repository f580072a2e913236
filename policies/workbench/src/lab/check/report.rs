//! What a check found.

use std::time::Duration;

use serde::Serialize;

use super::counterexample::{Case, Steps};
use super::properties::Property;
use super::trial::Broken;
use engine::{Description, Spent};
use ipam::PolicyName;
use limits::Limits;

/// Everything.
#[derive(Debug)]
pub struct Report {
    /// The module.
    pub policy: PolicyName,
    /// What it says of itself.
    pub description: Description,
    /// To see the same again.
    pub seed: u64,
    /// In the order they were tried.
    pub results: Vec<Result>,
    /// The last refusal of a policy that gave no address in any world.
    pub never_served: Option<String>,
}

/// One property.
#[derive(Debug)]
pub struct Result {
    /// As a person calls it.
    pub name: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// Worlds until it broke, or all of them.
    pub worlds: u32,
    /// Those in which the policy could have broken it.
    pub concerned: u32,
    /// The dearest call.
    pub worst: Spent,
    /// What a call may spend.
    pub limits: Limits,
    /// How long it took.
    pub took: Duration,
    /// The smallest world that breaks it.
    pub counterexample: Option<Counterexample>,
}

/// The smallest world in which a property does not hold.
#[derive(Debug)]
pub struct Counterexample {
    /// What was seen.
    pub what: String,
    about: String,
    steps: Option<Steps>,
}

impl Report {
    /// Whether the policy passed.
    pub fn is_good(&self) -> bool {
        self.never_served.is_none() && self.results.iter().all(|result| result.counterexample.is_none())
    }
}

impl Counterexample {
    pub(super) fn new(property: &Property, broken: Broken, seed: u64) -> Self {
        let Broken { what, steps } = broken;
        let about = format!("{}: {what} (policy check, seed {seed})", property.name);
        Self { what, about, steps }
    }

    /// A test case in YAML, where a world is needed to see it.
    pub fn test_case(&self) -> Option<std::result::Result<String, serde_saphyr::SerializeError>> {
        let case = Case { about: self.about.clone(), steps: self.steps.as_ref()? };
        Some(serde_saphyr::to_string(&case))
    }
}

/// For programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    property: &'a str,
    holds: bool,
    worlds: u32,
    concerned: u32,
    worst_fuel: u64,
    worst_host_calls: u64,
    milliseconds: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<&'a str>,
}

impl Serialize for Result {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Spent { fuel, host_calls } = self.worst;
        Line {
            property: self.name,
            holds: self.counterexample.is_none(),
            worlds: self.worlds,
            concerned: self.concerned,
            worst_fuel: fuel,
            worst_host_calls: host_calls,
            milliseconds: self.took.as_millis(),
            broken: self.counterexample.as_ref().map(|example| example.what.as_str()),
        }
        .serialize(serializer)
    }
}
