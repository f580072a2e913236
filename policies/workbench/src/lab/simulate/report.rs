//! What a simulation shows, in numbers. Everything but the times depends on policy, network and model alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::history::{Event, History, PolicyRun, Refused};
use super::model::Model;
use super::space::Space;
use super::statistics::{FreeSpace, Reuse, Spread, Utilisation, free_space, held_at, mean, reuse, utilisation};
use crate::lab::World;
use ipam::{PolicyName, RangeSet};

/// How often the free space is measured, between the filling and the end.
const LOOKS: u32 = 100;

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulationReport {
    pub policy: PolicyName,
    pub model: Model,
    /// How much time passed in the world, in seconds.
    pub simulated_seconds: u64,
    /// How many pods got their addresses.
    pub allocations: u64,
    /// The pods that did not, by the kind of their refusal.
    pub refusals: BTreeMap<&'static str, Refused>,
    /// How many allocations (the value) took how many runs of the policy beyond the first (the key).
    pub retries: BTreeMap<u64, u64>,
    /// Pods of StatefulSets that came back.
    pub returns: Returns,
    /// Fuel of a run.
    pub fuel: Spread,
    /// Questions and log lines of a run.
    pub host_calls: Spread,
    /// One for each range set, in the order of the configuration.
    pub range_sets: Vec<RangeSetReport>,
    pub times: Times,
}

/// Pods that came back under their name and were served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Returns {
    pub count: u64,
    /// How many of them got all the addresses they had.
    pub same_addresses: u64,
}

/// The numbers of one range set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeSetReport {
    pub subnets: Vec<String>,
    /// How many addresses it offers.
    pub size: u128,
    /// How many of them were ever held.
    pub ever_held: u64,
    pub utilisation: Utilisation,
    /// The mean since the ranges were filled.
    pub free_space: FreeSpace,
    pub free_space_at_end: FreeSpace,
    pub reuse: Reuse,
}

/// What differs from machine to machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Microseconds of a run of the policy.
    pub decision_micros: Spread,
    /// Seconds of the whole simulation.
    pub seconds: f64,
}

impl SimulationReport {
    pub fn of(world: &World, model: &Model, history: &History, took: Duration) -> Self {
        let micros = |run: &PolicyRun| u64::try_from(run.took.as_micros()).unwrap_or(u64::MAX);
        Self {
            policy: world.policy().name().clone(),
            model: model.clone(),
            simulated_seconds: history.ended.as_secs(),
            allocations: history.allocations,
            refusals: history.refusals.clone(),
            retries: history.retries.clone(),
            returns: Returns {
                count: history.returns.len() as u64,
                same_addresses: history.returns.iter().filter(|same| **same).count() as u64,
            },
            fuel: Spread::of(history.runs.iter().map(|run| run.fuel).collect()),
            host_calls: Spread::of(history.runs.iter().map(|run| run.host_calls).collect()),
            range_sets: (0..)
                .zip(world.range_sets().iter())
                .map(|(nth, set)| RangeSetReport::of(set, nth, history))
                .collect(),
            times: Times {
                decision_micros: Spread::of(history.runs.iter().map(micros).collect()),
                seconds: took.as_secs_f64(),
            },
        }
    }
}

impl RangeSetReport {
    fn of(set: &RangeSet, nth: usize, history: &History) -> Self {
        let events: Vec<Event> = history.events.iter().filter(|event| event.range_set == nth).copied().collect();
        let stretches = Space::of(set).stretches();
        let since = history.ended - history.filled;
        let looks: Vec<Duration> = (0..=LOOKS).map(|look| history.filled + since * look / LOOKS).collect();
        let mut spaces = Vec::new();
        held_at(&events, &looks, |held| spaces.push(free_space(&stretches, held)));
        let mut places: Vec<u128> = events.iter().map(|event| event.place).collect();
        places.sort_unstable();
        places.dedup();
        Self {
            subnets: set.ranges().iter().map(|range| range.subnet().to_string()).collect(),
            size: set.size(),
            ever_held: places.len() as u64,
            utilisation: utilisation(&events, set.size(), history.filled, history.ended),
            free_space: mean(&spaces),
            free_space_at_end: spaces.last().copied().unwrap_or_default(),
            reuse: reuse(&events),
        }
    }
}
