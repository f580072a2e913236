//! What calls came to, in numbers: sums that can be added to each other, so that one call and a year of calls are written
//! in the same way.

use std::collections::BTreeMap;
use std::time::Duration;

use limits::COUNTED_SERIES;
use serde::{Deserialize, Serialize};

/// Stands for the networks, policies and phases beyond those that are counted by name.
pub const OTHERS: &str = "(others)";

/// Seconds at which the buckets of durations end: an ADD on a node's disk takes two milliseconds, one through etcd some ten,
/// and what waits for another pod or a compiler takes seconds.
pub const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// The bound, in microseconds, of what is longer than all buckets.
const ENDLESS: u64 = u64::MAX;

/// What one call came to, or many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls by network, verb and the code that they were answered with, 0 where they succeeded.
    #[serde(with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<(String, String, u32), u64>,
    /// Decisions by network, policy and verdict.
    #[serde(with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub decisions: BTreeMap<(String, String, String), u64>,
    /// How long ADDs took, from the start of the process to its answer.
    #[serde(skip_serializing_if = "Durations::is_empty")]
    pub adds: Durations,
    /// How long they took in each of their phases.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<String, Durations>,
    /// How much of what was written could not be read again.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable: u64,
}

/// Durations, sorted into buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many there are in each bucket, by the bound of the bucket in microseconds: what was written stays true where
    /// another version has other buckets.
    #[serde(with = "pairs")]
    buckets: BTreeMap<u64, u64>,
    microseconds: u64,
}

impl Counts {
    /// Add what other calls came to.
    pub fn add(&mut self, other: Self) {
        for (mut key, count) in other.calls {
            if is_surplus(&self.calls, &key) {
                OTHERS.clone_into(&mut key.0);
            }
            *self.calls.entry(key).or_default() += count;
        }
        for (mut key, count) in other.decisions {
            if is_surplus(&self.decisions, &key) {
                (key.0, key.1) = (OTHERS.to_owned(), OTHERS.to_owned());
            }
            *self.decisions.entry(key).or_default() += count;
        }
        self.adds.add(other.adds);
        for (mut phase, durations) in other.phases {
            if is_surplus(&self.phases, &phase) {
                OTHERS.clone_into(&mut phase);
            }
            self.phases.entry(phase).or_default().add(durations);
        }
        self.unreadable += other.unreadable;
    }

    /// Add all that is written in these lines. What is not a line of ours is counted as unreadable.
    pub fn add_lines(&mut self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(counts) => self.add(counts),
                Err(_) => self.unreadable += 1,
            }
        }
    }
}

/// Whether a map has no room for this key. Who runs many networks by names that change would have a file that grows, and a
/// Prometheus that does.
fn is_surplus<K: Ord, V>(map: &BTreeMap<K, V>, key: &K) -> bool {
    map.len() >= COUNTED_SERIES && !map.contains_key(key)
}

impl Durations {
    pub fn of(took: Duration) -> Self {
        let mut durations = Self::default();
        let bound = BUCKETS.iter().find(|bound| took.as_secs_f64() <= **bound);
        durations.buckets.insert(bound.map_or(ENDLESS, |bound| microseconds(*bound)), 1);
        durations.microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        durations
    }

    fn add(&mut self, other: Self) {
        for (bound, count) in other.buckets {
            *self.buckets.entry(bound).or_default() += count;
        }
        self.microseconds = self.microseconds.saturating_add(other.microseconds);
    }

    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// All of them together.
    pub fn seconds(&self) -> f64 {
        self.microseconds as f64 / 1e6
    }

    /// How many took no longer than so many seconds.
    pub fn within(&self, seconds: f64) -> u64 {
        self.buckets.range(..=microseconds(seconds)).map(|(_, count)| count).sum()
    }

    fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

fn microseconds(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

/// For fields that are left out where they say nothing; serde asks for the reference.
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A map as a list of pairs: the keys of a JSON object are texts, and those of these maps are not.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(network: &str, code: u32, milliseconds: u64) -> Counts {
        let took = Durations::of(Duration::from_millis(milliseconds));
        Counts {
            calls: [((network.to_owned(), "ADD".to_owned(), code), 1)].into(),
            decisions: [((network.to_owned(), "p".to_owned(), "proposed".to_owned()), 1)].into(),
            phases: [("commit".to_owned(), took.clone())].into(),
            adds: took,
            unreadable: 0,
        }
    }

    #[test]
    fn a_sum_reads_as_what_it_is_the_sum_of() {
        let calls = [call("blue", 0, 2), call("red", 101, 700), call("blue", 0, 60_000)];
        let mut sum = Counts::default();
        calls.iter().cloned().for_each(|call| sum.add(call));
        let lines: Vec<String> = calls.iter().map(|call| serde_json::to_string(call).unwrap()).collect();
        let mut read = Counts::default();
        read.add_lines(lines.join("\n\n").as_bytes());
        assert_eq!(read, sum);
        let mut again = Counts::default();
        again.add_lines(&serde_json::to_vec(&sum).unwrap());
        assert_eq!(again, sum);
        assert_eq!(sum.calls[&("blue".to_owned(), "ADD".to_owned(), 0)], 2);
    }

    #[test]
    fn durations_lie_in_the_first_bucket_that_has_room_for_them() {
        let mut all = Durations::default();
        for microseconds in [900, 1_000, 1_001, 700_000, 60_000_000] {
            all.add(Durations::of(Duration::from_micros(microseconds)));
        }
        assert_eq!(BUCKETS.map(|bound| all.within(bound)), [2, 3, 3, 3, 3, 3, 3, 3, 4, 4]);
        assert_eq!(all.count(), 5);
        assert!((all.seconds() - 60.702_901).abs() < 1e-9);
    }

    #[test]
    fn what_is_damaged_is_counted_and_hides_nothing() {
        let good = serde_json::to_string(&call("blue", 0, 1)).unwrap();
        let mut read = Counts::default();
        read.add_lines(format!("{good}\n{}\n\0\0\n{good}\n", &good[..20]).as_bytes());
        assert_eq!((read.adds.count(), read.unreadable), (2, 2));
    }

    #[test]
    fn names_without_end_do_not_make_series_without_end() {
        let mut all = Counts::default();
        for nth in 0..COUNTED_SERIES + 50 {
            all.add(call(&format!("network-{nth}"), 0, 1));
        }
        assert_eq!((all.calls.len(), all.decisions.len()), (COUNTED_SERIES + 1, COUNTED_SERIES + 1));
        assert_eq!(all.calls[&(OTHERS.to_owned(), "ADD".to_owned(), 0)], 50);
        all.add(call("network-0", 0, 1));
        assert_eq!(all.calls[&("network-0".to_owned(), "ADD".to_owned(), 0)], 2);
    }
}
