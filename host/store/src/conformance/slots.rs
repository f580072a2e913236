//! Slots: numbered places of a list, each taken by one address at a time.

use super::bench::{Bench, dynamic, fixed, requester, with_slot};
use crate::Claimed;
use crate::map::Map;
use ipam::{Claim, HandOver};

pub(crate) async fn a_slot_is_taken_once_and_goes_with_its_address(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    let look = bench.look(&two, &[]).await;
    bench.hold(&one, &[with_slot("team", 0, dynamic("10.0.0.2"))]).await;
    // Of one moment, and of a later one: the address is free, the slot is not.
    let wanted = with_slot("team", 0, dynamic("10.0.0.9"));
    let claimed = bench.store.claim(look, &[vec![wanted.clone()]], None, &[]).await.unwrap();
    assert_eq!(claimed, Claimed::Lost);
    assert_eq!(bench.claim(&two, std::slice::from_ref(&wanted)).await, Claimed::Lost);
    assert_eq!(bench.taken_slots(&two, "team").await, [0]);

    let look = bench.look(&two, &[]).await;
    let second = with_slot("team", 1, dynamic("10.0.0.9"));
    let claimed = bench.store.claim(look, &[vec![wanted.clone()], vec![second]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(claim) if claim.slots().all(|slot| slot.number == 1)));
    bench.agrees().await;

    bench.release(&one).await;
    assert_eq!(bench.taken_slots(&one, "team").await, [1]);
    bench.hold(&one, &[with_slot("team", 0, dynamic("10.0.0.3"))]).await;
    bench.agrees().await;
    bench.release(&one).await;
    bench.release(&two).await;
    assert_eq!(bench.taken_slots(&one, "team").await, [0; 0]);
    bench.agrees().await;
}

pub(crate) async fn a_replacement_has_the_slots_of_the_older_attachment(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    bench.hold(&old, &[with_slot("team", 0, dynamic("10.0.0.2")), with_slot("team", 1, dynamic("10.0.0.3"))]).await;
    assert_eq!(bench.taken_slots(&requester("other", "b"), "team").await, [0, 1]);
    assert_eq!(bench.taken_slots(&new, "team").await, [0; 0]);
    // One address stays and changes its slot, the other goes.
    bench.hold(&new, &[with_slot("team", 1, dynamic("10.0.0.2"))]).await;
    assert_eq!(bench.taken_slots(&requester("other", "b"), "team").await, [1]);
    bench.agrees().await;
    bench.release(&old).await;
    assert_eq!(bench.taken_slots(&requester("other", "b"), "team").await, [1]);
    bench.agrees().await;
}

pub(crate) async fn a_slot_goes_with_an_address_that_is_taken_over(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let gone = requester("gone", "a");
    let two = [with_slot("team", 0, fixed("10.0.0.2")), with_slot("team", 1, fixed("10.0.0.3"))];
    let held: Claim = bench.hold(&gone, &two).await;
    let look = bench.look(&requester("heir", "b"), &["10.0.0.2"]).await;
    let handed_over = [HandOver { held: held.allocation(&held.addresses[0]), former: None }];
    let wanted = vec![with_slot("team", 2, fixed("10.0.0.2"))];
    let claimed = bench.store.claim(look, &[wanted], None, &handed_over).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    assert_eq!(bench.taken_slots(&requester("other", "c"), "team").await, [1, 2]);
    bench.agrees().await;
}

pub(crate) async fn lists_stay_apart_and_come_in_order(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let slots = [("a/b", 9), ("a/b", 255), ("a", 7), ("a/b", 10), ("a/b/c", 1), ("ü", u32::MAX), ("a/b", 0)];
    for (nth, (name, number)) in slots.iter().enumerate() {
        let assignment = with_slot(name, *number, dynamic(&format!("10.0.0.{}", nth + 2)));
        bench.hold(&requester(&format!("c{nth}"), ""), &[assignment]).await;
    }
    let other = requester("other", "");
    assert_eq!(bench.taken_slots(&other, "a/b").await, [0, 9, 10, 255]);
    assert_eq!(bench.taken_slots(&other, "a").await, [7]);
    assert_eq!(bench.taken_slots(&other, "ü").await, [u32::MAX]);
    assert_eq!(bench.taken_slots(&other, "b").await, [0; 0]);
    bench.agrees().await;
}
