//! What happened in a simulation: all that the report and the picture are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use engine::Call;
use kube_ipam::verbs::Error;

/// The moment at which an address is claimed or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time since the simulation began.
    pub at: Duration,
    /// The number of the round in which it happened. A round begins with the pods that end, and then nodes ask at once.
    pub round: u64,
    /// The number of the range set.
    pub range_set: usize,
    /// The address, as its place among all that the range set offers.
    pub place: u128,
    pub change: Change,
}

/// What happens to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Claim,
    Release,
}

/// What one run of the policy cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyRun {
    pub fuel: u64,
    /// Questions and log lines.
    pub host_calls: u64,
    pub took: Duration,
}

/// Refusals of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub count: u64,
    /// The words of the first one.
    pub first: String,
}

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub events: Vec<Event>,
    pub runs: Vec<PolicyRun>,
    /// How many pods got their addresses.
    pub allocations: u64,
    /// The pods that did not, by the kind of their refusal.
    pub refusals: BTreeMap<&'static str, Refused>,
    /// How many allocations (the value) took how many runs of the policy beyond the first (the key).
    pub retries: BTreeMap<u64, u64>,
    /// For each pod that came back under its name, whether it got the addresses it had before.
    pub returns: Vec<bool>,
    /// When the ranges were filled, since the beginning.
    pub filled: Duration,
    /// When the simulation was over, since the beginning.
    pub ended: Duration,
}

impl History {
    pub(super) fn add_runs(&mut self, calls: &[Call]) {
        for call in calls {
            self.runs.push(PolicyRun { fuel: call.spent.fuel, host_calls: call.spent.host_calls, took: call.took });
        }
    }

    pub(super) fn add_allocation(&mut self, calls: usize) {
        self.allocations += 1;
        *self.retries.entry(calls.saturating_sub(1) as u64).or_default() += 1;
    }

    pub(super) fn add_refusal(&mut self, error: &Error) {
        let refused =
            self.refusals.entry(kind(error)).or_insert_with(|| Refused { count: 0, first: error.to_string() });
        refused.count += 1;
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Refused { refusal } => refusal.kind(),
        Error::Taken { .. } => "taken",
        Error::Contended { .. } => "contended",
        Error::Policy(_) => "faulted",
        _ => "failed",
    }
}
