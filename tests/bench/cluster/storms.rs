//! Many calls at once: a node reboots, a zone restarts, many nodes start pods together. As fast as the machine takes them,
//! so that what counts is the whole time, and how long the last ones waited.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::figures::{Latency, StormFigures};
use super::pods::{BenchPod, PODS_OF_A_NODE, node_name};
use super::site::Site;

/// How often a node reboots.
const REBOOTS: usize = 5;

/// A zone's nodes start their pods a few at a time each; so many of all are on their way at once.
const OF_A_ZONE_AT_A_TIME: usize = 64;

/// Nodes that start pods together, and how many pods each starts one after the other.
const NODES: usize = 128;
const PODS_OF_EACH: usize = 16;

/// Calls of one storm.
struct Storm<'a> {
    site: &'a Site,
    name: String,
    verb: &'a str,
    pods: Vec<BenchPod>,
    at_a_time: usize,
}

pub(super) fn measure(site: &Site, zone: usize, nodes: usize) -> Vec<StormFigures> {
    site.warm_up(NODES);
    let mut figures = vec![reboot(site)];
    // Those of our own node are counted on by other parts.
    let last = site.held.min(PODS_OF_A_NODE + zone);
    if last > PODS_OF_A_NODE {
        let pods: Vec<BenchPod> = (PODS_OF_A_NODE..last).map(|n| BenchPod::held(n, nodes).restarted(1)).collect();
        let name = format!("a zone restarts: {} pods again", pods.len());
        figures.push(Storm { site, name, verb: "ADD", pods, at_a_time: OF_A_ZONE_AT_A_TIME }.run());
    }
    let mut pods = Vec::new();
    for n in 0..NODES * PODS_OF_EACH {
        pods.push(BenchPod::new("crowd", n, &node_name(n % NODES)));
    }
    let name = format!("{NODES} nodes start {PODS_OF_EACH} pods each");
    figures.push(Storm { site, name, verb: "ADD", pods: pods.clone(), at_a_time: NODES }.run());
    Storm { site, name: "their end".to_owned(), verb: "DEL", pods, at_a_time: 16 }.run();
    figures
}

/// All pods of a node get new containers, whose ADDs replace the older ones.
fn reboot(site: &Site) -> StormFigures {
    let mut pods = Vec::new();
    for n in 0..PODS_OF_A_NODE {
        pods.push(BenchPod::new("rebooted", n, &node_name(1)));
    }
    let storm = |verb, pods: &[BenchPod], at_a_time| {
        let name = format!("a node reboots: {} pods at once, median of {REBOOTS}", pods.len());
        Storm { site, name, verb, pods: pods.to_vec(), at_a_time }.run()
    };
    storm("ADD", &pods, 16);
    let mut figures = Vec::new();
    for times in 1..=REBOOTS {
        pods = pods.iter().map(|pod| pod.restarted(times)).collect();
        figures.push(storm("ADD", &pods, pods.len()));
    }
    storm("DEL", &pods, 16);
    figures.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    figures.swap_remove(REBOOTS / 2)
}

impl Storm<'_> {
    fn run(&self) -> StormFigures {
        let log = self.log();
        let more = json!({"logFile": log});
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (times, addresses) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..self.at_a_time {
                scope.spawn(|| {
                    while let Some(pod) = self.pods.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.call(pod, &more) {
                            Some((took, address)) => {
                                times.lock().unwrap().push(took);
                                let is_new = addresses.lock().unwrap().insert(address.unwrap_or(pod.container.clone()));
                                assert!(is_new, "an address was given twice");
                            }
                            None => _ = failed.fetch_add(1, Ordering::Relaxed),
                        }
                    }
                });
            }
        });
        let seconds = (start.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let mut times = times.into_inner().unwrap();
        StormFigures {
            storm: self.name.clone(),
            held: self.site.held,
            at_a_time: self.at_a_time,
            calls: self.pods.len(),
            failed: failed.into_inner(),
            seconds,
            latency: Latency::of(&mut times),
            decided_again: decided_again(&fs::read_to_string(&log).unwrap_or_default()),
        }
    }

    /// How long a call took, and the address it answered; `None` where it failed.
    fn call(&self, pod: &BenchPod, more: &Value) -> Option<(Duration, Option<String>)> {
        let call = pod.call(self.verb, &self.site.network(&pod.node, more));
        let start = Instant::now();
        let answer = wait(call.start());
        let took = start.elapsed();
        if answer.status != Some(0) {
            return None;
        }
        Some((took, (self.verb == "ADD").then(|| answer.address())))
    }

    /// A file of this storm alone.
    fn log(&self) -> PathBuf {
        static STORMS: AtomicUsize = AtomicUsize::new(0);
        let nth = STORMS.fetch_add(1, Ordering::Relaxed);
        let etcd = self.site.etcd().expect("storms come over etcd");
        etcd.directory().join(format!("storm-{nth}.log"))
    }
}

/// How often an ADD decided again, on average, by the lines that the program logs: one for each.
fn decided_again(log: &str) -> f64 {
    let attempts =
        log.lines().filter_map(|line| line.split(" attempt=").nth(1)?.split(' ').next()?.parse::<f64>().ok());
    let attempts: Vec<f64> = attempts.collect();
    let mean = attempts.iter().sum::<f64>() / attempts.len().max(1) as f64;
    (mean * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::decided_again;

    #[test]
    fn lost_races_are_counted_by_the_log() {
        assert_eq!(decided_again("… claimed attempt=0\n… attempt=3 address=10.0.0.2\nsomething else\n"), 1.5);
        assert_eq!(decided_again(""), 0.0);
    }
}
