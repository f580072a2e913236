//! Slots: numbered places of a list, each taken by one address at a time.

use super::bench::{Bench, dynamic, fixed, requester, with_slot};
use crate::map::Map;
use crate::{Claimed, Look};
use ipam::{Claim, HandOver, SlotsWanted};

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

/// Claim the slots of a list from the first to the last but these, twelve to a claim.
async fn take_all_but(bench: &Bench, list: &str, last: u32, free: &[u32]) {
    let taken: Vec<u32> = (0..=last).filter(|number| !free.contains(number)).collect();
    for (nth, chunk) in taken.chunks(12).enumerate() {
        let proposal: Vec<_> = chunk
            .iter()
            .map(|number| with_slot(list, *number, dynamic(&format!("10.0.{}.{}", number / 200, number % 200 + 2))))
            .collect();
        bench.hold(&requester(&format!("taker-{nth}"), ""), &proposal).await;
    }
}

async fn free_slots(look: &mut Look, list: &str, limit: u32, near: u32, count: u32) -> Option<Vec<u32>> {
    let wanted = SlotsWanted { name: list.to_owned(), limit, near, count };
    if let Err(question) = look.snapshot.free_slots(wanted.clone()) {
        look.answer(question).await.unwrap();
    }
    look.snapshot.free_slots(wanted).unwrap()
}

pub(crate) async fn free_slots_are_found_among_any_number(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let free: Vec<u32> = (0..1_000).filter(|number| number % 50 == 7).collect();
    take_all_but(&bench, "team", 999, &free).await;
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    // A window around the number, whatever else is taken; and the end of the list is followed by its beginning.
    for (near, expected) in [(0, [7, 57, 107, 157]), (400, [407, 457, 507, 557]), (900, [907, 957, 7, 57])] {
        let (found, reads, keys) = bench.cost(free_slots(&mut look, "team", 1_000, near, 4)).await;
        assert_eq!(found.as_deref(), Some(&expected[..]));
        assert!(reads == 1 && keys <= 256, "{reads} reads of {keys} keys");
    }
    // More than the window has: the rest is counted, and of that what has room is listed.
    let (found, reads, _) = bench.cost(free_slots(&mut look, "team", 1_000, 0, 8)).await;
    assert_eq!(found.unwrap(), free[..8]);
    assert!(reads <= 4, "{reads} reads");
    assert_eq!(free_slots(&mut look, "team", 1_000, 3, 64).await.unwrap().len(), free.len());
    // A list that was longer, an empty one, and one that may have none.
    assert_eq!(free_slots(&mut look, "team", 999, 0, 4).await, None);
    assert_eq!(free_slots(&mut look, "other", 5, 3, 9).await, Some(vec![3, 4, 0, 1, 2]));
    assert_eq!(free_slots(&mut look, "other", 0, 0, 4).await, Some(Vec::new()));
    bench.agrees().await;
}

pub(crate) async fn a_full_list_is_known_to_be_full(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    take_all_but(&bench, "team", 599, &[300, 301]).await;
    bench.hold(&old, &[with_slot("team", 300, dynamic("10.0.9.1")), with_slot("team", 301, dynamic("10.0.9.2"))]).await;
    let mut look = bench.look(&requester("other", "b"), &[]).await;
    let (found, reads, _) = bench.cost(free_slots(&mut look, "team", 600, 0, 4)).await;
    assert_eq!((found, reads), (Some(Vec::new()), 2));
    assert_eq!(free_slots(&mut look, "team", 301, 0, 4).await, None);
    // Those of the older attachment are this one's, wherever they are.
    let mut look = bench.look(&new, &[]).await;
    assert_eq!(free_slots(&mut look, "team", 600, 0, 4).await, Some(vec![300, 301]));
    assert_eq!(free_slots(&mut look, "team", 600, 300, 1).await, Some(vec![300]));
    drop(look);
    bench.agrees().await;
}
