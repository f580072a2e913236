//! A cluster under fire: hundreds of workers add and delete on an etcd of three members, of which something is always wrong.
//!
//! ```text
//!   worker   a node: calls of the verbs inside of this process, and now and then a whole process of the built program   worker.rs
//!   enemy    strikes, waits, undoes, and waits until every member serves again                                       faults.rs
//!   judge    what callers were told, against each other: who holds what, since when for sure and until when
//! ```
//! The judge is not the store: it is the set of attachments that live by what their callers were told. Only at the end the
//! books have to be consistent with it. `make torture SECONDS=600` is the long run, whose figures docs/reliability shows.

mod faults;
mod service;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::history::{Event, What, check};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::{alone, elections};
use crate::draw::{Draw, asked, seed};
use crate::report::Report;
use faults::{ALL, Fault};
use service::outages;
use worker::Worker;

/// In a run of all tests: some of the faults, as a seed draws them.
const SECONDS: usize = 20;
const WORKERS: usize = 60;
/// From here on there is time for every fault.
const LONG: usize = 300;
/// .2 to .201: about as many as workers, so that the range is full at times.
const ADDRESSES: usize = 200;
/// What etcd keeps at most, in bytes, so that it can be full.
const QUOTA: u32 = 32 << 20;
/// A member's disk in MiB: some logs of 64 each, snapshots, and the quota twice, which a defragmentation takes.
const DISK: u32 = 512;
/// So that few logs are kept.
const LOGS: [&str; 4] = ["--snapshot-count", "10000", "--max-wals", "2"];

/// What a node's ClusterRole grants.
const NODE: [Rule; 1] = [Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces", "replicasets"] }];

/// The battlefield.
pub(crate) struct Scene {
    etcd: Etcd,
    server: ApiServer,
    networks: Vec<Value>,
    /// The uids of the pods, by worker.
    pods: BTreeMap<usize, String>,
    began: Instant,
    over: AtomicBool,
    events: Mutex<Vec<Event>>,
    /// How often each code was answered, and each kind of call made.
    counts: Mutex<BTreeMap<String, usize>>,
    /// By how many seconds the clocks of processes are wrong.
    clock: AtomicI64,
}

#[test]
fn no_address_is_held_twice_and_none_is_lost_under_fire() {
    let _alone = alone();
    let seconds = asked("KUBE_IPAM_TORTURE", SECONDS);
    let workers = asked("KUBE_IPAM_WORKERS", WORKERS);
    let Some(scene) = Scene::new(workers) else { return };
    let seed = seed();
    let mut struck = Vec::new();
    thread::scope(|scope| {
        let scene = &scene;
        for nth in 0..workers {
            scope.spawn(move || Worker::new(nth, seed, scene).work());
        }
        scope.spawn(move || scene.compact());
        // Also where the enemy fails: nobody waits forever.
        let _over = Over(&scene.over);
        struck = scene.fight(Duration::from_secs(seconds as u64), &mut Draw(seed));
    });
    scene.judge(&struck, seconds, workers, seed);
}

/// Ends the fight when it goes out of scope.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Scene {
    fn new(workers: usize) -> Option<Self> {
        let quota = format!("--quota-backend-bytes={QUOTA}");
        let etcd = Setup::cluster().on_disks_of(DISK).with(&[&quota]).with(&LOGS).start_apart()?;
        let server = ApiServer::double();
        let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam", &NODE));
        let (mut networks, mut pods) = (Vec::new(), BTreeMap::new());
        for nth in 0..workers {
            let node = format!("node-{nth}");
            let mut ipam = json!({
                "subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.201", "timeout": "10s",
                "nodeName": node, "dataDir": etcd.directory().join(&node),
            });
            if Worker::has_a_pod(nth) {
                ipam["kubeConfig"] = json!(kubeconfig);
                server.node(&node);
                pods.insert(nth, server.pod("shop", &node).on(&node).phase("Running").create());
            }
            networks.push(etcd.network(&ipam));
        }
        Some(Self {
            etcd,
            server,
            networks,
            pods,
            began: Instant::now(),
            over: AtomicBool::new(false),
            events: Mutex::default(),
            counts: Mutex::default(),
            clock: AtomicI64::new(0),
        })
    }

    fn count(&self, what: &str) {
        *self.counts.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    /// One fault after the other, all of them before any comes a second time; in between, peace for as long.
    fn fight(&self, time: Duration, draw: &mut Draw) -> Vec<(Fault, Duration, Duration)> {
        let mut struck = Vec::new();
        // The short run has to come by all of them.
        let lasts = (time / 16).clamp(Duration::from_millis(700), Duration::from_secs(5));
        while self.began.elapsed() < time {
            let mut left: Vec<Fault> = ALL.to_vec();
            while !left.is_empty() && self.began.elapsed() < time {
                let fault = left.swap_remove(draw.index(left.len()));
                let from = self.began.elapsed();
                eprintln!("{from:.1?}: {}", fault.name());
                fault.strike(self, lasts, draw);
                struck.push((fault, from, self.began.elapsed()));
                thread::sleep(lasts);
            }
        }
        struck
    }

    /// Compact as long as calls are made, up to the present. Where no member answers, it is tried again a second later.
    fn compact(&self) {
        while !self.over.load(Ordering::Relaxed) {
            let asked = self.etcd.ask_all(&["--command-timeout=1s", "get", "/", "--write-out", "json"]);
            let answer: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
            if let Some(revision) = answer["header"]["revision"].as_i64() {
                self.etcd.ask_all(&["--command-timeout=1s", "compact", &revision.to_string()]);
            }
            thread::sleep(Duration::from_secs(1));
        }
    }

    /// What was told is one history, in which no address has two holders; and the books say the same.
    fn judge(&self, struck: &[(Fault, Duration, Duration)], seconds: usize, workers: usize, seed: u64) {
        let events = self.events.lock().unwrap();
        let judged = check(&events, ADDRESSES);
        let counts = self.counts.lock().unwrap().clone();
        let violations = usize::from(judged.is_err());
        let mut report = Report::new("torture-figures");
        report.add(json!({
            "calls": events.len(), "workers": workers, "seconds": seconds, "faults": struck.len(),
            "duplicates or lost": violations, "counts": counts, "etcd": self.etcd.version(), "seed": seed,
        }));
        outages(&events, struck).into_iter().for_each(|row| report.add(row));
        report.write();
        let standing = judged.unwrap();
        elections::agrees(&standing, &held(&self.networks[0]));
        let inspected = operate(&["fsck"], &self.networks[0]);
        assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stdout));
        let kinds: BTreeSet<&str> = struck.iter().map(|(fault, ..)| fault.name()).collect();
        let expected = if seconds < LONG { 1 } else { ALL.len() };
        assert!(kinds.len() >= expected, "only {kinds:?}");
        assert!(events.iter().filter(|event| matches!(event.what, What::Added(_))).count() > 100, "{counts:?}");
    }
}
