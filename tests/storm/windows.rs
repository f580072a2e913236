//! Few workers on few addresses, who stand still every forty calls or so: each window between two such moments is held
//! against an allocator that does one thing after the other, while leaders are stopped, cut off and killed.

use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::history::{Event, What};
use serde_json::{Value, json};

use super::alone;
use crate::draw::{Draw, seed};
use crate::sequential::Sequential;

const WORKERS: usize = 8;
/// .2 to .6: fewer than workers.
const ADDRESSES: u8 = 5;
const WINDOWS: usize = 12;
/// Of each worker, in a window.
const CALLS: usize = 5;

#[test]
fn windows_of_a_storm_are_explained_by_one_call_after_the_other() {
    let _alone = alone();
    let etcd = Setup::cluster().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/28", "rangeEnd": "10.1.0.6", "timeout": "3s"}));
    let windows: Mutex<Vec<Vec<Event>>> = Mutex::new(vec![Vec::new(); WINDOWS]);
    let (seed, barrier, began) = (seed(), Barrier::new(WORKERS + 1), Instant::now());
    thread::scope(|scope| {
        for nth in 0..WORKERS {
            let (network, windows, barrier) = (&network, &windows, &barrier);
            scope.spawn(move || {
                let mut worker = Worker { name: format!("w{nth}"), nth: 0, holds: false, ends: false, network, began };
                let mut draw = Draw(seed ^ ((nth as u64 + 1) << 32));
                for window in 0..WINDOWS {
                    barrier.wait();
                    let events = (0..CALLS).map(|_| worker.step(&mut draw)).collect::<Vec<_>>();
                    windows.lock().unwrap()[window].extend(events);
                    barrier.wait();
                }
            });
        }
        let mut draw = Draw(seed);
        for _ in 0..WINDOWS {
            barrier.wait();
            if draw.one_in(3) {
                strike(&etcd, &mut draw);
            }
            barrier.wait();
        }
    });
    let mut allocator = Sequential::new((2..2 + ADDRESSES).map(|last| format!("10.1.0.{last}")));
    let mut calls = 0;
    for window in windows.into_inner().unwrap() {
        assert!(allocator.explains(&window), "no order explains {window:#?}");
        calls += window.len();
    }
    assert_eq!(calls, WORKERS * CALLS * WINDOWS);
}

fn strike(etcd: &Etcd, draw: &mut Draw) {
    let leader = etcd.leader();
    if draw.one_in(2) {
        etcd.freeze(leader);
        thread::sleep(Duration::from_millis(1_500));
        etcd.thaw(leader);
    } else {
        etcd.kill(leader);
        thread::sleep(Duration::from_millis(500));
        etcd.launch(leader);
    }
    etcd.wait_for(leader);
}

/// One attachment after the other.
struct Worker<'a> {
    name: String,
    nth: usize,
    holds: bool,
    /// A DEL has failed: a runtime repeats it, and nothing else.
    ends: bool,
    network: &'a Value,
    began: Instant,
}

impl Worker<'_> {
    /// An ADD where nothing is held, else a DEL or the ADD again.
    fn step(&mut self, draw: &mut Draw) -> Event {
        let verb = if self.ends || (self.holds && !draw.one_in(4)) { "DEL" } else { "ADD" };
        let attachment = format!("{}-{}", self.name, self.nth);
        let start = self.began.elapsed();
        let answer = Call::new(verb, &attachment, self.network).run();
        let end = self.began.elapsed();
        let what = What::of(verb, &attachment, &answer);
        self.holds = !matches!(what, What::Deleted | What::Exhausted);
        self.ends = what == What::DelFailed;
        self.nth += usize::from(what == What::Deleted);
        Event { start, end, attachment, what }
    }
}
