//! What became of the calls of the last day, as the log of this node tells it: how many failed, with which codes, and in which
//! namespaces the policy is at fault.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::check::Check;
use crate::config::Base;
use crate::telemetry::{LogLine, end_of};
use cni::code;
use files::older;
use limits::LOG_READ;

/// How far back calls are counted.
const SINCE: SignedDuration = SignedDuration::from_hours(24);

/// Namespaces that are named; there may be thousands.
const NAMED: usize = 5;

/// Calls of one network.
#[derive(Debug, Default, PartialEq, Eq)]
struct Calls {
    all: u64,
    by_code: BTreeMap<u32, u64>,
    /// Faults of the policy, by the namespace of the pod.
    faults: BTreeMap<String, u64>,
}

/// No check where there is no log, or none of this network's calls in it.
pub(super) fn calls(base: &Base) -> Option<Check> {
    let file = base.log.file.as_ref()?;
    let mut calls = Calls::default();
    let since = Timestamp::now().checked_sub(SINCE).unwrap_or(Timestamp::UNIX_EPOCH);
    for file in [older(file), file.clone()] {
        calls.count(&end_of(&file, LOG_READ), &base.network, since);
    }
    if calls.all == 0 {
        return None;
    }
    let failed: u64 = calls.by_code.values().sum();
    let mut detail = format!("{} in the last 24 hours, {failed} of them failed", calls.all);
    for (code, count) in &calls.by_code {
        detail.push_str(&format!(", {count} with code {code}"));
    }
    if calls.faults.is_empty() {
        return Some(Check::good("calls", detail));
    }
    let mut faults: Vec<(&String, &u64)> = calls.faults.iter().collect();
    faults.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<String> =
        faults.iter().take(NAMED).map(|(namespace, count)| format!("{namespace} {count}")).collect();
    detail.push_str(&format!("; faults of the policy by namespace: {}", named.join(", ")));
    let hint = format!(
        "`grep code={} {}` shows each with its pod and its reason; until the module is repaired, policy.onFault: \"default\" \
         lets the built-in policy decide",
        code::POLICY_FAULT,
        file.display()
    );
    Some(Check::warning("calls", detail, Some(hint)))
}

impl Calls {
    fn count(&mut self, log: &str, network: &str, since: Timestamp) {
        for (line, code) in LogLine::calls_in(log) {
            if line.field("network") != Some(network) || line.at < since {
                continue;
            }
            self.all += 1;
            if code == 0 {
                continue;
            }
            *self.by_code.entry(code).or_default() += 1;
            if code == code::POLICY_FAULT {
                let pod = line.field("pod").unwrap_or_default();
                let namespace = pod.split_once('/').map_or("(no pod)", |(namespace, _)| namespace);
                *self.faults.entry(namespace.to_owned()).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_code_and_faults_by_namespace() {
        let log = "\
            2026-01-02T00:00:00.000000Z INFO verb=ADD network=blue container=c pod=shop/a node=n code=0 ms=1\n\
            2026-01-02T00:00:00.000000Z WARN verb=ADD network=blue container=c pod=shop/a node=n message=x\n\
            2026-01-02T00:00:00.000000Z ERROR verb=ADD network=blue container=c pod=shop/a node=n code=105 error=\"a code=7 b\"\n\
            2026-01-02T00:00:00.000000Z ERROR verb=ADD network=blue container=c pod=lab/a node=n code=101 error=x\n\
            2026-01-02T00:00:00.000000Z ERROR verb=ADD network=red container=c pod=lab/a node=n code=105 error=x\n\
            2025-12-31T00:00:00.000000Z ERROR verb=ADD network=blue container=c pod=lab/a node=n code=105 error=x\n\
            nonsense network=blue code=105\n";
        let mut calls = Calls::default();
        calls.count(log, "blue", "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(calls.all, 3);
        assert_eq!(calls.by_code, [(101, 1), (105, 1)].into());
        assert_eq!(calls.faults, [("shop".to_owned(), 1)].into());
    }
}
