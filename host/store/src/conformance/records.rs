//! Records as nobody wrote them, the same ones in every run: whatever lies under our keys, nothing panics, and nobody's
//! address is given away or freed.

use crate::map::Map;
use std::collections::BTreeSet;
use std::net::IpAddr;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::bench::{Bench, assignment, dynamic, held_for, requester};
use crate::keys::address_in;
use crate::list::AllocationFilter;
use crate::ordered::{Change, Commit, Entry, OrderedMap};
use crate::{Claimed, InUse, Requester};
use ipam::Kind;

const ROUNDS: usize = 150;

pub(crate) async fn whatever_lies_under_a_key_is_survived(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/28", "fd00::/64"]);
    let kept = requester("kept", "k");
    bench.hold(&kept, &[held_for("sts/k", 3_600, dynamic("10.0.0.9")), dynamic("fd00::9")]).await;
    bench.release(&kept).await;
    let holders = [requester("one", "a"), requester("two", "b")];
    for (nth, holder) in holders.iter().enumerate() {
        bench.hold(holder, &[dynamic(&format!("10.0.0.{}", nth + 2)), dynamic(&format!("fd00::{}", nth + 2))]).await;
    }
    let whole = bench.entries().await;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    for round in 0..ROUNDS {
        let entry = &whole[random.next_u64() as usize % whole.len()];
        bench.scribble(&entry.key, &mutated(&entry.value, &mut random)).await;
        read_everything(&bench, &holders).await;
        nobodys_address_is_claimed(&bench, &whole).await;
        a_release_frees_its_own(&bench, &holders, &whole, entry).await;
        restore(&bench, &whole).await;
        assert_eq!(bench.entries().await.len(), whole.len(), "round {round}");
    }
    bench.agrees().await;
}

/// A byte, an end, another address, or something else altogether.
fn mutated(value: &[u8], random: &mut TestRng) -> Vec<u8> {
    let mut value = value.to_vec();
    let mut below = |end: usize| random.next_u64() as usize % end.max(1);
    let at = below(value.len());
    match below(6) {
        0 => value.truncate(at),
        1 => value = b"[".repeat(100_000),
        2 | 3 => {
            let text = String::from_utf8_lossy(&value).into_owned();
            let other = ["10.0.0.3", "10.0.0.1", "fd00::2", "255.255.255.255"][below(4)];
            value = text.replace("10.0.0.2", other).replace("one", "two").into_bytes();
        }
        _ if value.is_empty() => value.push(b'{'),
        _ => value[at] = below(256) as u8,
    }
    value
}

/// Each read succeeds or says what is damaged.
async fn read_everything(bench: &Bench, holders: &[Requester]) {
    let (store, now) = (&bench.store, bench.tick());
    let _ = store.allocations(&AllocationFilter::default()).all().await;
    let _ = store.standing_holds(now).await;
    let _ = store.occupancy(&bench.sets, now).await;
    let _ = store.claims("blue").await;
    let _ = store.inspect().await;
    let _ = store.plan_repairs(&bench.sets, &InUse::new()).await;
    for holder in holders {
        let _ = store.held_by(&holder.attachment).await;
        let _ = store.attachments_on(&holder.node, &holder.machine, "blue").await;
        let again = Requester { pod: holder.pod.clone(), ..requester("again", "") };
        let _ = store.look_up(&again, &bench.sets, &[], now).await.map(drop);
    }
}

/// An address with a record, readable or not, is not free.
async fn nobodys_address_is_claimed(bench: &Bench, whole: &[Entry]) {
    let held = whole.iter().filter(|entry| entry.key.contains("/a/"));
    let taken: BTreeSet<IpAddr> = held.filter_map(|entry| address_in(&entry.key)).collect();
    let new = requester("new", "");
    let Ok(mut look) = bench.store.look_up(&new, &bench.sets, &[], bench.tick()).await else { return };
    let mut proposal = Vec::new();
    for set in 0..bench.sets.len() {
        for _ in 0..16 {
            match look.snapshot.next_free(set, None) {
                Ok(free) => {
                    proposal.extend(free.map(|address| assignment(address, Kind::Dynamic)));
                    break;
                }
                Err(question) => drop(look.answer(question).await),
            }
        }
    }
    assert!(proposal.iter().all(|free| !taken.contains(&free.address)), "{proposal:?}");
    if let Ok(Claimed::Done(claim)) = bench.store.claim(look, &[proposal], None, &[]).await {
        assert!(claim.addresses().all(|address| !taken.contains(&address)), "{claim:?}");
        bench.release(&new).await;
    }
}

/// A release whose claim may say anything frees nothing that another holds.
async fn a_release_frees_its_own(bench: &Bench, holders: &[Requester], whole: &[Entry], but: &Entry) {
    let _ = bench.store.release(&holders[0].attachment, bench.tick()).await;
    let left = bench.entries().await;
    let of_two =
        |entry: &&Entry| entry.key.contains("/a/") && String::from_utf8_lossy(&entry.value).contains("\"two\"");
    for entry in whole.iter().filter(of_two).filter(|entry| entry.key != but.key) {
        assert!(left.contains(entry), "{entry:?} is gone, {but:?} having been damaged");
    }
}

async fn restore(bench: &Bench, whole: &[Entry]) {
    let mut change = Change::default();
    for entry in bench.entries().await {
        if whole.iter().all(|known| known.key != entry.key) {
            change.delete(entry.key);
        }
    }
    for Entry { key, value } in whole {
        change.put(key.clone(), value.clone());
    }
    assert_eq!(bench.store.map.commit(&[change]).await.unwrap(), Commit::Done(0));
}
