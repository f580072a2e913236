//! One schedule after the other, until one breaks a promise.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::choices::Choices;
use crate::clock;
use crate::scenarios::{self, Scenario};
use crate::sim::{self, Beginning, Bounds, State};

/// A schedule that breaks a promise. The file of it replays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterexample {
    pub scenario: String,
    pub what: String,
    pub cost: u32,
    pub faults: u32,
    pub all_orders: bool,
    pub choices: Vec<u32>,
    /// What happened, for people.
    #[serde(default)]
    pub trace: Vec<String>,
}

/// What came of a search.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    pub schedules: u64,
    pub steps: u64,
    pub faults: u64,
    /// The schedules of each cost, all of them.
    pub whole: Option<u32>,
    pub took: Duration,
    pub broken: Option<Counterexample>,
}

/// When a search ends without a counterexample.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub cost: u32,
    pub schedules: u64,
    pub time: Duration,
}

/// Run on an event loop with clocks of its own. `search` is given a thread on which nothing waits for the kernel.
pub fn on_a_loop<T>(search: impl AsyncFnOnce() -> T) -> T {
    clock::begin();
    let built = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let result = built.expect("an event loop").block_on(search());
    clock::end();
    result
}

/// Every schedule of a scenario, in the order of what they cost: first those in which little is out of the ordinary.
pub async fn exhaust(scenario: &Scenario, limits: Limits) -> Searched {
    let began = real_now();
    let mut searched = Searched::default();
    let mut known = Known::default();
    for cost in 0..=limits.cost {
        let bounds = Bounds { cost, faults: cost, all_orders: false };
        let mut choices = Choices::exhaustive();
        loop {
            let state = run_once(scenario, choices, bounds, Some(&mut known)).await;
            // Those that cost less were counted before.
            if state.spent == cost {
                searched.count(&state);
            }
            if state.broken.is_some() {
                searched.broken = Some(counterexample(scenario, &state.choices.picked(), bounds).await);
                searched.took = real_now() - began;
                return searched;
            }
            choices = state.choices;
            if !choices.advance() {
                searched.whole = Some(cost);
                break;
            }
            let is_over = searched.schedules >= limits.schedules
                || searched.schedules.is_multiple_of(256) && real_now() - began > limits.time;
            if is_over {
                searched.took = real_now() - began;
                return searched;
            }
        }
    }
    searched.took = real_now() - began;
    searched
}

/// Schedules at random, each by the number after the last one's.
pub async fn wander(scenario: &Scenario, seed: u64, time: Duration, most: u64) -> Searched {
    let began = real_now();
    let bounds = Bounds { cost: 4, faults: 4, all_orders: true };
    let mut searched = Searched::default();
    let mut known = Known::default();
    for nth in 0..most {
        let state = run_once(scenario, Choices::random(seed + nth), bounds, Some(&mut known)).await;
        searched.count(&state);
        if state.broken.is_some() {
            searched.broken = Some(counterexample(scenario, &state.choices.picked(), bounds).await);
            break;
        }
        if nth % 64 == 0 && real_now() - began > time {
            break;
        }
    }
    searched.took = real_now() - began;
    searched
}

/// A schedule that is written down, with what happens in it.
pub async fn replay(file: &Path) -> Result<Counterexample, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let written: Counterexample =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let scenario = scenarios::named(&written.scenario).ok_or_else(|| format!("no scenario {:?}", written.scenario))?;
    let bounds = Bounds { cost: written.cost, faults: written.faults, all_orders: written.all_orders };
    Ok(counterexample(&scenario, &written.choices, bounds).await)
}

async fn counterexample(scenario: &Scenario, picked: &[u32], bounds: Bounds) -> Counterexample {
    let state = run_once(scenario, Choices::replayed(picked), bounds, None).await;
    Counterexample {
        scenario: scenario.name.to_owned(),
        what: state.broken.unwrap_or_default(),
        cost: bounds.cost,
        faults: bounds.faults,
        all_orders: bounds.all_orders,
        choices: picked.to_vec(),
        trace: state.trace.unwrap_or_default(),
    }
}

/// What the schedules of one scenario have in common.
#[derive(Default)]
struct Known {
    beginning: Option<Beginning>,
    /// Ends that were judged, and well. What comes after the last answer is a function of the end alone.
    ends: HashSet<u64>,
}

/// One schedule. Without anything known it tells what happens.
async fn run_once(scenario: &Scenario, choices: Choices, bounds: Bounds, mut known: Option<&mut Known>) -> State {
    sim::begin(choices, bounds, &scenario.possible, known.is_none());
    match known.as_ref().and_then(|known| known.beginning.as_ref()) {
        Some(beginning) => sim::begin_so(beginning),
        None => (scenario.begin)().await,
    }
    if let Some(known) = &mut known
        && known.beginning.is_none()
    {
        known.beginning = Some(sim::beginning());
    }
    sim::set_quiet(false);
    sim::run((scenario.processes)()).await;
    sim::settle();
    if !sim::with(|state| state.broken.is_some()) {
        let end = sim::fingerprint();
        if known.as_ref().is_none_or(|known| !known.ends.contains(&end)) {
            (scenario.end)().await;
            if let Some(known) = known
                && !sim::with(|state| state.broken.is_some())
            {
                known.ends.insert(end);
            }
        }
    }
    sim::end().expect("the world of this schedule")
}

/// What a computation panics with, if it does.
pub fn caught<T>(compute: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(compute)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
    })
}

/// The time of the kernel, whatever this thread's clocks say.
fn real_now() -> Instant {
    clock::real(Instant::now)
}

impl Searched {
    fn count(&mut self, state: &State) {
        self.schedules += 1;
        self.steps += u64::from(state.steps);
        self.faults += u64::from(state.faults);
    }

    pub fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.faults += other.faults;
        self.took += other.took;
        if self.broken.is_none() {
            self.broken.clone_from(&other.broken);
        }
    }
}
