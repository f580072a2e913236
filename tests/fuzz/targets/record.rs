//! A damaged record under any of the store's keys: every read succeeds or says what is damaged, nobody's address is given
//! away, and a release frees nothing that another holds.
#![no_main]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use ipam::{Assignment, Claim, RangeSets};
use workbench::lab::world::{NETWORK, attachment};
use workbench::lab::{TrialRequester, World};
use engine::{Policy, Source};
use store::memory::Memory;
use store::ordered::{Change, Entry, KeyRange, OrderedMap, Read, View};
use store::{Requester, Claimed, AllocationFilter, InUse, Store};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Damage<'a> {
    Replaced(&'a [u8]),
    Cut(u16),
    Changed(Vec<(u16, u8)>),
}

/// Two pods hold an address of either family each, and a third one's cool down.
struct Whole {
    range_sets: RangeSets,
    entries: Vec<Entry>,
    held: BTreeSet<IpAddr>,
    kept: BTreeSet<IpAddr>,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let policy = Policy::load(&Source::alone(None)).expect("the built-in policy");
    let ipam = serde_json::json!({
        "ranges": [[{"subnet": "10.0.0.0/28"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h",
    });
    let world = World::named(NETWORK, ipam.as_object().expect("an object"), policy).expect("a world");
    let claim = |container: &str| world.allocate(&trial_requester(container)).outcome.expect("an address");
    let claims: Vec<Claim> = ["one", "two", "gone"].map(claim).into();
    world.release(&attachment("gone")).expect("a release");
    let map = Memory::default();
    world.copy_to(&map).expect("a copy");
    let addresses = |claims: &[Claim]| claims.iter().flat_map(Claim::addresses).collect();
    let (held, kept) = (addresses(&claims[..2]), addresses(&claims[2..]));
    Whole { range_sets: world.range_sets().clone(), entries: everything(&map), held, kept }
});

fuzz_target!(|input: (u8, Damage<'_>)| at_once(survives(usize::from(input.0), &input.1)));

async fn survives(nth: usize, damage: &Damage<'_>) {
    let damaged = &WHOLE.entries[nth % WHOLE.entries.len()];
    let map = Memory::default();
    let mut change = Change::default();
    for entry in &WHOLE.entries {
        let value = if entry.key == damaged.key { damage.done_to(&entry.value) } else { entry.value.clone() };
        change.put(entry.key.clone(), value);
    }
    map.commit(&[change]).await.expect("memory");
    let store = Store::new(map, PREFIX, NETWORK);
    read_everything(&store).await;
    nobodys_address_is_claimed(&store, damaged).await;
    a_release_frees_its_own(&store, damaged).await;
}

/// Of the configuration's default.
const PREFIX: &str = store::EtcdConfig::DEFAULT_PREFIX;

async fn read_everything(store: &Store) {
    let sets = &WHOLE.range_sets;
    let _ = store.allocations(&AllocationFilter::default()).all().await;
    let _ = store.standing_holds(now()).await;
    let _ = store.occupancy(sets, now()).await;
    let _ = store.claims(NETWORK).await;
    let _ = store.inspect().await;
    let _ = store.plan_repairs(sets, &InUse::new()).await;
    for container in ["one", "two", "gone"] {
        let _ = store.held_by(&attachment(container)).await;
        let _ = store.look_up(&requester(container), sets, &[], now()).await.map(drop);
    }
    let _ = store.attachments_on("node-1", NETWORK).await;
}

async fn nobodys_address_is_claimed(store: &Store, damaged: &Entry) {
    // The record of a hold may have been changed to one whose time is over.
    let is_kept = !damaged.key.contains("/h/");
    let is_taken = |address: &IpAddr| WHOLE.held.contains(address) || is_kept && WHOLE.kept.contains(address);
    let Ok(mut look) = store.look_up(&requester("new"), &WHOLE.range_sets, &[], now()).await else { return };
    let mut proposal = Vec::new();
    for set in 0..WHOLE.range_sets.len() {
        for _ in 0..16 {
            match look.snapshot.next_free(set, None) {
                Ok(free) => {
                    proposal.extend(free.map(|free| Assignment::in_range_of(&WHOLE.range_sets, free)));
                    break;
                }
                Err(question) => drop(look.answer(question).await),
            }
        }
    }
    assert!(!proposal.iter().any(|free| is_taken(&free.address)), "{proposal:?}, {damaged:?} having been damaged");
    if let Ok(Claimed::Done(claim)) = store.claim(look, &[proposal], None, &[]).await {
        assert!(!claim.addresses().any(|address| is_taken(&address)), "{claim:?}, {damaged:?} having been damaged");
    }
}

async fn a_release_frees_its_own(store: &Store, damaged: &Entry) {
    let _ = store.release(&attachment("one"), now()).await;
    let left = everything(store.map());
    for entry in WHOLE.entries.iter().filter(|entry| entry.key != damaged.key) {
        let of_two = entry.key.contains("/a/") && String::from_utf8_lossy(&entry.value).contains("\"two\"");
        assert!(!of_two || left.contains(entry), "{entry:?} is gone, {damaged:?} having been damaged");
    }
}

impl Damage<'_> {
    fn done_to(&self, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        match self {
            Self::Replaced(bytes) => value = bytes.to_vec(),
            Self::Cut(at) => value.truncate(usize::from(*at) % value.len().max(1)),
            Self::Changed(bytes) => {
                let length = value.len().max(1);
                for (at, byte) in bytes {
                    value.get_mut(usize::from(*at) % length).into_iter().for_each(|old| *old = *byte);
                }
            }
        }
        value
    }
}

fn trial_requester(container: &str) -> TrialRequester {
    let name = ipam::PodName { namespace: "shop".into(), name: container.into(), uid: Some("u".into()), cluster: None };
    let pod = ipam::Pod { name, annotations: Default::default(), labels: Default::default(), owner: None };
    TrialRequester { pod: Some(pod), ..TrialRequester::container(container) }
}

fn requester(container: &str) -> Requester {
    let TrialRequester { attachment, node, pod, .. } = trial_requester(container);
    Requester { attachment, node, machine: String::new(), pod: pod.map(|pod| pod.name) }
}

/// Before anything has cooled down.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_767_225_600 + 60).expect("a moment")
}

fn everything(map: &Memory) -> Vec<Entry> {
    let range = KeyRange { from: String::new(), to: "\u{10ffff}".to_owned() };
    let read = async { map.view().await?.read(&[Read::scan(range, usize::MAX)]).await };
    at_once(read).expect("memory").remove(0).entries
}

/// Memory never waits: the first poll is the last.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("memory waits"),
    }
}
