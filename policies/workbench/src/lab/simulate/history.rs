//! What happened in a simulation: all that the report and the picture are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use engine::Call;
use kube_ipam::verbs::Error;

/// An address changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Since the beginning.
    pub at: Duration,
    /// Which time that nodes ask; what ends is released before they do.
    pub round: u64,
    /// The range set.
    pub range_set: usize,
    /// The address, as its place among all that the range set offers.
    pub place: u128,
    /// Claimed or released.
    pub change: Change,
}

/// What happens to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody held it, now somebody does.
    Claim,
    /// The reverse.
    Release,
}

/// One run of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Of the limit.
    pub fuel: u64,
    /// Questions and log lines.
    pub host_calls: u64,
    /// In this process.
    pub took: Duration,
}

/// Refusals of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// What the first was told.
    pub first: String,
}

/// Everything, in order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Claims and releases.
    pub events: Vec<Event>,
    /// Runs of the policy.
    pub runs: Vec<Run>,
    /// Pods that got their addresses.
    pub allocations: u64,
    /// Pods that did not, by kind.
    pub refusals: BTreeMap<&'static str, Refused>,
    /// How many allocations took how many runs of the policy beyond the first.
    pub retries: BTreeMap<u64, u64>,
    /// Pods that came back under their name: whether with the addresses they had.
    pub returns: Vec<bool>,
    /// When the ranges were filled.
    pub filled: Duration,
    /// When it was over.
    pub ended: Duration,
}

impl History {
    pub(super) fn ran(&mut self, calls: &[Call]) {
        let run = |call: &Call| Run { fuel: call.spent.fuel, host_calls: call.spent.host_calls, took: call.took };
        self.runs.extend(calls.iter().map(run));
    }

    pub(super) fn allocated(&mut self, calls: usize) {
        self.allocations += 1;
        *self.retries.entry(calls.saturating_sub(1) as u64).or_default() += 1;
    }

    pub(super) fn refused(&mut self, error: &Error) {
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
