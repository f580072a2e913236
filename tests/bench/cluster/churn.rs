//! Pods come and go at a rate that waits for nobody: an ADD when a pod is due, its DEL a second later, all as whole processes.
//! Meanwhile kubelets may ask for STATUS, and half way through etcd is compacted. What was answered is judged in the end:
//! an address that two pods held at once ends the benchmark.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Answer;
use kube_ipam_tests::history::{self, Event, What};
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::figures::{ChurnFigures, Latency};
use super::pods::{BenchPod, node_name};
use super::schedule::{Schedule, wait_until};
use super::site::{Site, compact};
use super::spent::Spent;

/// How long a pod lives.
const LIFE: Duration = Duration::from_secs(1);

/// Nodes that pods start on, and that ask for STATUS. Fewer than a cluster has, so that each has made calls before.
pub(super) const NODES: usize = 128;

/// A kubelet asks its runtime how it is every five seconds, which asks the plugin.
const STATUS_EVERY: f64 = 5.0;

/// What is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChurnLoad {
    /// Pods a second.
    pub(super) rate: f64,
    pub(super) seconds: f64,
    /// Nodes whose kubelets ask for STATUS.
    pub(super) status_nodes: usize,
}

/// What has happened so far.
#[derive(Default)]
struct Outcome {
    add: Vec<Duration>,
    del: Vec<Duration>,
    status: Vec<Duration>,
    last_added: Option<Instant>,
    failures: Vec<String>,
    events: Vec<Event>,
}

/// What every thread of a run shares.
struct ChurnRun<'a> {
    start: Instant,
    site: &'a Site,
    load: ChurnLoad,
    outcome: Mutex<Outcome>,
}

pub(super) fn run(site: &Site, load: ChurnLoad) -> ChurnFigures {
    let etcd = site.etcd().expect("pods of a cluster come and go on etcd");
    site.warm_up(NODES);
    let before = Spent::now(etcd);
    // A moment for the threads to be there.
    let start = Instant::now() + Duration::from_millis(200);
    let run = ChurnRun { start, site, load, outcome: Mutex::default() };
    let pods = Schedule::new(start, load.rate, load.seconds);
    let statuses = Schedule::new(start, load.status_nodes as f64 / STATUS_EVERY, load.seconds);
    let (next_pod, next_status) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..pods.threads(LIFE + Duration::from_millis(100)) {
            scope.spawn(|| {
                while let Some((n, due)) = take(&next_pod, &pods) {
                    run.life_of_a_pod(n, due);
                }
            });
        }
        for _ in 0..statuses.threads(Duration::from_millis(100)) {
            scope.spawn(|| {
                while let Some((n, due)) = take(&next_status, &statuses) {
                    run.status(n, due);
                }
            });
        }
        scope.spawn(|| {
            wait_until(start + Duration::from_secs_f64(load.seconds / 2.0));
            compact(etcd);
        });
    });
    let spent = before.until_now(etcd, pods.calls());
    let outcome = run.outcome.into_inner().unwrap();
    history::check(&outcome.events, usize::MAX).expect("allocations are unique and none is lost");
    outcome.figures(load, site.held, start, spent)
}

/// The next call that nobody has taken, and when it is due.
fn take(next: &AtomicUsize, schedule: &Schedule) -> Option<(usize, Instant)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    Some((n, schedule.due(n)?))
}

impl ChurnRun<'_> {
    fn life_of_a_pod(&self, n: usize, due: Instant) {
        let pod = BenchPod::new("churn", n, &node_name(n % NODES));
        let network = self.site.network(&pod.node, &json!({}));
        wait_until(due);
        let began = Instant::now();
        let answer = wait(pod.call("ADD", &network).start());
        let added = Instant::now();
        let what = match answer.status {
            Some(0) => What::Added(answer.address()),
            _ => What::AddFailed,
        };
        self.note(&pod, [due, began, added], what, &answer);
        // A pod whose ADD came late ends late: its runtime makes one call after the other.
        let due = (due + LIFE).max(added);
        wait_until(due);
        let began = Instant::now();
        let answer = wait(pod.call("DEL", &network).start());
        let what = if answer.status == Some(0) { What::Deleted } else { What::DelFailed };
        self.note(&pod, [due, began, Instant::now()], what, &answer);
    }

    fn note(&self, pod: &BenchPod, [due, began, ended]: [Instant; 3], what: What, answer: &Answer) {
        let mut outcome = self.outcome.lock().unwrap();
        match what {
            What::Added(_) => {
                outcome.add.push(ended - due);
                outcome.last_added = outcome.last_added.max(Some(ended));
            }
            What::Deleted => outcome.del.push(ended - due),
            _ => outcome.failures.push(answer.stdout.clone()),
        }
        let [start, end] = [began, ended].map(|moment| moment.saturating_duration_since(self.start));
        outcome.events.push(Event { start, end, attachment: pod.container.clone(), what });
    }

    fn status(&self, n: usize, due: Instant) {
        let network = self.site.network(&node_name(n % NODES.min(self.load.status_nodes)), &json!({}));
        let call = BenchPod::new("status", n, "").call("STATUS", &network);
        wait_until(due);
        let answer = wait(call.start());
        let mut outcome = self.outcome.lock().unwrap();
        match answer.status {
            Some(0) => outcome.status.push(due.elapsed()),
            _ => outcome.failures.push(answer.stdout),
        }
    }
}

impl Outcome {
    fn figures(
        mut self,
        load: ChurnLoad,
        held: usize,
        start: Instant,
        spent: super::figures::SpentFigures,
    ) -> ChurnFigures {
        let pods = self.add.len();
        let took = self.last_added.map_or(load.seconds, |last| (last - start).as_secs_f64());
        ChurnFigures {
            rate: load.rate,
            seconds: load.seconds,
            held,
            status_nodes: load.status_nodes,
            pods,
            failed: self.failures.len(),
            first_failure: most_frequent(&self.failures),
            achieved: pods as f64 / took.max(load.seconds),
            add: Latency::of(&mut self.add),
            del: Latency::of(&mut self.del),
            status: (!self.status.is_empty()).then(|| Latency::of(&mut self.status)),
            spent,
        }
    }
}

/// The message that failures have most often.
pub(super) fn most_frequent(failures: &[String]) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for failure in failures {
        let answer: Value = serde_json::from_str(failure).unwrap_or_default();
        let message = answer["msg"].as_str().unwrap_or("the process gave no answer");
        *counts.entry(message.to_owned()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(message, _)| message)
}
