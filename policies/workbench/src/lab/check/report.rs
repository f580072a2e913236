//! What a check found.

use std::time::Duration;

use serde::Serialize;

use super::counterexample::{Case, Steps};
use super::properties::Property;
use super::trial::Broken;
use engine::{Description, Spent};
use ipam::PolicyName;
use limits::Limits;

#[derive(Debug)]
pub struct CheckReport {
    pub policy: PolicyName,
    /// What the module says of itself.
    pub description: Description,
    /// The seed with which the same worlds are made again.
    pub seed: u64,
    /// One for each property that was tried, in that order.
    pub results: Vec<PropertyResult>,
    /// The last refusal of a policy that gave no address in any world.
    pub never_served: Option<String>,
}

#[derive(Debug)]
pub struct PropertyResult {
    pub name: &'static str,
    /// Why the property matters, as the end of a sentence.
    pub why: &'static str,
    /// How many worlds there were until it broke, or in all.
    pub worlds: u32,
    /// How many of them could have broken it.
    pub concerned: u32,
    /// The most that any call spent.
    pub worst: Spent,
    /// What a call may spend.
    pub limits: Limits,
    pub took: Duration,
    pub counterexample: Option<Counterexample>,
}

/// The smallest world in which a property does not hold.
#[derive(Debug)]
pub struct Counterexample {
    /// What the policy did, in a sentence.
    pub what: String,
    about: String,
    /// How to see it again; absent where no world is needed for that.
    steps: Option<Steps>,
}

impl CheckReport {
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
    pub fn test_case(&self) -> Option<Result<String, serde_saphyr::SerializeError>> {
        let case = Case { about: self.about.clone(), steps: self.steps.as_ref()? };
        Some(serde_saphyr::to_string(&case))
    }
}

/// A result in the JSON report.
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

impl Serialize for PropertyResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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
