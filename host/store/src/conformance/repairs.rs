//! Whatever is damaged is repaired, nothing held is freed, and nobody else notices.

use crate::keys::node_digest;
use crate::map::Map;
use std::collections::BTreeMap;

use super::bench::{Bench, MACHINE, addresses, dynamic, held_for, ip, pod, requester, with_slot};
use crate::ordered::{Change, Commit, OrderedMap};
use crate::record::encode;
use crate::{Disagreement, InUse, Repair, Repaired};
use ipam::{Allocation, Assignment, Claim};

/// Every key of a domain in which pods hold one address and several, and one is on hold; each key in turn is deleted,
/// and made unreadable.
pub(crate) async fn any_one_damaged_key_is_mended(map: Map) {
    let bench = bench(map).await;
    let before = state(&bench).await;
    let kept = [
        bench.store.keys.hold(ip("10.0.0.9")),
        bench.store.keys.identity("me", ip("10.0.0.9")),
        expiry_of_hold(&before),
    ];
    let (mut damaged, mut silent) = (0, Vec::new());
    for key in before.keys() {
        for damage in [None, Some(b"\xff{".as_slice())] {
            overwrite(&bench, &[(key.clone(), damage)]).await;
            if bench.store.inspect().await.unwrap().is_empty() {
                silent.push(key.clone());
            } else {
                damaged += 1;
                repair(&bench).await;
            }
            let mut after = state(&bench).await;
            let hold_is_lost = damage.is_none() && *key == kept[0];
            if hold_is_lost {
                assert!(kept.iter().all(|key| after.remove(key).is_none()), "the indexes of a hold that is gone go");
                after.extend(kept.iter().map(|key| (key.clone(), before[key].clone())));
            }
            if !silent.contains(key) {
                assert_eq!(after, before, "{key} damaged by {damage:?}");
            }
            restore(&bench, &before).await;
        }
    }
    assert_eq!(damaged, 4 * 2 + 3 * 2 + 3 + 3 + 2 * 2 + 2 + 2);
    // Cursors are hints, a node's entry has no value, and the index of pods may miss a claim.
    assert!(silent.iter().all(|key| ["/l/", "/n/", "/p/"].iter().any(|part| key.contains(part))));
}

pub(crate) async fn an_address_that_two_claim_stays_with_its_record(map: Map) {
    let bench = bench(map).await;
    let keys = bench.store.keys.clone();
    let thief = claim(&bench, "two").await;
    let widened = Claim { addresses: [thief.addresses.clone(), vec![in_range(&bench, "10.0.0.2")]].concat(), ..thief };
    bench.scribble(&keys.attachment(&widened.attachment), &encode(&widened)).await;

    let repairs = plan(&bench).await;
    assert_eq!(repairs.len(), 1);
    assert_eq!(repairs[0].remedy, "let the claim of container two interface eth0 in network \"blue\" list 10.0.0.4");
    repair(&bench).await;
    assert_eq!(addresses(&claim(&bench, "one").await), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(addresses(&claim(&bench, "two").await), ["10.0.0.4"]);

    // The record is gone, too: whoever claimed it first has it.
    bench.scribble(&keys.attachment(&widened.attachment), &encode(&widened)).await;
    overwrite(&bench, &[(keys.address(ip("10.0.0.2")), None)]).await;
    repair(&bench).await;
    assert_eq!(addresses(&claim(&bench, "one").await), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(addresses(&claim(&bench, "two").await), ["10.0.0.4"]);
}

pub(crate) async fn several_damages_of_one_attachment_are_one_repair(map: Map) {
    let bench = bench(map).await;
    let before = state(&bench).await;
    let one = claim(&bench, "one").await.attachment;
    let keys = bench.store.keys.clone();
    let garbage = Some(b"".as_slice());
    overwrite(
        &bench,
        &[
            (keys.attachment(&one), None),
            (keys.node_at(&node_digest("node-1"), MACHINE, &one), None),
            (keys.pod(&pod("a", ""), &one), None),
        ],
    )
    .await;
    assert_eq!(plan(&bench).await.len(), 1);
    repair(&bench).await;
    assert_eq!(state(&bench).await, before);

    // What is held again is not kept any more, in the same transaction.
    let kept = before[&keys.hold(ip("10.0.0.9"))].clone();
    let kept = String::from_utf8(kept).unwrap().replace("10.0.0.9", "10.0.0.2");
    let expiry = expiry_of_hold(&before).replace("0a000009", "0a000002");
    let places = [keys.hold(ip("10.0.0.2")), keys.identity("me", ip("10.0.0.2")), expiry];
    let damage = [
        (keys.address(ip("10.0.0.2")), garbage),
        (places[0].clone(), Some(kept.as_bytes())),
        (places[1].clone(), Some(kept.as_bytes())),
        (places[2].clone(), Some(kept.as_bytes())),
    ];
    overwrite(&bench, &damage).await;
    repair(&bench).await;
    assert_eq!(state(&bench).await, before);

    overwrite(&bench, &damage[1..]).await;
    assert_eq!(bench.store.inspect().await.unwrap(), [Disagreement::HeldAndOnHold(ip("10.0.0.2"))]);
    repair(&bench).await;
    assert_eq!(state(&bench).await, before);
}

pub(crate) async fn what_nobody_can_explain_is_left_to_people(map: Map) {
    let bench = bench(map).await;
    let before = state(&bench).await;
    let odd = format!("{}/v2/blue/odd", bench.prefix);
    bench.scribble(&odd, b"?").await;
    bench.scribble(&bench.store.keys.address(ip("10.0.0.77")), b"?").await;
    let repairs = plan(&bench).await;
    let remedies: Vec<_> = repairs.iter().map(|repair| (repair.remedy.clone(), repair.discards)).collect();
    let expected =
        [("free 10.0.0.77: be sure that no container uses it".to_owned(), true), (format!("delete {odd}"), true)];
    assert_eq!(remedies, expected);
    repair(&bench).await;
    assert_eq!(state(&bench).await, before);
}

pub(crate) async fn what_changed_since_it_was_judged_is_left_alone(map: Map) {
    let bench = bench(map).await;
    let keys = bench.store.keys.clone();
    overwrite(&bench, &[(keys.address(ip("10.0.0.4")), None)]).await;
    let stale = plan(&bench).await;
    let two = requester("two", "b");
    bench.release(&two).await;
    let other = requester("four", "d");
    bench.hold(&other, &[dynamic("10.0.0.4")]).await;
    let before = state(&bench).await;
    assert_eq!(bench.store.repair(&stale[0]).await.unwrap(), Repaired::Changed);
    assert_eq!(state(&bench).await, before);
    bench.agrees().await;
}

/// Two claim one address: where the node says who uses it, no repair ends that claim, nor takes the address from it.
pub(crate) async fn no_repair_takes_anything_from_a_container_that_runs(map: Map) {
    let bench = bench(map).await;
    let keys = bench.store.keys.clone();
    let before = state(&bench).await;
    let (one, two) = (claim(&bench, "one").await, claim(&bench, "two").await);
    let use_of = |claim: &Claim| InUse::from([(claim.attachment.clone(), claim.addresses().collect())]);

    // The record of an address is about another by now: the claim of the one that runs stays as it is.
    let held = super::restorations::widened(&one, "10.0.0.4");
    let theirs = held.allocation(&dynamic("10.0.0.4"));
    overwrite(&bench, &[(keys.address(ip("10.0.0.4")), Some(&encode(&theirs)))]).await;
    overwrite(&bench, &[(keys.attachment(&one.attachment), Some(&encode(&held)))]).await;
    let blind = plan(&bench).await;
    let ends = "end the claim of container two interface eth0 in network \"blue\", which holds nothing";
    assert!(blind[0].remedy.starts_with(ends) && !blind[0].is_left, "{}", blind[0].remedy);
    let seeing = bench.store.plan_repairs(&bench.sets, &use_of(&two)).await.unwrap();
    assert!(seeing[0].is_left && seeing[0].remedy.contains("container one"), "{}", seeing[0].remedy);
    let damaged = state(&bench).await;
    assert_eq!(bench.store.repair(&seeing[0]).await.unwrap(), Repaired::Done);
    assert_eq!(state(&bench).await, damaged, "nothing is written");

    // The record is missing: of both, whoever uses the address has it, not who claimed it first.
    overwrite(&bench, &[(keys.address(ip("10.0.0.4")), None)]).await;
    for repair in bench.store.plan_repairs(&bench.sets, &use_of(&two)).await.unwrap() {
        assert_eq!(bench.store.repair(&repair).await.unwrap(), Repaired::Done, "{repair:?}");
    }
    bench.agrees().await;
    assert_eq!(addresses(&claim(&bench, "two").await), ["10.0.0.4"]);
    restore(&bench, &before).await;

    // Nothing readable is left of it: its result on the node knows more than the store.
    overwrite(&bench, &[(keys.attachment(&two.attachment), Some(b"{")), (keys.address(ip("10.0.0.4")), None)]).await;
    let seeing = bench.store.plan_repairs(&bench.sets, &use_of(&two)).await.unwrap();
    assert!(seeing.iter().any(|repair| repair.is_left && repair.remedy.contains("--containers")), "{seeing:?}");
    assert!(seeing.iter().all(|repair| !repair.remedy.contains("end the claim")), "{seeing:?}");
    restore(&bench, &before).await;

    overwrite(&bench, &[(keys.address(ip("10.0.0.77")), Some(b"?"))]).await;
    let in_use = InUse::from([(two.attachment.clone(), [ip("10.0.0.77")].into())]);
    let seeing = bench.store.plan_repairs(&bench.sets, &in_use).await.unwrap();
    assert!(seeing[0].is_left && !seeing[0].discards, "{seeing:?}");
}

/// Three pods, one of them with two addresses, and an address on hold.
async fn bench(map: Map) -> Bench {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let range = |text| in_range(&bench, text);
    bench.hold(&requester("gone", "x"), &[held_for("me", 3600, range("10.0.0.9"))]).await;
    bench.release(&requester("gone", "x")).await;
    bench.hold(&requester("one", "a"), &[range("10.0.0.2"), range("10.0.0.3")]).await;
    bench.hold(&requester("two", "b"), &[range("10.0.0.4")]).await;
    bench.hold(&requester("three", "c"), &[with_slot("team", 7, held_for("you", 60, range("10.0.0.5")))]).await;
    bench.agrees().await;
    bench
}

fn in_range(bench: &Bench, address: &str) -> Assignment {
    Assignment::in_range_of(&bench.sets, ip(address))
}

/// The key of the only hold in the index of when holds end.
fn expiry_of_hold(state: &BTreeMap<String, Vec<u8>>) -> String {
    state.keys().find(|key| key.contains("/e/")).unwrap().clone()
}

async fn claim(bench: &Bench, container: &str) -> Claim {
    bench.store.held_by(&requester(container, "").attachment).await.unwrap().unwrap()
}

async fn plan(bench: &Bench) -> Vec<Repair> {
    bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap()
}

/// Mend everything. No address that a readable record says is held becomes free by it.
async fn repair(bench: &Bench) {
    let held = readable_addresses(bench).await;
    for repair in plan(bench).await {
        assert!(!repair.disagreements.is_empty() && !repair.remedy.is_empty(), "{repair:?}");
        assert_eq!(bench.store.repair(&repair).await.unwrap(), Repaired::Done, "{repair:?}");
    }
    bench.agrees().await;
    let after = readable_addresses(bench).await;
    assert!(held.iter().all(|(address, holder)| after.get(address) == Some(holder)), "{held:?} → {after:?}");
}

async fn readable_addresses(bench: &Bench) -> BTreeMap<std::net::IpAddr, Allocation> {
    bench.everything().await.addresses
}

async fn state(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    bench.everything().await.bytes
}

async fn overwrite(bench: &Bench, values: &[(String, Option<&[u8]>)]) {
    let mut change = Change::default();
    for (key, value) in values {
        match value {
            Some(value) => change.put(key.clone(), *value),
            None => change.delete(key.clone()),
        };
    }
    assert_eq!(bench.store.map().commit(&[change]).await.unwrap(), Commit::Done(0));
}

async fn restore(bench: &Bench, state: &BTreeMap<String, Vec<u8>>) {
    let values: Vec<_> = state.iter().map(|(key, value)| (key.clone(), Some(value.as_slice()))).collect();
    overwrite(bench, &values).await;
}
