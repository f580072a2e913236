//! How long nobody was served.

use std::collections::BTreeMap;
use std::time::Duration;

use kube_ipam_tests::history::{Event, What};
use serde_json::{Value, json};

use super::faults::Fault;

/// A row for each fault: how often it struck, and the longest time in which no call was answered.
pub(super) fn outages(events: &[Event], struck: &[(Fault, Duration, Duration)]) -> Vec<Value> {
    let served = |event: &&Event| matches!(event.what, What::Added(_) | What::Deleted | What::Exhausted);
    let mut moments: Vec<Duration> = events.iter().filter(served).map(|event| event.end).collect();
    moments.sort();
    let mut by_fault: BTreeMap<&str, (usize, Duration)> = BTreeMap::new();
    for (fault, from, until) in struck {
        let (times, longest) = by_fault.entry(fault.name()).or_default();
        *times += 1;
        *longest = (*longest).max(longest_gap(&moments, *from, *until));
    }
    let row = |(fault, (times, longest)): (&str, (usize, Duration))| {
        let seconds = (longest.as_secs_f64() * 10.0).round() / 10.0;
        json!({"fault": fault, "times": times, "longest time without service (s)": seconds})
    };
    by_fault.into_iter().map(row).collect()
}

/// Between two moments of service, of which one at least lies within.
fn longest_gap(moments: &[Duration], from: Duration, until: Duration) -> Duration {
    let before = moments.iter().rev().find(|moment| **moment < from).copied().unwrap_or(from);
    let after = moments.iter().find(|moment| **moment > until).copied().unwrap_or(until);
    let within = moments.iter().copied().filter(|moment| (from..=until).contains(moment));
    let all: Vec<Duration> = std::iter::once(before).chain(within).chain(std::iter::once(after)).collect();
    all.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
