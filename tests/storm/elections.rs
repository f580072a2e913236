//! Two thousand calls of 128 workers on a cluster of three whose leader is killed twice, and a proof from the recorded
//! history that no address was ever held twice, that none was lost, and that nothing stays behind.
//!
//! Once with the usual deadline, where every call outlives an election, and once with one that is shorter than an
//! election: hundreds of calls then fail at every stage, and nobody is told how they ended.
//! Once more with leaders that live on, cut off from the others while clients still reach them.
//!
//! All the while etcd is compacted every second, up to the present: nobody reads a past that is gone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::history::{Event, Standing, What, check};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::alone;

const CALLS: usize = 2_000;
const WORKERS: usize = 128;
/// .2 to .49: fewer than workers, so that the range is full at times.
const ADDRESSES: usize = 48;

struct Storm {
    network: Value,
    start: Instant,
    made: AtomicUsize,
    events: Mutex<Vec<Event>>,
}

#[test]
fn no_address_is_held_twice_while_leaders_die() {
    let _alone = alone();
    let counts = Storm::rage(&Setup::cluster().start(), "10s", KILL);
    assert!(counts["added"] > CALLS / 3, "{counts:?}");
}

#[test]
fn no_address_is_held_twice_where_calls_are_cut_off() {
    let _alone = alone();
    let counts = Storm::rage(&Setup::cluster().start(), "1s", KILL);
    assert!(counts["ADD failed"] > 0, "no call was cut off: {counts:?}");
}

#[test]
fn no_address_is_held_twice_while_leaders_are_isolated() {
    let _alone = alone();
    let Some(etcd) = Setup::cluster().start_apart() else { return };
    let counts = Storm::rage(&etcd, "10s", ISOLATE);
    assert!(counts["added"] > CALLS / 3, "{counts:?}");
}

/// What happens to a leader, and what undoes it.
type Strike = (fn(&Etcd, usize), fn(&Etcd, usize));

const KILL: Strike = (Etcd::kill, Etcd::launch);
const ISOLATE: Strike = (Etcd::isolate, Etcd::rejoin);

impl Storm {
    /// How often each result was seen.
    fn rage(etcd: &Etcd, timeout: &str, strike: Strike) -> BTreeMap<&'static str, usize> {
        let network = etcd.network(&json!({"subnet": "10.1.0.0/26", "rangeEnd": "10.1.0.49", "timeout": timeout}));
        let storm = Self { network, start: Instant::now(), made: AtomicUsize::new(0), events: Mutex::default() };
        thread::scope(|scope| {
            let storm = &storm;
            let workers: Vec<_> = (0..WORKERS).map(|nth| scope.spawn(move || storm.work(nth))).collect();
            scope.spawn(move || storm.compact(etcd));
            for at in [CALLS / 4, CALLS / 2] {
                storm.strike_the_leader(etcd, strike, at);
            }
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        let (counts, standing) = storm.judge();
        agrees(&standing, &held(&storm.network));
        let inspected = operate(&["fsck"], &storm.network);
        assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stdout));

        let last = last_calls(&storm.events.lock().unwrap());
        let unreleased = last.iter().filter(|(_, what)| **what != What::Deleted).map(|(name, _)| name);
        unreleased.for_each(|attachment| storm.release(attachment));
        assert_eq!(held(&storm.network), BTreeMap::new());
        let keys = etcd.keys("/kube-ipam/");
        let stays = |key: &String| key.contains("/l/") || key.contains("/networks/");
        assert!(keys.iter().all(stays), "left behind: {keys:?}");
        counts
    }

    /// Compact as long as calls are made. Where no member answers, it is tried again a second later.
    fn compact(&self, etcd: &Etcd) {
        let mut done = 0;
        while self.made.load(Ordering::Relaxed) < CALLS {
            let asked = etcd.ask_all(&["--command-timeout=1s", "get", "/", "--write-out", "json"]);
            let answer: Value = serde_json::from_slice(&asked.stdout).unwrap_or_default();
            if let Some(revision) = answer["header"]["revision"].as_i64() {
                let compacted = etcd.ask_all(&["--command-timeout=1s", "compact", &revision.to_string()]);
                done += usize::from(compacted.status.success());
            }
            thread::sleep(Duration::from_secs(1));
        }
        assert!(done > 0, "etcd was never compacted");
    }

    /// Attachments of its own, one after the other; every fourth worker leaves its last one.
    fn work(&self, worker: usize) {
        let mut nth = 0;
        while self.made.load(Ordering::Relaxed) < CALLS {
            let attachment = format!("w{worker}-{nth}");
            let added = self.call("ADD", &attachment);
            if nth % 7 == worker % 7 {
                self.call("ADD", &attachment);
            }
            nth += 1;
            let last = self.made.load(Ordering::Relaxed) >= CALLS;
            if !(last && worker.is_multiple_of(4) && matches!(added, What::Added(_))) {
                self.release(&attachment);
            }
        }
    }

    /// A runtime repeats a DEL until it succeeds.
    fn release(&self, attachment: &str) {
        while self.call("DEL", attachment) != What::Deleted {}
    }

    fn call(&self, verb: &str, attachment: &str) -> What {
        let call = Call::new(verb, attachment, &self.network);
        let start = self.start.elapsed();
        let answer = call.run();
        let end = self.start.elapsed();
        let what = What::of(verb, attachment, &answer);
        let event = Event { start, end, attachment: attachment.to_owned(), what: what.clone() };
        self.events.lock().unwrap().push(event);
        self.made.fetch_add(1, Ordering::Relaxed);
        what
    }

    /// Once so many calls were made. It comes back a little later.
    fn strike_the_leader(&self, etcd: &Etcd, (strike, undo): Strike, at: usize) {
        while self.made.load(Ordering::Relaxed) < at {
            thread::sleep(Duration::from_millis(5));
        }
        let leader = etcd.leader();
        strike(etcd, leader);
        let made = self.made.load(Ordering::Relaxed);
        assert!(made < CALLS, "the storm was over before the leader was struck");
        eprintln!("leader {leader} struck after {made} calls");
        thread::sleep(Duration::from_secs(2));
        undo(etcd, leader);
        etcd.wait_for(leader);
    }

    fn judge(&self) -> (BTreeMap<&'static str, usize>, Standing) {
        let events = self.events.lock().unwrap();
        let mut counts = BTreeMap::new();
        for event in events.iter() {
            let what = match event.what {
                What::Added(_) => "added",
                What::Exhausted => "exhausted",
                What::AddFailed => "ADD failed",
                What::Deleted => "deleted",
                What::DelFailed => "DEL failed",
            };
            *counts.entry(what).or_default() += 1;
        }
        eprintln!("{} calls in {:.1?}: {counts:?}", events.len(), self.start.elapsed());
        (counts, check(&events, ADDRESSES).unwrap())
    }
}

/// The store holds what is sure, and nothing that is not at least possible.
pub(crate) fn agrees(standing: &Standing, held: &BTreeMap<String, String>) {
    for (address, attachment) in &standing.sure {
        assert_eq!(held.get(address), Some(attachment), "{address} was lost");
    }
    for (address, attachment) in held {
        let sure = standing.sure.get(address) == Some(attachment);
        assert!(sure || standing.possible.contains(attachment), "{address} stays behind for {attachment}");
    }
}

fn last_calls(events: &[Event]) -> BTreeMap<String, What> {
    let mut ordered: Vec<&Event> = events.iter().collect();
    ordered.sort_by_key(|event| event.start);
    ordered.into_iter().map(|event| (event.attachment.clone(), event.what.clone())).collect()
}
