//! Reservations: addresses that nobody gets until an operator says so.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::{Bench, dynamic, fixed, held_for, ip, requester, span};
use crate::map::Map;
use crate::record::{Hold, encode};
use crate::repair::InUse;
use crate::{Claimed, MoveOutcome, Occupancy, Occupant, Outlook, PlannedReservation, Requester, Rival, StandingHold};
use ipam::Reservation;

pub(crate) async fn a_reserved_address_goes_to_nobody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    reserve(&bench, &["10.0.0.2", "10.0.0.4"]).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("reserved: printer"));
    let two = requester("two", "b");
    let pretended = held_for("(reserved: printer)", 60, dynamic("10.0.0.2"));
    for (nth, now) in ["1970-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "9999-12-30T21:59:00Z"].into_iter().enumerate() {
        bench.now.set(now.parse().unwrap());
        for wanted in [dynamic("10.0.0.2"), fixed("10.0.0.2"), pretended.clone()] {
            assert_eq!(bench.contest(&two, std::slice::from_ref(&wanted)).await, Claimed::Lost, "{now}");
            assert_eq!(bench.claim(&two, &[wanted]).await, Claimed::Lost, "{now}");
        }
        let mut look = bench.look(&two, &[]).await;
        assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.0.3")));
        assert_eq!(bench.next_free(&mut look, 0, Some(ip("10.0.0.3"))).await, Some(ip("10.0.0.5")));
        drop(look);
        // Whoever comes and goes removes what is over by the way, and this never is.
        let guest = requester(&format!("guest-{nth}"), "");
        bench.hold(&guest, &[held_for("me", 1, dynamic("10.0.0.9"))]).await;
        bench.release(&guest).await;
        bench.pass(Duration::from_secs(2));
        bench.store.remove_expired(bench.now.get(), 4).await.unwrap();
        assert_eq!(reserved(&bench).await, ["10.0.0.2", "10.0.0.4"]);
    }
    bench.agrees().await;
}

/// The holder of an address keeps it, and what its release leaves is replaced only where nobody is promised anything.
pub(crate) async fn a_reservation_takes_no_address_from_anybody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let store = bench.store.with_cooldown(Some(Duration::from_secs(30)));
    let bench = Bench { store, ..bench };
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    bench.hold(&two, &[held_for("sts/web-0", 60, dynamic("10.0.0.3"))]).await;
    let planned = plan(&bench, &["10.0.0.2", "10.0.0.3"], false).await;
    assert!(planned.iter().all(|planned| matches!(planned.outlook, Outlook::Held(_)) && !planned.is_needed()));
    assert_eq!(bench.store.reserve(&planned).await.unwrap(), []);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));

    bench.release(&one).await;
    bench.release(&two).await;
    let planned = plan(&bench, &["10.0.0.2", "10.0.0.3"], false).await;
    assert!(matches!(planned[0].outlook, Outlook::CoolingDown(_)), "{planned:?}");
    assert!(matches!(&planned[1].outlook, Outlook::OnHold { identity, .. } if identity == "sts/web-0"), "{planned:?}");
    assert_eq!(bench.store.reserve(&planned).await.unwrap(), [(ip("10.0.0.2"), true)]);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("kept for sts/web-0"));
    let planned = plan(&bench, &["10.0.0.3"], true).await;
    assert_eq!(bench.store.reserve(&planned).await.unwrap(), [(ip("10.0.0.3"), true)]);
    assert!(bench.store.holds_for("sts/web-0").await.unwrap().is_empty());
    let wanted = held_for("sts/web-0", 60, dynamic("10.0.0.3"));
    assert_eq!(bench.contest(&two, &[wanted]).await, Claimed::Lost);
    bench.agrees().await;
}

pub(crate) async fn what_changed_since_a_reservation_was_planned_stays(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/23"]);
    let all: Vec<String> = (2..202).map(|last| format!("10.0.0.{last}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let planned = plan(&bench, &all, false).await;
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    bench.hold(&one, &[dynamic("10.0.0.9")]).await;
    bench.hold(&two, &[held_for("me", 60, dynamic("10.0.0.190"))]).await;
    bench.release(&two).await;
    let made = bench.store.reserve(&planned).await.unwrap();
    let lost: Vec<String> = made.iter().filter(|(_, made)| !made).map(|(address, _)| address.to_string()).collect();
    assert_eq!((made.len(), lost), (200, vec!["10.0.0.9".to_owned(), "10.0.0.190".to_owned()]));
    assert_eq!(bench.holder_of("10.0.0.9").await.as_deref(), Some("one"));
    assert_eq!(bench.holder_of("10.0.0.190").await.as_deref(), Some("kept for me"));
    assert_eq!(reserved(&bench).await.len(), 198);
    bench.agrees().await;
}

pub(crate) async fn a_reservation_ends_as_it_was_shown_and_no_other(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    reserve(&bench, &["10.0.0.2", "10.0.0.3", "10.0.0.200", "fd00::7"]).await;
    let some = bench.store.reservations_in(span("10.0.0.3", "10.0.0.255")).first(10).await.unwrap();
    assert_eq!(addresses(&some), ["10.0.0.3", "10.0.0.200"]);
    // Of one another operator has changed the reason meanwhile.
    assert_eq!(bench.store.end_holds(&some[1..]).await.unwrap(), [true]);
    reserve_as(&bench, &["10.0.0.200"], Reservation { reason: "router".into(), ..words() }).await;
    assert_eq!(bench.store.end_holds(&some).await.unwrap(), [true, false]);
    assert_eq!(reserved(&bench).await, ["10.0.0.2", "10.0.0.200", "fd00::7"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.3")]).await;
    assert_eq!(addresses(&bench.store.reservations().first(2).await.unwrap()), ["10.0.0.2", "10.0.0.200"]);
    bench.agrees().await;
}

/// Reading a list again changes what it changes, and leaves to others what is theirs.
pub(crate) async fn a_list_renews_its_own_reservations_alone(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    reserve(&bench, &["10.0.0.2"]).await;
    let listed = Reservation { list: Some("netbox".into()), ..words() };
    reserve_as(&bench, &["10.0.0.3"], listed.clone()).await;
    let renewed = Reservation { reason: "scanner".into(), ..listed };
    let wanted: BTreeMap<_, _> = ["10.0.0.2", "10.0.0.3"].iter().map(|text| (ip(text), renewed.clone())).collect();
    let planned = bench.store.plan_reservations(&wanted, false, bench.now.get()).await.unwrap();
    assert!(matches!(&planned[0].outlook, Outlook::Reserved(former) if former.list.is_none()), "{planned:?}");
    assert!(matches!(&planned[1].outlook, Outlook::Renewed(former) if former.reason == "printer"), "{planned:?}");
    assert_eq!(bench.store.reserve(&planned).await.unwrap(), [(ip("10.0.0.3"), true)]);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("reserved: scanner"));
    let again = bench.store.plan_reservations(&wanted, false, bench.now.get()).await.unwrap();
    assert!(again.iter().all(|planned| matches!(planned.outlook, Outlook::Reserved(_))), "{again:?}");
    bench.agrees().await;
}

pub(crate) async fn a_reservation_costs_a_claim_no_read(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let mut costs = Vec::new();
    for reserving in [false, true] {
        if reserving {
            reserve(&bench, &["10.0.0.2", "10.0.0.3", "10.0.0.4"]).await;
        }
        let requester = requester(&format!("of {reserving}"), "a");
        let ((), reads, _) = bench.cost(async { assert!(bench.hold_next(&requester, None).await.is_some()) }).await;
        costs.push(reads);
        bench.release(&requester).await;
    }
    assert_eq!(costs[0], costs[1], "{costs:?}");
}

pub(crate) async fn reserved_addresses_are_counted_apart(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/28"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for("me", 60, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    bench.hold(&one, &[dynamic("10.0.0.3")]).await;
    // The gateway and an address outside of the ranges are not offered to anybody, reserved or not.
    reserve(&bench, &["10.0.0.1", "10.0.0.4", "10.0.0.5", "10.0.9.9"]).await;
    let found = bench.store.occupancy(&bench.sets, bench.now.get()).await.unwrap();
    assert_eq!(found[0], Occupancy { size: 13, held: 1, kept: 1, reserved: 2, free: 9 });
}

/// A damaged reservation keeps its address from everybody, and is written again from its index.
pub(crate) async fn a_damaged_reservation_is_still_one(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    reserve(&bench, &["10.0.0.2"]).await;
    let before = bench.entries().await;
    let keys = bench.store.keys.clone();
    for key in [keys.hold(ip("10.0.0.2")), keys.expiry(Hold::NEVER, ip("10.0.0.2"))] {
        for damage in [None, Some(b"{".as_slice())] {
            match damage {
                None => bench.delete(&key).await,
                Some(bytes) => bench.scribble(&key, bytes).await,
            }
            let repairs = bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap();
            assert_eq!(repairs.len(), 1, "{key} {repairs:?}");
            bench.store.repair(&repairs[0]).await.unwrap();
            assert_eq!(bench.entries().await, before, "{key} {damage:?}");
        }
    }
    bench.agrees().await;
}

/// Edited by hand, or restored from two backups: no repair ends a reservation, nor frees what somebody holds.
pub(crate) async fn what_is_held_and_reserved_is_left_to_people(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let keys = bench.store.keys.clone();
    let hold = Hold::of_reservation(ip("10.0.0.2"), words());
    for key in [keys.hold(ip("10.0.0.2")), keys.expiry(Hold::NEVER, ip("10.0.0.2"))] {
        bench.scribble(&key, &encode(&hold)).await;
    }
    let repairs = bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap();
    assert!(repairs.len() == 1 && repairs[0].is_left, "{repairs:?}");
    assert!(repairs[0].remedy.contains("kube-ipam unreserve 10.0.0.2"), "{repairs:?}");
    bench.release(&one).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("reserved: printer"));
    bench.agrees().await;
}

/// The record of an address was lost, and the address reserved before anybody noticed: the claim that still lists it is not
/// given it back at the reservation's expense, also where that is damaged.
pub(crate) async fn no_repair_of_a_claim_ends_a_reservation(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let keys = bench.store.keys.clone();
    bench.delete(&keys.address(ip("10.0.0.2"))).await;
    reserve(&bench, &["10.0.0.2"]).await;
    let reservation = encode(&Hold::of_reservation(ip("10.0.0.2"), words()));
    for record in [reservation.as_slice(), b"{"] {
        bench.scribble(&keys.hold(ip("10.0.0.2")), record).await;
        for repair in bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap() {
            assert!(repair.is_left && repair.remedy.contains("kube-ipam unreserve 10.0.0.2"), "{repair:?}");
        }
    }
    bench.scribble(&keys.hold(ip("10.0.0.2")), &reservation).await;
    bench.release(&one).await;
    assert_eq!(reserved(&bench).await, ["10.0.0.2"]);
    bench.agrees().await;
}

/// Written by hand, or by a program that knows reservations otherwise: what says that it ends is not swept.
pub(crate) async fn a_reservation_that_says_it_ends_does_not(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let keys = bench.store.keys.clone();
    let hold = Hold { until: bench.now.get(), ..Hold::of_reservation(ip("10.0.0.2"), words()) };
    for key in [keys.hold(hold.address), keys.expiry(hold.until, hold.address)] {
        bench.scribble(&key, &encode(&hold)).await;
    }
    bench.pass(Duration::from_secs(2));
    bench.hold(&requester("one", ""), &[dynamic("10.0.0.3")]).await;
    assert_eq!(bench.store.remove_expired(bench.now.get(), 4).await.unwrap(), 0);
    assert_eq!(bench.contest(&requester("two", ""), &[dynamic("10.0.0.2")]).await, Claimed::Lost);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("reserved: printer"));
    // An import gives it the end that all have.
    let other = bench.store.beside("other");
    other.admit_holds(vec![hold], bench.now.get(), false).await.unwrap();
    assert_eq!(addresses(&other.reservations().first(2).await.unwrap()), ["10.0.0.2"]);
    bench.agrees().await;
}

/// A container runs with an address that the store had forgotten, and that was reserved meanwhile.
pub(crate) async fn a_reservation_outlives_the_claim_that_was_forgotten(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    reserve(&bench, &["10.0.0.2"]).await;
    let Requester { attachment, node, machine, pod } = requester("one", "a");
    let has = vec![dynamic("10.0.0.2"), dynamic("10.0.0.3")];
    let occupant = Occupant { attachment, node, machine, pod, addresses: has };
    let plans = bench.store.plan_restorations(&[occupant], |_, _| Rival::Stays, bench.tick()).await.unwrap();
    assert_eq!(plans[0].reserved.iter().map(|hold| hold.address).collect::<Vec<_>>(), [ip("10.0.0.2")]);
    assert_eq!(plans[0].missing, [ip("10.0.0.3")]);
    assert!(bench.store.restore(&plans[0]).await.unwrap());
    assert_eq!(reserved(&bench).await, ["10.0.0.2"]);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("one"));
    bench.agrees().await;
}

pub(crate) async fn reservations_move_with_their_network(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let former = bench.store.beside("old");
    let wanted: BTreeMap<_, _> = ["10.0.0.2", "10.0.0.3"].iter().map(|text| (ip(text), words())).collect();
    let planned = former.plan_reservations(&wanted, false, bench.now.get()).await.unwrap();
    former.reserve(&planned).await.unwrap();
    // Here one of them is reserved for another reason, which stays.
    reserve_as(&bench, &["10.0.0.3"], Reservation { reason: "router".into(), ..words() }).await;
    let moves = former.moves("blue", &bench.sets, bench.now.get()).await.unwrap().moves;
    let mut outcomes = Vec::new();
    for moving in &moves {
        outcomes.push(bench.store.take_over(&former, true, moving, "blue", bench.now.get(), false).await.unwrap());
    }
    assert_eq!(outcomes, [MoveOutcome::Done, MoveOutcome::Already]);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("reserved: printer"));
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("reserved: router"));
    assert!(former.reservations().first(1).await.unwrap().is_empty());
    bench.agrees().await;
}

pub(super) fn words() -> Reservation {
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    Reservation { reason: "printer".to_owned(), by: "root@node-1".to_owned(), since, list: None }
}

async fn plan(bench: &Bench, addresses: &[&str], ends_holds: bool) -> Vec<PlannedReservation> {
    let wanted: BTreeMap<_, _> = addresses.iter().map(|text| (ip(text), words())).collect();
    bench.store.plan_reservations(&wanted, ends_holds, bench.now.get()).await.unwrap()
}

pub(super) async fn reserve(bench: &Bench, addresses: &[&str]) {
    reserve_as(bench, addresses, words()).await;
}

async fn reserve_as(bench: &Bench, addresses: &[&str], words: Reservation) {
    let wanted: BTreeMap<_, _> = addresses.iter().map(|text| (ip(text), words.clone())).collect();
    let planned = bench.store.plan_reservations(&wanted, false, bench.now.get()).await.unwrap();
    let made = bench.store.reserve(&planned).await.unwrap();
    assert!(made.len() == addresses.len() && made.iter().all(|(_, made)| *made), "{made:?}");
}

async fn reserved(bench: &Bench) -> Vec<String> {
    addresses(&bench.store.reservations().first(usize::MAX).await.unwrap())
}

fn addresses(standing: &[StandingHold]) -> Vec<String> {
    standing.iter().map(|standing| standing.hold().address.to_string()).collect()
}
