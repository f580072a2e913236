//! What goes wrong, and how it is undone.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use kube_ipam_tests::apiserver;
use serde_json::Value;
use tokio::runtime::Builder;

use super::{QUOTA, Scene};
use crate::draw::Draw;

/// Everything that may happen to the cluster of etcd, to the API server and to the clocks of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    LeaderKilled,
    LeaderPaused,
    FollowerPaused,
    LeaderCutOff,
    LeaderDeaf,
    LeaderHidden,
    LeaderSlow,
    DiskFull,
    QuotaUsedUp,
    MemberReplaced,
    ApiServerFails,
    ClocksWrong,
}

pub(super) const ALL: [Fault; 12] = [
    Fault::LeaderKilled,
    Fault::LeaderPaused,
    Fault::FollowerPaused,
    Fault::LeaderCutOff,
    Fault::LeaderDeaf,
    Fault::LeaderHidden,
    Fault::LeaderSlow,
    Fault::DiskFull,
    Fault::QuotaUsedUp,
    Fault::MemberReplaced,
    Fault::ApiServerFails,
    Fault::ClocksWrong,
];

/// Below it, ballast lies.
const BALLAST: &str = "/ballast/";
/// Years are wrong, minutes are wrong.
const SHIFTS: [i64; 4] = [-1_700_000_000, 440_000_000, -300, 300];

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LeaderKilled => "the leader is killed",
            Self::LeaderPaused => "the leader is stopped and goes on",
            Self::FollowerPaused => "a follower is stopped and goes on",
            Self::LeaderCutOff => "the leader is cut off from the others, and clients reach it",
            Self::LeaderDeaf => "the leader hears nothing of the others, who hear it",
            Self::LeaderHidden => "clients do not reach the leader",
            Self::LeaderSlow => "what the leader sends passes at 1 Mbit/s",
            Self::DiskFull => "the disk of a member is full, and it starts again",
            Self::QuotaUsedUp => "etcd's quota is used up (NOSPACE)",
            Self::MemberReplaced => "a member is replaced by an empty one",
            Self::ApiServerFails => "the API server fails",
            Self::ClocksWrong => "clocks of nodes are wrong by minutes and decades",
        }
    }

    /// Strike, wait, undo, and wait until every member serves.
    pub(super) fn strike(self, scene: &Scene, lasts: Duration, draw: &mut Draw) {
        let etcd = &scene.etcd;
        let leader = etcd.leader();
        let follower = (leader + 1) % 3;
        match self {
            Self::LeaderKilled => {
                etcd.kill(leader);
                thread::sleep(lasts);
                etcd.launch(leader);
            }
            Self::LeaderPaused => pause(scene, leader, lasts),
            Self::FollowerPaused => pause(scene, follower, lasts),
            Self::LeaderCutOff => {
                etcd.isolate(leader);
                thread::sleep(lasts);
                etcd.rejoin(leader);
            }
            Self::LeaderDeaf => {
                etcd.lan().deafen(leader);
                thread::sleep(lasts);
                etcd.lan().undeafen(leader);
            }
            Self::LeaderHidden => {
                etcd.lan().hide(leader);
                thread::sleep(lasts);
                etcd.lan().show(leader);
            }
            Self::LeaderSlow => {
                etcd.lan().slow_down(leader, 1_000);
                thread::sleep(lasts);
                etcd.lan().speed_up(leader);
            }
            Self::DiskFull => fill_a_disk(scene, follower, lasts),
            Self::QuotaUsedUp => use_up_the_quota(scene, lasts),
            Self::MemberReplaced => etcd.replace(follower),
            Self::ApiServerFails => {
                let faults = [apiserver::Fault::Unavailable, apiserver::Fault::Cut, apiserver::Fault::Garbage];
                scene.server.fail(faults[draw.index(faults.len())], usize::MAX);
                thread::sleep(lasts);
                scene.server.heal();
            }
            Self::ClocksWrong => {
                scene.clock.store(SHIFTS[draw.index(SHIFTS.len())], Ordering::Relaxed);
                thread::sleep(lasts);
                scene.clock.store(0, Ordering::Relaxed);
            }
        }
        (0..3).for_each(|nth| etcd.wait_for(nth));
    }
}

fn pause(scene: &Scene, member: usize, lasts: Duration) {
    scene.etcd.freeze(member);
    thread::sleep(lasts);
    scene.etcd.thaw(member);
}

/// What etcd has reserved lasts for a while, so the member has to start on the full disk, too.
fn fill_a_disk(scene: &Scene, member: usize, lasts: Duration) {
    let etcd = &scene.etcd;
    etcd.fill_disk(member);
    thread::sleep(lasts / 2);
    etcd.kill(member);
    etcd.launch(member);
    thread::sleep(lasts / 2);
    etcd.clear_disk(member);
    if etcd.has_ended(member) {
        etcd.launch(member);
    }
}

/// Ballast until etcd takes no more; then as an operator makes room.
fn use_up_the_quota(scene: &Scene, lasts: Duration) {
    let etcd = &scene.etcd;
    Builder::new_current_thread().enable_all().build().unwrap().block_on(load(etcd.endpoints()));
    thread::sleep(lasts);
    insist(scene, &["del", BALLAST, "--prefix"]);
    // Up to where somebody else may have compacted already.
    let told: Value = serde_json::from_str(&insist(scene, &["get", "/", "--write-out", "json"])).unwrap();
    etcd.ask_all(&["--command-timeout=30s", "compact", &told["header"]["revision"].to_string()]);
    for nth in 0..3 {
        etcd.ask(&[nth], &["--command-timeout=30s", "defrag"]);
    }
    insist(scene, &["alarm", "disarm"]);
}

/// What `etcdctl` prints, once it succeeds: other work may keep the members from answering for a while.
fn insist(scene: &Scene, command: &[&str]) -> String {
    for _ in 0..20 {
        let output = scene.etcd.ask_all(&[&["--command-timeout=10s"], command].concat());
        if output.status.success() {
            return String::from_utf8_lossy(&output.stdout).into_owned();
        }
        thread::sleep(Duration::from_millis(500));
    }
    panic!("etcdctl {command:?} does not succeed");
}

async fn load(endpoints: Vec<String>) {
    let mut client = etcd_client::Client::connect(endpoints, None).await.unwrap();
    let most = 4 * (QUOTA >> 20);
    for nth in 0..most {
        let put = client.put(format!("{BALLAST}{nth}"), vec![7; 1 << 20], None).await;
        if put.is_err_and(|error| error.to_string().contains("space")) {
            return;
        }
    }
    panic!("etcd has taken {most} MiB, which is more than its quota");
}
