//! Only what may be wrong is compared, and what belongs to it. It has to be judged as it would be among everything.

use std::collections::BTreeMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::plan::RepairPlan;
use super::*;
use crate::conformance::{Bench, block_on, dynamic, held_for, requester};
use crate::inspect::Everything;
use crate::memory::Memory;
use crate::ordered::Entry;
use crate::record::encode;
use ipam::{Ceded, Claim, Slot};

const ROUNDS: usize = 400;

/// So many pods, of which some share a name, some have a slot, some an address that another ceded, and some are gone.
const PODS: usize = 24;

struct Random(TestRng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0.next_u64() as usize % end
    }

    fn one_of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }
}

#[test]
fn what_is_wrong_is_judged_as_among_everything() {
    block_on(async {
        let bench = Bench::new(Memory::default(), &["10.0.0.0/24"]);
        populate(&bench).await;
        let whole = bench.store.scan_all(bench.store.keys.everything()).await.unwrap();
        let mut random = Random(TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]));
        let mut wrong = 0;
        for round in 0..ROUNDS {
            let mut change = Change::default();
            for _ in 0..=random.below(4) {
                damage(&bench, &whole, &mut random, &mut change);
            }
            bench.store.map.commit(&[change]).await.unwrap();
            let in_use = in_use(&whole, &bench, &mut random);

            let entries = bench.store.scan_all(bench.store.keys.everything()).await.unwrap();
            let (all, expected) = Everything::of(&bench.store.keys, entries);
            let (part, found) = bench.store.disagreements(&in_use).await.unwrap();
            assert_eq!(found, expected, "round {round}");
            let repairs = RepairPlan::new(&bench.store.keys, &part, &bench.sets, &in_use).repairs(found);
            let expected = RepairPlan::new(&bench.store.keys, &all, &bench.sets, &in_use).repairs(expected);
            assert_eq!(repairs, expected, "round {round}");
            wrong += usize::from(!repairs.is_empty());
            restore(&bench, &whole).await;
        }
        assert!(wrong > ROUNDS / 2, "{wrong}");
    });
}

/// Where all is well nothing is read but everything, once.
#[test]
fn what_agrees_is_read_once() {
    block_on(async {
        let bench = Bench::new(Memory::default(), &["10.0.0.0/16"]);
        bench.fill(crate::conformance::span("10.0.0.2", "10.0.20.1")).await;
        let records = bench.keys_at_rest().await;
        let (found, reads, walked) = bench.cost(bench.store.inspect()).await;
        assert_eq!(found.unwrap(), []);
        assert!(reads as usize <= 2 * records / limits::store::PAGE + 200, "{records} records in {reads} reads");
        assert!(walked as usize <= 6 * records, "{records} records, {walked} walked");
    });
}

async fn populate(bench: &Bench) {
    for nth in 0..PODS {
        let address = format!("10.0.0.{}", nth + 10);
        let mut assignment = dynamic(&address);
        if nth % 3 == 0 {
            assignment = held_for(&format!("sts/{}", nth / 6), 3_600, assignment);
        }
        if nth % 4 == 0 {
            assignment.slot = Some(Slot { name: "team".into(), number: nth as u32 });
        }
        let mut holder = requester(&format!("c{nth:02}"), &format!("pod-{}", nth / 2));
        holder.attachment.interface = format!("eth{}", nth % 2);
        bench.hold(&holder, &[assignment, dynamic(&format!("10.0.0.{}", nth + 100))]).await;
        if nth % 6 == 3 {
            bench.release(&holder).await;
        }
    }
    cede(bench, "c01", "c02").await;
    bench.agrees().await;
}

/// Let one pod have ceded the other's first address to it.
async fn cede(bench: &Bench, former: &str, holder: &str) {
    let claims = bench.store.all_claims().await.unwrap();
    let claim = |name: &str| -> Claim {
        claims.iter().find(|claim| claim.claim().attachment.container == name).unwrap().claim().clone()
    };
    let (mut former, mut holder) = (claim(former), claim(holder));
    let assignment = holder.addresses[0].clone();
    holder.former.insert(assignment.address, former.party());
    former.ceded.push(Ceded { assignment: assignment.clone(), to: holder.party() });
    let keys = &bench.store.keys;
    for claim in [&former, &holder] {
        bench.scribble(&keys.attachment(&claim.attachment), &encode(claim)).await;
    }
    bench.scribble(&keys.address(assignment.address), &encode(&holder.allocation(&assignment))).await;
}

fn damage(bench: &Bench, whole: &[Entry], random: &mut Random, change: &mut Change) {
    let entry = random.one_of(whole);
    let other = random.one_of(whole);
    let text = String::from_utf8_lossy(&entry.value).into_owned();
    match random.below(7) {
        0 | 1 => change.delete(entry.key.clone()),
        2 => change.put(entry.key.clone(), "{"),
        3 => change.put(entry.key.clone(), other.value.clone()),
        4 => {
            // Another of the same kind, as far as its key is concerned.
            let digit = random.one_of(&["1", "2", "3", "c"]);
            change.put(entry.key.replacen(digit, "7", 1 + random.below(3)), entry.value.clone())
        }
        5 => {
            let nth = random.below(PODS);
            let names = [format!("c{nth:02}"), format!("pod-{}", nth / 2), format!("10.0.0.{}\"", nth + 10)];
            let (from, to) = (random.one_of(&["c02", "c04", "pod-1", "pod-2", "10.0.0.12\""]), random.one_of(&names));
            change.put(entry.key.clone(), text.replace(from, to))
        }
        _ => change.put(format!("{}x", bench.store.keys.everything().from), ""),
    };
}

/// What a few containers use: their own, or anything.
fn in_use(whole: &[Entry], bench: &Bench, random: &mut Random) -> InUse {
    let mut in_use = InUse::new();
    for _ in 0..random.below(4) {
        if let Some(crate::keys::Named::Attachment(attachment)) = bench.store.keys.named(&random.one_of(whole).key) {
            let address = format!("10.0.0.{}", random.below(PODS) + 10);
            in_use.entry(attachment).or_default().insert(address.parse().unwrap());
        }
    }
    in_use
}

async fn restore(bench: &Bench, whole: &[Entry]) {
    let whole: BTreeMap<&String, &Vec<u8>> = whole.iter().map(|entry| (&entry.key, &entry.value)).collect();
    let mut change = Change::default();
    for entry in bench.store.scan_all(bench.store.keys.everything()).await.unwrap() {
        if !whole.contains_key(&entry.key) {
            change.delete(entry.key);
        }
    }
    for (key, value) in whole {
        change.put(key.clone(), value.clone());
    }
    bench.store.map.commit(&[change]).await.unwrap();
}
