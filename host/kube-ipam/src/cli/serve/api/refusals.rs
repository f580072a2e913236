//! Calls that failed on this node, with their reasons: the end of its log, newest first.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::cli::serve::library::Networks;
use crate::telemetry::{LogLine, end_of};
use files::older;
use limits::serve::{LOG_SHOWN, REFUSALS};

#[derive(Default, Serialize)]
pub(super) struct RefusalsJson {
    /// The logs that were read, each with what is older beside it.
    files: Vec<PathBuf>,
    /// From when on calls were looked at; absent where there are none.
    since: Option<Timestamp>,
    calls: u64,
    /// How many of the calls failed, by their codes.
    failed: BTreeMap<u32, u64>,
    rows: Vec<RefusalJson>,
    /// Failures that are left out.
    more: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct RefusalJson {
    at: Timestamp,
    code: u32,
    verb: Option<String>,
    network: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    interface: Option<String>,
    node: Option<String>,
    error: Option<String>,
    hint: Option<String>,
}

pub(super) async fn refusals(networks: &Networks) -> RefusalsJson {
    let mut files: Vec<PathBuf> = networks.opened.iter().filter_map(|opened| opened.base.log.file.clone()).collect();
    files.sort();
    files.dedup();
    let names: Vec<String> = networks.opened.iter().map(|opened| opened.base.network.clone()).collect();
    // Megabytes from a disk: on another thread.
    let read = spawn_blocking(move || RefusalsJson::read(files, &names));
    read.await.unwrap_or_default()
}

impl RefusalsJson {
    fn read(files: Vec<PathBuf>, networks: &[String]) -> Self {
        let mut told = Self::default();
        for file in &files {
            for part in [older(file), file.clone()] {
                told.add(&end_of(&part, LOG_SHOWN), networks);
            }
        }
        told.files = files;
        told.rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        told.more = told.rows.len().saturating_sub(REFUSALS);
        told.rows.truncate(REFUSALS);
        told
    }

    fn add(&mut self, log: &str, networks: &[String]) {
        for (line, code) in LogLine::calls_in(log) {
            // A call that failed before its network was known is everybody's.
            if line.field("network").is_some_and(|network| !networks.iter().any(|name| name == network)) {
                continue;
            }
            self.calls += 1;
            self.since = Some(self.since.map_or(line.at, |since| since.min(line.at)));
            if code == 0 {
                continue;
            }
            *self.failed.entry(code).or_default() += 1;
            self.rows.push(RefusalJson::of(&line, code));
        }
    }
}

impl RefusalJson {
    fn of(line: &LogLine, code: u32) -> Self {
        let field = |key| line.field(key).map(str::to_owned);
        Self {
            at: line.at,
            code,
            verb: field("verb"),
            network: field("network"),
            pod: field("pod"),
            container: field("container"),
            interface: field("interface"),
            node: field("node"),
            error: field("error"),
            hint: field("hint"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_with_their_reasons_and_the_rest_is_counted() {
        let log = "\
            2026-01-02T00:00:00.000000Z INFO verb=ADD network=blue container=c pod=shop/a node=n code=0 ms=1\n\
            2026-01-02T00:00:01.000000Z WARN verb=ADD network=blue container=c message=\"a code=7\"\n\
            2026-01-02T00:00:02.000000Z ERROR verb=ADD network=blue container=c pod=shop/a node=n outcome=failed code=104 \
            error=\"policy \\\"site\\\": <img src=x onerror=alert(1)> \\u{202e}\" hint=\"ask\\nagain\" ms=1\n\
            2026-01-02T00:00:03.000000Z ERROR verb=ADD network=red container=c code=101 error=x\n\
            2026-01-02T00:00:04.000000Z ERROR code=6 error=\"the configuration is not JSON\"\n\
            nonsense network=blue code=105\n";
        let mut told = RefusalsJson::default();
        told.add(log, &["blue".to_owned()]);
        assert_eq!((told.calls, told.rows.len()), (3, 2));
        assert_eq!(told.failed, [(104, 1), (6, 1)].into());
        let row = &told.rows[0];
        assert_eq!(row.error.as_deref(), Some("policy \"site\": <img src=x onerror=alert(1)> \u{202e}"));
        assert_eq!((row.hint.as_deref(), row.pod.as_deref()), (Some("ask\nagain"), Some("shop/a")));
    }
}
