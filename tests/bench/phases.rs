//! Where the microseconds of an ADD go, as the program's own log tells: one line a span, with its busy time.

use std::collections::BTreeMap;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::network;
use serde_json::json;

const ROUNDS: usize = 200;

pub(crate) fn print() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let ipam = json!({"subnet": "10.4.0.0/14", "logFile": log, "logLevel": "debug"});
    let configuration = network(directory.path(), &ipam);
    for n in 0..ROUNDS {
        Call::new("ADD", &format!("c{n}"), &configuration).run().success();
    }
    let mut spans: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        if let (Some(name), Some(busy)) = (span_name(line), busy_microseconds(line)) {
            spans.entry(name.to_owned()).or_default().push(busy);
        }
    }
    println!("where the microseconds of an ADD go (medians of {ROUNDS}, log at level debug)");
    let mut medians = BTreeMap::new();
    for (name, samples) in &mut spans {
        samples.sort_by(f64::total_cmp);
        medians.insert(name.as_str(), samples[samples.len() / 2]);
    }
    for name in ["look_up", "load", "decide", "commit", "call"] {
        println!("  {name:<10} {:>8.0} µs", medians[name]);
    }
    println!("policy step (load + decide): {:.2} ms", (medians["load"] + medians["decide"]) / 1e3);
}

/// The innermost span of a line such as `… DEBUG ADD{…}:decide: close time.busy=21.1µs time.idle=…`.
fn span_name(line: &str) -> Option<&str> {
    let spans = line.split(": close ").next()?;
    let innermost = spans.rsplit_once("}:").map_or(spans, |(_, inner)| inner);
    innermost.split('{').next()?.split(' ').next_back()
}

fn busy_microseconds(line: &str) -> Option<f64> {
    let text = line.split("time.busy=").nth(1)?.split(' ').next()?;
    let number: f64 = text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    match text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "ns" => Some(number / 1e3),
        "µs" => Some(number),
        "ms" => Some(number * 1e3),
        "s" => Some(number * 1e6),
        _ => None,
    }
}
