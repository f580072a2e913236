//! Numbers from a history. Pure. Means are quotients of integers, so that they are the same on every machine.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;

use super::history::{Change, Event};

/// How numbers are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub min: u64,
    pub median: u64,
    pub mean: f64,
    /// The smallest number that ninety-nine of a hundred do not exceed.
    pub p99: u64,
    pub max: u64,
}

/// How much of a range set is held, as shares of its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Utilisation {
    /// The mean over the time since the ranges were filled.
    pub mean: f64,
    /// The highest share at any time.
    pub peak: f64,
}

/// How the free addresses lie: in few long runs, or in many short ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreeSpace {
    /// The number of runs of free neighbours.
    pub runs: f64,
    /// The mean length of a run.
    pub mean_length: f64,
    /// The longest run, as a share of all free addresses.
    pub largest_share: f64,
}

/// How soon a released address is claimed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reuse {
    /// How many claims were of an address that had been held before.
    pub count: u64,
    /// Other claims in the range set between the release and the next claim.
    pub claims: Spread,
    /// Seconds between the release and the next claim.
    pub seconds: Spread,
    /// The share that was claimed by the very next nodes that asked.
    pub at_once: f64,
}

impl Spread {
    pub fn of(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        let (Some(&min), Some(&max)) = (numbers.first(), numbers.last()) else { return Self::default() };
        let sum: u128 = numbers.iter().copied().map(u128::from).sum();
        let mean = quotient(sum, numbers.len() as u128);
        let last = numbers.len() - 1;
        Self { min, median: numbers[last * 50 / 100], mean, p99: numbers[last * 99 / 100], max }
    }
}

/// The quotient, rounded to four places.
pub(super) fn quotient(one: u128, two: u128) -> f64 {
    round(one as f64 / two.max(1) as f64)
}

fn round(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// How much of `size` addresses is held from one moment to another.
pub(super) fn utilisation(events: &[Event], size: u128, from: Duration, until: Duration) -> Utilisation {
    // The mean is the area under the curve of what is held, in addresses times microseconds, by the time and the size.
    let (mut held, mut peak, mut last, mut area) = (0_u128, 0, from, 0);
    for event in events {
        // What happened earlier counts from the beginning of the window on, with no time of its own.
        let at = event.at.clamp(from, until.max(from));
        area += held * (at - last).as_micros();
        last = at;
        match event.change {
            Change::Claim => held += 1,
            Change::Release => held = held.saturating_sub(1),
        }
        peak = peak.max(held);
    }
    area += held * until.saturating_sub(last).as_micros();
    let mean = match until.saturating_sub(from).as_micros() {
        0 => quotient(held, size),
        time => round(area as f64 / time as f64 / size.max(1) as f64),
    };
    Utilisation { mean, peak: quotient(peak, size) }
}

/// The runs of free addresses in stretches of neighbouring places. A stretch is its first place and its length.
pub(super) fn free_space(stretches: &[(u128, u128)], held: &BTreeSet<u128>) -> FreeSpace {
    let (mut runs, mut free, mut largest) = (0_u128, 0_u128, 0_u128);
    for &(first, length) in stretches {
        let mut next = first;
        let end = first + length;
        for place in held.range(first..end).copied().chain([end]) {
            let run = place - next;
            runs += u128::from(run > 0);
            free += run;
            largest = largest.max(run);
            next = place + 1;
        }
    }
    FreeSpace {
        runs: quotient(runs, 1),
        mean_length: quotient(free, runs),
        largest_share: if free == 0 { 0.0 } else { quotient(largest, free) },
    }
}

/// The mean of each number.
pub(super) fn mean(spaces: &[FreeSpace]) -> FreeSpace {
    let mut sum = FreeSpace::default();
    for space in spaces {
        sum.runs += space.runs;
        sum.mean_length += space.mean_length;
        sum.largest_share += space.largest_share;
    }
    let count = spaces.len().max(1) as f64;
    FreeSpace {
        runs: round(sum.runs / count),
        mean_length: round(sum.mean_length / count),
        largest_share: round(sum.largest_share / count),
    }
}

/// Tell which places are held at each of these moments, which are in order.
pub(super) fn held_at(events: &[Event], moments: &[Duration], mut tell: impl FnMut(&BTreeSet<u128>)) {
    let mut held = BTreeSet::new();
    let mut events = events.iter().peekable();
    for moment in moments {
        while let Some(event) = events.next_if(|event| event.at <= *moment) {
            match event.change {
                Change::Claim => held.insert(event.place),
                Change::Release => held.remove(&event.place),
            };
        }
        tell(&held);
    }
}

/// How far the next claim of an address is from its release.
pub(super) fn reuse(events: &[Event]) -> Reuse {
    // By place, the last release of it and how many claims there had been until then.
    let mut released: HashMap<u128, (&Event, u64)> = HashMap::new();
    let (mut claims, mut distances, mut seconds, mut at_once) = (0, Vec::new(), Vec::new(), 0);
    for event in events {
        match event.change {
            Change::Release => {
                released.insert(event.place, (event, claims));
            }
            Change::Claim => {
                if let Some((release, claims_then)) = released.remove(&event.place) {
                    distances.push(claims - claims_then);
                    seconds.push((event.at - release.at).as_secs());
                    at_once += u128::from(event.round == release.round);
                }
                claims += 1;
            }
        }
    }
    let count = distances.len() as u64;
    Reuse {
        count,
        claims: Spread::of(distances),
        seconds: Spread::of(seconds),
        at_once: quotient(at_once, count.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: u64, change: Change, place: u128) -> Event {
        Event { at: Duration::from_secs(second), round: second / 10, range_set: 0, place, change }
    }

    fn claim(second: u64, place: u128) -> Event {
        event(second, Change::Claim, place)
    }

    fn release(second: u64, place: u128) -> Event {
        event(second, Change::Release, place)
    }

    #[test]
    fn spreads_are_those_of_the_sorted_numbers() {
        let spread = Spread::of((1..=101).rev().collect());
        assert_eq!(spread, Spread { min: 1, median: 51, mean: 51.0, p99: 100, max: 101 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        assert_eq!(Spread::of(vec![1, 2]).mean, 1.5);
    }

    #[test]
    fn utilisation_weighs_what_is_held_by_its_time() {
        let seconds = Duration::from_secs;
        // Two of ten from the beginning; a third from 10 to 20; one from 30 on.
        let events = [claim(0, 0), claim(1, 1), claim(10, 2), release(20, 2), release(30, 0)];
        let found = utilisation(&events, 10, seconds(2), seconds(42));
        let area = 2 * 8 + 3 * 10 + 2 * 10 + 12;
        assert_eq!(found, Utilisation { mean: f64::from(area) / 400.0, peak: 0.3 });
        assert_eq!(utilisation(&events[..2], 10, seconds(2), seconds(2)).mean, 0.2, "no time passed");
    }

    #[test]
    fn free_runs_end_at_what_is_held_and_at_the_ends_of_stretches() {
        // Places 0-9 and 10-13: . . x . . . . . x x | . x . .
        let held = BTreeSet::from([2, 8, 9, 11]);
        let found = free_space(&[(0, 10), (10, 4)], &held);
        // 2, 5, 1, 2
        assert_eq!(found, FreeSpace { runs: 4.0, mean_length: 2.5, largest_share: 0.5 });
        let full = free_space(&[(0, 2)], &BTreeSet::from([0, 1]));
        assert_eq!(full, FreeSpace::default());
        assert_eq!(mean(&[found, full]), FreeSpace { runs: 2.0, mean_length: 1.25, largest_share: 0.25 });
    }

    #[test]
    fn reuse_counts_the_claims_and_the_time_in_between() {
        let events = [
            claim(0, 0),
            claim(1, 1),
            release(10, 0),
            claim(11, 0), // at once
            release(20, 1),
            claim(21, 2),
            claim(40, 3),
            claim(50, 1), // two claims later
            release(60, 3),
        ];
        let found = reuse(&events);
        assert_eq!((found.count, found.at_once), (2, 0.5));
        assert_eq!((found.claims.min, found.claims.max, found.claims.mean), (0, 2, 1.0));
        assert_eq!((found.seconds.min, found.seconds.max), (1, 30));
    }

    #[test]
    fn moments_see_all_that_happened_until_then() {
        let events = [claim(0, 0), claim(1, 1), release(2, 0)];
        let mut seen = Vec::new();
        let moments = [0, 1, 9].map(Duration::from_secs);
        held_at(&events, &moments, |held| seen.push(held.iter().copied().collect::<Vec<_>>()));
        assert_eq!(seen, [vec![0], vec![0, 1], vec![1]]);
    }
}
