//! The model of the load, and the dice.
//!
//! The first pods fill the ranges to the target population. From then on `contention` nodes ask at once at regular
//! intervals, such that the share `churn` of the target is replaced every hour, and every pod runs for a time drawn
//! from an exponential distribution whose mean is an hour divided by `churn`. That distribution has no memory of how
//! long a pod has run already, so that the pods of the filling need no age, and the population stays around its target
//! whatever the churn is: churn only scales the clock. Lifetimes are therefore counted in mean lifetimes.
//!
//! Pods of StatefulSets are made while the ranges are filled. They come back under their name as soon as they end, on
//! whatever node is next, in the place of a new pod; one that is refused asks again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Serialize, Serializer};

use ipam::RangeSets;

const MILLION: u64 = 1_000_000;

/// The time over which churn is counted.
const HOUR: Duration = Duration::from_secs(3_600);

/// How many pods start and end, how fast, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// How many pods start in all.
    pub pods: u64,
    /// The share of the target population that is replaced every hour; several are run one after another.
    pub churn: Vec<Share>,
    /// The target population, as a share of the smallest range set's size.
    pub fill: Share,
    /// The share of the pods of the filling that belong to a StatefulSet and come back under their name.
    pub stateful: Share,
    /// How many nodes ask at once.
    pub contention: u64,
    /// How many nodes there are, `node-1` to `node-N`.
    pub nodes: u64,
    /// How many namespaces there are, `namespace-1` to `namespace-N`.
    pub namespaces: u64,
    pub seed: u64,
}

/// A share, in millionths: a whole number, which every machine adds and compares alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(MILLION);
}

/// A time in mean lifetimes of a pod, in units of 2⁻³² of one.
pub(super) type Lifetimes = u64;

/// One mean lifetime.
const MEAN: u64 = 1 << 32;

impl Model {
    /// How many pods run when the ranges are filled: a pod has one address of every range set.
    pub(super) fn target(&self, range_sets: &RangeSets) -> u64 {
        let smallest = range_sets.iter().map(|set| u64::try_from(set.size()).unwrap_or(u64::MAX)).min().unwrap_or(0);
        let target = u128::from(smallest) * u128::from(self.fill.0) / u128::from(MILLION);
        u64::try_from(target).unwrap_or(u64::MAX).clamp(1, self.pods)
    }

    /// The time from one round of asking to the next, when so many of all pods have started.
    pub(super) fn interval(&self, started: u64, target: u64) -> Duration {
        // Each churn has an equal part of the pods that start after the filling.
        let all = u128::from(self.pods.saturating_sub(target)).max(1);
        let phase = u128::from(started.saturating_sub(target)) * self.churn.len() as u128 / all;
        let Some(churn) = usize::try_from(phase).ok().and_then(|phase| self.churn.get(phase)) else { return HOUR };
        let micros = HOUR.as_micros() * u128::from(self.contention) * u128::from(MILLION)
            / (u128::from(target) * u128::from(churn.0));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// The time from one round to the next in mean lifetimes, whatever the churn.
    pub(super) fn interval_in_lifetimes(&self, target: u64) -> Lifetimes {
        u64::try_from(u128::from(MEAN) * u128::from(self.contention) / u128::from(target)).unwrap_or(u64::MAX)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number such as 0.3"))?;
        // The only floating point before the report: parsing, one multiplication and rounding, of all of which IEEE 754
        // says the result to the last bit.
        let millionths = (number * MILLION as f64).round();
        if !(1.0..=1e9).contains(&millionths) {
            return Err(format!("{text} is not between 0.000001 and 1000"));
        }
        Ok(Self(millionths as u64))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 as f64 / 1e4)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

/// Random numbers that are the same everywhere.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Draw a number below this one.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Decide whether something happens that happens to this share.
    pub(super) fn hits(&mut self, share: Share) -> bool {
        // Where the share is nothing, nothing is drawn: an option that is not used does not change what else is drawn.
        share != Share::NONE && self.below(MILLION) < share.0
    }

    /// Draw a lifetime, exponentially distributed with mean one. A logarithm may differ in its last bit between machines;
    /// this compares integers alone (von Neumann 1951): a run of falling numbers of odd length gives its first one as
    /// the fraction, one of even length adds a whole.
    pub(super) fn lifetime(&mut self) -> Lifetimes {
        let mut whole = 0;
        loop {
            let first = self.0.next_u64();
            let (mut last, mut length) = (first, 1_u64);
            loop {
                let next = self.0.next_u64();
                if next >= last {
                    break;
                }
                (last, length) = (next, length + 1);
            }
            if length % 2 == 1 {
                return whole + (first >> 32);
            }
            whole += MEAN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parsed_to_the_millionth_and_bounded() {
        let share = |text: &str| text.parse::<Share>();
        assert_eq!(share("0.3"), Ok(Share(300_000)));
        assert_eq!(share("2").unwrap().to_string(), "200%");
        assert_eq!(share("0.075").unwrap().to_string(), "7.5%");
        for wrong in ["0", "-1", "1001", "NaN", "inf", "much"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lives_are_exponentially_distributed() {
        let mut dice = Dice::new(7);
        let lives: Vec<Lifetimes> = (0..100_000).map(|_| dice.lifetime()).collect();
        let above = |bound: u64| lives.iter().filter(|life| **life > bound).count();
        let mean = lives.iter().sum::<u64>() / lives.len() as u64;
        assert!((mean as i64 - MEAN as i64).unsigned_abs() < MEAN / 100, "{mean}");
        // 1/e and 1/e³ of them.
        assert!((36_300..37_300).contains(&above(MEAN)), "{}", above(MEAN));
        assert!((4_700..5_250).contains(&above(3 * MEAN)), "{}", above(3 * MEAN));
    }

    #[test]
    fn churn_is_a_share_of_the_target_an_hour() {
        let share = |text: &str| text.parse::<Share>().unwrap();
        let model = Model {
            pods: 3_000,
            churn: vec![share("0.5"), share("5")],
            fill: share("0.7"),
            stateful: Share::NONE,
            contention: 5,
            nodes: 1,
            namespaces: 1,
            seed: 1,
        };
        // 500 pods of 1,000 an hour, five at a time; then ten times as many.
        assert_eq!(model.interval(1_000, 1_000), Duration::from_secs(36));
        assert_eq!(model.interval(1_999, 1_000), Duration::from_secs(36));
        assert_eq!(model.interval(2_000, 1_000), Duration::from_millis(3_600));
        assert_eq!(model.interval_in_lifetimes(1_000), MEAN / 200);
    }
}
