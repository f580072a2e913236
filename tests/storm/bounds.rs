//! A million pods come and go, and nothing has grown: neither the embedded file nor etcd's live data, neither the memory nor
//! the files of a process that makes all the calls. `make bounds PAIRS=1000000`; a run of all tests makes a few thousand.
//!
//! Each pair is an ADD and a DEL by the library: a look, the lowest free address, a claim, a release. The policy has no part in it.

use std::fs;
use std::net::IpAddr;
use std::time::Instant;

use ipam::{Assignment, Attachment, Kind, RangeSets};
use jiff::Timestamp;
use kube_ipam::config::{Base, Network};
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::operate;
use serde_json::{Value, json};
use store::{Claimed, Requester, Store};
use tokio::runtime::Builder;

use super::alone;
use crate::draw::asked;
use crate::report::Report;

/// In a run of all tests, on each store.
const PAIRS: usize = 3_000;
/// Pods that stay all the while.
const STANDING: usize = 50;

/// What may not grow.
#[derive(Clone, Debug)]
struct Size {
    /// Of the file, or of etcd's live data.
    store: u64,
    /// KiB of this process's memory that are its own.
    memory: u64,
    files: usize,
}

#[test]
fn pods_that_come_and_go_leave_no_trace() {
    let _alone = alone();
    let pairs = asked("KUBE_IPAM_PAIRS", PAIRS);
    let mut report = Report::new("bounds");
    // On a file system in memory: what grows is counted, not how fast a disk flushes.
    let directory = tempfile::Builder::new().prefix("kube-ipam-").tempdir_in("/dev/shm").unwrap();
    let network = kube_ipam_tests::program::network(directory.path(), &json!({"subnet": "10.0.0.0/16"}));
    let file = directory.path().join("ipam.mdb");
    report.add(churn(&network, pairs, "embedded", || fs::metadata(&file).unwrap().len()));
    let etcd = Setup::single().with(&["--auto-compaction-mode=revision", "--auto-compaction-retention=1000"]).start();
    let live = || {
        let told = etcd.control(&["get", "/", "--write-out", "json"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        etcd.ask_all(&["compact", "--physical", &told["header"]["revision"].to_string()]);
        let status = etcd.control(&["endpoint", "status", "--write-out", "json"]);
        let status: Value = serde_json::from_str(&status).unwrap();
        status[0]["Status"]["dbSizeInUse"].as_u64().unwrap()
    };
    // A pair in etcd is some ten times as long.
    report.add(churn(&etcd.network(&json!({"subnet": "10.0.0.0/16"})), pairs / 10, "etcd", live));
    report.write();
}

/// Half of the pairs first, so that everything has the size that it takes; then the other half, which may add nothing.
fn churn(network: &Value, pairs: usize, name: &str, store_size: impl Fn() -> u64) -> Value {
    let began = Instant::now();
    let mut nth = 0;
    make(network, 0..STANDING, false);
    nth += STANDING;
    make(network, nth..nth + pairs / 2, true);
    nth += pairs / 2;
    let before = size(&store_size);
    make(network, nth..nth + pairs / 2, true);
    let after = size(&store_size);
    let inspected = operate(&["fsck"], network);
    assert!(inspected.status.success(), "{inspected:?}");
    // A page of the tree more or less is where it was.
    assert!(after.store <= before.store + before.store / 20 + 65_536, "{name}: {before:?}, then {after:?}");
    assert!(after.memory <= before.memory + 4_096, "{name}: {before:?}, then {after:?}");
    assert!(after.files <= before.files, "{name}: {before:?}, then {after:?}");
    json!({
        "store": name, "pairs": pairs, "bytes after half of them": before.store, "bytes after all": after.store,
        "memory (KiB)": [before.memory, after.memory], "open files": [before.files, after.files],
        "seconds": began.elapsed().as_secs(),
    })
}

fn size(store_size: impl Fn() -> u64) -> Size {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let memory = anonymous.trim().split(' ').next().unwrap().parse().unwrap();
    Size { store: store_size(), memory, files: fs::read_dir("/proc/self/fd").unwrap().count() }
}

/// Add these pods, and delete each at once.
fn make(network: &Value, pods: std::ops::Range<usize>, ends: bool) {
    let text = network.to_string();
    let netconf = cni::NetConf::parse(text.as_bytes()).unwrap();
    let base = Base::read(&netconf).unwrap();
    let range_sets = Network::range_sets(&netconf).unwrap();
    let store = Store::configured(&base.store, &base.domain, None).with_registry(base.domain_given);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for nth in pods {
            let attachment = add(&store, &base, &range_sets, nth).await;
            if ends {
                store.release(&attachment, Timestamp::now()).await.unwrap().unwrap();
            }
        }
    });
}

async fn add(store: &Store, base: &Base, range_sets: &RangeSets, nth: usize) -> Attachment {
    let (network, container) = (base.network.clone(), format!("c{nth}"));
    let attachment = Attachment { network, container, interface: "eth0".to_owned() };
    let machine = base.machine.clone();
    let requester = Requester { attachment, node: base.node.clone(), machine, pod: None };
    let mut look = store.look_up(&requester, range_sets, &[], Timestamp::now()).await.unwrap();
    let address: IpAddr = loop {
        match look.snapshot.next_free(0, None) {
            Ok(address) => break address.unwrap(),
            Err(question) => look.answer(question).await.unwrap(),
        }
    };
    let assignment = Assignment { kind: Kind::Dynamic, ..Assignment::in_range_of(range_sets, address) };
    match store.claim(look, &[vec![assignment]], None, &[]).await.unwrap() {
        Claimed::Done(claim) => claim.attachment,
        Claimed::Lost => panic!("nobody else is there"),
    }
}
