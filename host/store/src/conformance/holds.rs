//! Holds: an address on hold for an identity, or from everybody for a while.

use crate::map::Map;
use std::time::Duration;

use super::bench::{Bench, dynamic, fixed, held_for, ip, requester};
use crate::Claimed;

pub(crate) async fn a_kept_address_goes_to_its_identity_alone(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for("sts/web-0", 60, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("kept for sts/web-0"));
    let two = requester("two", "b");
    for wrong in [dynamic("10.0.0.2"), fixed("10.0.0.2"), held_for("sts/web-1", 60, dynamic("10.0.0.2"))] {
        assert_eq!(bench.contest(&two, &[wrong]).await, Claimed::Lost);
    }
    let mut look = bench.look(&two, &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.0.3")));
    drop(look);
    // With or without having looked at the address by name: the first windows show its hold.
    bench.hold(&requester("three", "a"), &[held_for("sts/web-0", 60, dynamic("10.0.0.2"))]).await;
    assert_eq!(bench.store.standing_holds(bench.now.get()).await.unwrap(), []);
    bench.agrees().await;
}

pub(crate) async fn a_hold_that_is_over_is_free(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for("sts/web-0", 60, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await;
    bench.pass(Duration::from_secs(61));
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    let two = requester("two", "b");
    let mut look = bench.look(&two, &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.0.2")));
    drop(look);
    bench.hold(&two, &[dynamic("10.0.0.2")]).await;
    bench.agrees().await;
}

pub(crate) async fn a_policy_is_told_what_is_kept_for_an_identity(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    for (nth, seconds) in [(2, 60), (3, 1), (9, 60)] {
        let one = requester(&format!("c{nth}"), "");
        bench.hold(&one, &[held_for("ns/ü x", seconds, dynamic(&format!("10.0.0.{nth}")))]).await;
        bench.release(&one).await;
    }
    bench.pass(Duration::from_secs(2));
    let mut look = bench.look(&requester("new", "a"), &[]).await;
    let question = look.snapshot.held_for("ns/ü x").unwrap_err();
    look.answer(question).await.unwrap();
    assert_eq!(look.snapshot.held_for("ns/ü x").unwrap(), [ip("10.0.0.2"), ip("10.0.0.9")]);
    let proposal = vec![held_for("ns/ü x", 60, dynamic("10.0.0.9"))];
    assert!(matches!(bench.store.claim(look, &[proposal], None, &[]).await.unwrap(), Claimed::Done(_)));
    bench.agrees().await;
}

pub(crate) async fn a_released_dynamic_address_cools_down_and_a_fixed_one_does_not(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let store = bench.store.with_cooldown(Some(Duration::from_secs(30)));
    let bench = Bench { store, ..bench };
    let one = requester("one", "a");
    bench.hold(&one, &[dynamic("10.0.0.2"), fixed("10.0.0.3")]).await;
    bench.release(&one).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("kept for (cooling down)"));
    assert_eq!(bench.holder_of("10.0.0.3").await, None);
    let two = requester("two", "b");
    let pretender = held_for("(cooling down)", 60, dynamic("10.0.0.2"));
    assert_eq!(bench.contest(&two, &[pretender]).await, Claimed::Lost);
    bench.pass(Duration::from_secs(31));
    bench.hold(&two, &[dynamic("10.0.0.2")]).await;
    bench.agrees().await;
}

pub(crate) async fn a_replaced_attachment_leaves_its_holds(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let two = [held_for("me", 60, dynamic("10.0.0.2")), held_for("me", 60, dynamic("10.0.0.3"))];
    bench.hold(&requester("old", "a"), &two).await;
    bench.hold(&requester("new", "a"), &[dynamic("10.0.0.3")]).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("kept for me"));
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("new"));
    bench.agrees().await;
}

/// Clocks of nodes differ, and jump. Who holds an address does not depend on them; only how long it is on hold does: to a
/// clock that is ahead the hold is over, and it is removed.
pub(crate) async fn a_clock_that_jumps_doubles_and_loses_nothing(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, kept, two) = (requester("one", "a"), requester("kept", "k"), requester("two", "b"));
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    bench.hold(&kept, &[held_for("me", 60, dynamic("10.0.0.3"))]).await;
    bench.release(&kept).await;
    let right = bench.now.get();
    bench.now.set("1970-01-02T00:00:00Z".parse().unwrap());
    assert_eq!(bench.contest(&two, &[dynamic("10.0.0.3")]).await, Claimed::Lost, "a clock that is behind ends no hold");
    for now in ["1970-01-02T00:00:00Z", "2500-01-01T00:00:00Z"] {
        bench.now.set(now.parse().unwrap());
        assert_eq!(bench.contest(&two, &[dynamic("10.0.0.2")]).await, Claimed::Lost, "{now}");
        // A younger container replaces the older one, whichever the clocks say is older.
        let younger = requester(&format!("of {now}"), "a");
        bench.hold(&younger, &[dynamic("10.0.0.2")]).await;
        assert_eq!(bench.release(&one).await, None, "{now}");
        assert_eq!(bench.holder_of("10.0.0.2").await, Some(younger.attachment.container), "{now}");
    }
    bench.now.set(right);
    assert_eq!(bench.holder_of("10.0.0.3").await, None);
    bench.hold(&two, &[dynamic("10.0.0.3")]).await;
    bench.agrees().await;
}

/// No policy may name such an identity, but a record may: the address is freed, and on hold for nobody.
pub(crate) async fn a_hold_for_too_long_a_name_keeps_no_release(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[held_for(&"/".repeat(4_096), 60, dynamic("10.0.0.2"))]).await;
    bench.release(&one).await.unwrap();
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.2")]).await;
    bench.agrees().await;
}

pub(crate) async fn what_fills_a_range_is_counted_and_its_first_end_told(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/29", "10.0.1.0/29"]);
    let fullness = async || bench.store.fullness(&bench.sets, bench.now.get()).await.unwrap();
    let empty = fullness().await;
    assert!(empty.iter().all(|set| set.occupancy.free == set.occupancy.size && set.first_free.is_none()), "{empty:?}");
    for (nth, seconds) in [(2, 90), (3, 60), (4, 1)] {
        let one = requester(&format!("c{nth}"), "");
        bench
            .hold(
                &one,
                &[held_for("me", seconds, dynamic(&format!("10.0.0.{nth}"))), dynamic(&format!("10.0.1.{nth}"))],
            )
            .await;
        if nth != 2 {
            bench.release(&one).await;
        }
    }
    bench.pass(Duration::from_secs(2));
    let full = fullness().await;
    // One is held, one is on hold, and what was on hold for a second is free.
    assert_eq!((full[0].occupancy.held, full[0].occupancy.kept), (1, 1), "{full:?}");
    let left = full[0].first_free.unwrap().duration_since(bench.now.get());
    assert!((50..=60).contains(&left.as_secs()), "{left:?}");
    assert_eq!((full[1].occupancy.held, full[1].occupancy.kept, full[1].first_free), (1, 0, None));
    bench.agrees().await;
}
