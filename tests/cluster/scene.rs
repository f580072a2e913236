//! One scenario's view of the cluster: a namespace of its own, waiting within bounds, and the judge after every step.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::cluster::{Cluster, Living};
use serde_json::Value;

use crate::objects::Workload;

/// How long anything may take: a kubelet waits up to fifteen seconds before it tries a refused sandbox again.
const PATIENCE: Duration = Duration::from_secs(90);

/// The scenario's stage. Everything on it is removed when it goes out of scope, however the scenario ended.
pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) namespace: &'static str,
    begun: Instant,
    step: Instant,
    finished: bool,
    thieves: Cell<u32>,
}

impl<'a> Scene<'a> {
    pub(crate) fn open(cluster: &'a mut Cluster, name: &'static str) -> Self {
        let now = Instant::now();
        println!("\n{name}");
        cluster.kubectl(&["create", "namespace", name]);
        Self { cluster, namespace: name, begun: now, step: now, finished: false, thieves: Cell::new(0) }
    }

    /// A step is done: how long it took, and nobody shares an address.
    pub(crate) fn step(&mut self, told: &str) {
        if told == "done" {
            self.cluster.census().settle();
            self.finished = true;
        }
        self.cluster.census().assert_unshared();
        println!("  {:6.1} s  {told}", self.step.elapsed().as_secs_f64());
        self.step = Instant::now();
    }

    pub(crate) fn apply(&self, workload: &Workload) {
        self.cluster.apply(&[workload.object(self.namespace)]);
    }

    /// `kubectl` in the namespace; it has to succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let mut whole = vec!["--namespace", self.namespace];
        whole.extend(arguments);
        self.cluster.kubectl(&whole)
    }

    /// Objects of a kind in the namespace.
    pub(crate) fn list(&self, kind: &str) -> Vec<Value> {
        let listed = self.cluster.get(&["--namespace", self.namespace, kind]);
        listed["items"].as_array().unwrap().clone()
    }

    /// The pods that live of a workload, by its name.
    pub(crate) fn living(&self, workload: &str) -> Vec<Living> {
        let mut living = self.cluster.census().living();
        living.retain(|living| self.is_of(living, workload));
        living
    }

    fn is_of(&self, living: &Living, workload: &str) -> bool {
        let Some((namespace, name)) = living.pod.split_once('/') else { return false };
        let rest = name.strip_prefix(workload);
        namespace == self.namespace && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The names of a workload's pods that the API server calls ready.
    pub(crate) fn ready(&self, workload: &str) -> Vec<String> {
        let mut ready = Vec::new();
        for pod in self.list("pods") {
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_ready = conditions.iter().any(|each| each["type"] == "Ready" && each["status"] == "True");
            if pod["metadata"]["labels"]["app"] == workload && is_ready && !is_ending(&pod) {
                ready.push(pod["metadata"]["name"].as_str().unwrap().to_owned());
            }
        }
        ready
    }

    /// Wait until this many pods of a workload are ready; they, as they live.
    pub(crate) fn wait_for(&self, workload: &str, replicas: usize) -> Vec<Living> {
        self.wait(&format!("{replicas} ready pods of {workload}"), || {
            let ready = self.ready(workload);
            let mut living = self.living(workload);
            living.retain(|living| ready.iter().any(|name| living.pod.ends_with(&format!("/{name}"))));
            (ready.len() == replicas && living.len() == replicas).then_some(living)
        })
    }

    /// Wait until the workload has one ready pod, another one than this, and it has this address.
    pub(crate) fn wait_for_another(&self, workload: &str, old: Option<&Living>, address: &str) -> Living {
        self.wait(&format!("a new pod of {workload} with {address}"), || {
            let ready = self.ready(workload);
            self.living(workload).into_iter().find(|living| {
                let is_new = old.is_none_or(|old| old.pod != living.pod);
                let is_ready = ready.iter().any(|name| living.pod.ends_with(&format!("/{name}")));
                is_new && is_ready && living.addresses == [address]
            })
        })
    }

    /// Wait until a kubelet told that a sandbox of this workload got no network, in these words; all that it told.
    pub(crate) fn wait_for_refusal(&self, workload: &str, words: &[&str]) -> String {
        self.wait(&format!("a refusal of {workload} that says {words:?}"), || {
            self.refusals(workload).into_iter().find(|text| words.iter().all(|word| text.contains(word)))
        })
    }

    /// What kubelets told of sandboxes of a workload that could not be made.
    pub(crate) fn refusals(&self, workload: &str) -> Vec<String> {
        let mut refusals = Vec::new();
        for event in self.list("events") {
            let pod = event["involvedObject"]["name"].as_str().unwrap_or_default();
            let is_its = pod == workload || pod.starts_with(&format!("{workload}-"));
            if is_its && event["reason"] == "FailedCreatePodSandBox" {
                refusals.push(event["message"].as_str().unwrap_or_default().to_owned());
            }
        }
        refusals
    }

    /// This very sandbox still lives, with this address.
    pub(crate) fn assert_untouched(&self, pod: &Living) {
        let living = self.cluster.census().living();
        assert!(living.contains(pod), "{pod} no longer lives as it did: {}", self.situation());
    }

    /// Another pod that wants the holder's address is refused, and the holder is named.
    pub(crate) fn assert_nobody_else_gets(&self, holder: &Living) {
        self.thieves.set(self.thieves.get() + 1);
        let (thief, address) = (format!("thief-{}", self.thieves.get()), &holder.addresses[0]);
        self.apply(&Workload::pod(&thief).fixed(address));
        self.wait_for_refusal(&thief, &[address, &holder.pod]);
        self.assert_untouched(holder);
        self.kubectl(&["delete", "pod", &thief, "--wait=false"]);
    }

    /// Ask again until there is an answer.
    pub(crate) fn wait<T>(&self, what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = answer() {
                return answer;
            }
            // Waiting on makes nothing better.
            self.cluster.census().assert_unshared();
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.situation());
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Seconds from the release of one sandbox's address to the claim of another's, by kube-ipam's own logs.
    pub(crate) fn between(&self, old: &Living, new: &Living) -> f64 {
        let released = self.logged(&old.sandbox, "released").expect("the DEL of the old sandbox is logged");
        let claimed = self.logged(&new.sandbox, "claimed").expect("the ADD of the new sandbox is logged");
        claimed - released
    }

    /// When, in seconds of the day, a node logged this of a sandbox.
    pub(crate) fn logged(&self, sandbox: &str, word: &str) -> Option<f64> {
        for node in self.cluster.nodes() {
            let log = node.log();
            if let Some(line) = log.lines().find(|line| line.contains(sandbox) && line.contains(word)) {
                return seconds(line);
            }
        }
        None
    }

    /// All that helps to understand a failure.
    pub(crate) fn situation(&self) -> String {
        let tell = |arguments: &[&str]| String::from_utf8_lossy(&self.cluster.ask(arguments).stdout).into_owned();
        let mut text = tell(&["--namespace", self.namespace, "get", "pods", "-o", "wide"]);
        text.push_str(&tell(&["--namespace", self.namespace, "get", "events"]));
        for living in self.cluster.census().living() {
            text.push_str(&format!("lives: {living}\n"));
        }
        for node in self.cluster.nodes() {
            let log = node.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(12)..];
            text.push_str(&format!("kube-ipam on {}:\n{}\n", node.name(), last.join("\n")));
        }
        text
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let cleaning = Instant::now();
        self.cluster.ask(&["delete", "namespace", self.namespace, "--wait=false"]);
        if !self.finished {
            self.cluster.heal();
        }
        let deadline = Instant::now() + PATIENCE;
        let prefix = format!("{}/", self.namespace);
        while Instant::now() < deadline {
            if !self.cluster.census().living().iter().any(|living| living.pod.starts_with(&prefix)) {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        self.cluster.census().start_over();
        let (all, cleaned) = (self.begun.elapsed().as_secs_f64(), cleaning.elapsed().as_secs_f64());
        println!("  {all:6.1} s  in all, {cleaned:.1} s of them to clean up");
    }
}

pub(crate) fn is_ending(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Of `2026-01-31T23:59:59.123456Z …`, the seconds since midnight.
fn seconds(line: &str) -> Option<f64> {
    let (_, time) = line.split_once('T')?;
    let (time, _) = time.split_once('Z')?;
    let mut all = 0.0;
    for part in time.split(':') {
        all = all * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(all)
}
