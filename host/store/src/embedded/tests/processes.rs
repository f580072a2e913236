//! Processes, not threads: that is how the plugin runs. Each is this test binary, started again as one worker.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::conformance::{assignment, block_on, range_sets, requester};
use crate::embedded::Embedded;
use crate::{AllocationFilter, Claimed, Store};
use ipam::{Claim, RangeSets};

const DIR: &str = "STORE_WORKER_DIR";
const JOB: &str = "STORE_WORKER_JOB";
const NAME: &str = "STORE_WORKER_NAME";

fn store(dir: &Path) -> Store {
    Store::new(Embedded::new(dir, None), "", "blue")
}

fn worker(dir: &Path, job: &str, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::tests::processes::a_worker", "--ignored", "--test-threads=1"])
        .env(DIR, dir)
        .env(JOB, job)
        .env(NAME, name)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What an ADD does, without a policy: the lowest free address, and again after a lost race.
async fn add(store: &Store, sets: &RangeSets, container: &str) -> Option<Claim> {
    let requester = requester(container, container);
    let mut lost = Vec::new();
    loop {
        let mut look = store.look_up(&requester, sets, &lost, Timestamp::now()).await.unwrap();
        let address = loop {
            match look.snapshot.next_free(0, None) {
                Ok(address) => break address?,
                Err(question) => look.answer(question).await.unwrap(),
            }
        };
        let proposal = vec![assignment(address, ipam::Kind::Dynamic)];
        match store.claim(look, &[proposal], None, &[]).await.unwrap() {
            Claimed::Done(claim) => return Some(claim),
            Claimed::Lost => lost = vec![address],
        }
    }
}

#[test]
#[ignore = "a worker of the tests below"]
fn a_worker() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (job, name) = (std::env::var(JOB).unwrap(), std::env::var(NAME).unwrap());
    let store = store(Path::new(&dir));
    let sets = range_sets(&["10.0.0.0/26"]);
    block_on(async {
        if job == "once" {
            add(&store, &sets, &name).await;
            return;
        }
        // Until somebody kills it.
        for round in 0.. {
            let container = format!("{name}-{}", round % 3);
            add(&store, &sets, &container).await;
            let older = requester(&format!("{name}-{}", (round + 1) % 3), "");
            store.release(&older.attachment, Timestamp::now()).await.unwrap();
        }
    });
}

#[test]
fn ninety_six_processes_race_for_61_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let workers: Vec<Child> = (0..96).map(|nth| worker(&data, "once", &format!("w{nth}"))).collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let store = store(&data);
    let listing = block_on(store.allocations(&AllocationFilter::default()).all()).unwrap();
    assert_eq!(listing.held.len(), 61);
    let containers: BTreeSet<_> = listing.held.iter().map(|held| &held.attachment.container).collect();
    assert_eq!(containers.len(), 61);
    assert_eq!(block_on(store.inspect()).unwrap(), []);
}

#[test]
fn processes_killed_at_any_moment_leave_a_sound_store() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // From before the file exists on.
    let mut victims: Vec<Child> = Vec::new();
    for nth in 0_u64..150 {
        victims.push(worker(&data, "churn", &format!("w{}", nth % 20)));
        thread::sleep(Duration::from_micros(nth * 7_919 % 9_000));
        if victims.len() > 6 {
            // `kill` is SIGKILL.
            let mut victim = victims.remove((nth % 5) as usize);
            assert!(victim.try_wait().unwrap().is_none(), "a worker gave up");
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
    }
    let store = store(&data);
    for mut victim in victims {
        assert!(victim.try_wait().unwrap().is_none(), "a worker gave up");
        assert_eq!(block_on(store.inspect()).unwrap(), []);
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
    assert_eq!(block_on(store.inspect()).unwrap(), []);
    // And it still works: every address can be had, nothing waits for the dead.
    let sets = range_sets(&["10.0.0.0/26"]);
    block_on(async {
        // The last commit of one that was killed shows once somebody has had a turn; a release of nothing takes one.
        assert_eq!(store.release(&requester("nobody", "").attachment, Timestamp::now()).await.unwrap(), None);
        for held in store.allocations(&AllocationFilter::default()).all().await.unwrap().held {
            store.release(&held.attachment, Timestamp::now()).await.unwrap();
        }
        for nth in 0..61 {
            assert!(add(&store, &sets, &format!("after-{nth}")).await.is_some());
        }
        assert!(add(&store, &sets, "one-too-many").await.is_none());
    });
    assert_eq!(block_on(store.inspect()).unwrap(), []);
}
