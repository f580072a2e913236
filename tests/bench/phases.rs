//! Where the microseconds of an ADD go, as the program's own log tells: one line a call, with the time of each phase.

use std::collections::BTreeMap;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::network;
use serde_json::json;

const ROUNDS: usize = 200;

/// The phases of an ADD, and the whole of it.
const PHASES: [&str; 5] = ["look_up", "load", "decide", "commit", "ms"];

pub(crate) fn print() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let ipam = json!({"subnet": "10.4.0.0/14", "logFile": log});
    let configuration = network(directory.path(), &ipam);
    for n in 0..ROUNDS {
        Call::new("ADD", &format!("c{n}"), &configuration).run().success();
    }
    let log = std::fs::read_to_string(&log).unwrap();
    let mut medians = BTreeMap::new();
    for phase in PHASES {
        let mut samples: Vec<f64> = log.lines().filter_map(|line| milliseconds(line, phase)).collect();
        assert_eq!(samples.len(), ROUNDS, "an ADD is not in the log with its {phase}");
        samples.sort_by(f64::total_cmp);
        medians.insert(phase, samples[ROUNDS / 2]);
    }
    println!("where the microseconds of an ADD go (medians of {ROUNDS}, by the log)");
    for phase in PHASES {
        println!("  {phase:<10} {:>8.0} µs", medians[phase] * 1e3);
    }
    println!("policy step (load + decide): {:.2} ms", medians["load"] + medians["decide"]);
}

/// The time of a phase in the line of a call: `… ms=2.10 look_up=0.31 …`.
fn milliseconds(line: &str, phase: &str) -> Option<f64> {
    line.split(&format!(" {phase}=")).nth(1)?.split(' ').next()?.parse().ok()
}
