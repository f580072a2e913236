//! Ranges: what a look knows, how much it reads for it, and that all of it is one moment.

use super::bench::{Bench, claimant, dynamic, family, fixed, held_for, ip, span};
use crate::ipam::address::number;
use crate::ipam::{Family, Question};
use crate::store::ordered::{Change, OrderedMap};
use crate::store::record::encode;
use crate::store::{Claimed, KeptAddress};

pub(crate) async fn the_cursor_follows_dynamic_claims_alone<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    bench.hold(&claimant("one", "a"), &[dynamic("10.0.0.7"), dynamic("fd00::7")]).await;
    bench.hold(&claimant("two", "b"), &[fixed("10.0.0.99"), dynamic("fd00::8")]).await;
    let look = bench.look(&claimant("three", "c"), &[]).await;
    assert_eq!(look.snapshot.last_claimed(0), Some(ip("10.0.0.7")));
    assert_eq!(look.snapshot.last_claimed(1), Some(ip("fd00::8")));
    assert_eq!(look.snapshot.last_claimed(2), None);
    // A cursor is a hint: a nonsensical one is none.
    bench.scribble(&bench.store.keys.cursor(bench.sets.get(0).unwrap()), b"fd00::7").await;
    assert_eq!(bench.look(&claimant("three", "c"), &[]).await.snapshot.last_claimed(0), None);
    bench.agrees().await;
}

pub(crate) async fn all_answers_of_a_look_come_from_one_moment<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let mut look = bench.look(&claimant("one", "a"), &[]).await;
    for last in 0..100 {
        bench.hold(&claimant(&format!("c{last}"), ""), &[dynamic(&format!("10.0.200.{last}"))]).await;
    }
    let area = span("10.0.200.0", "10.0.200.255");
    look.answer(Question::FirstFree(area)).await.unwrap();
    assert_eq!(look.snapshot.next_free_within(area), Ok(Some(ip("10.0.200.0"))));
    look.answer(Question::Usage(0)).await.unwrap();
    assert_eq!(look.snapshot.usage(0).unwrap().unwrap().held, 0);
    // The claim is decided by how things are at its own moment.
    let proposals = [vec![dynamic("10.0.200.0")], vec![dynamic("10.0.200.100")]];
    let Claimed::Done(held) = bench.store.claim(look, &proposals, None, &[]).await.unwrap() else { panic!("lost") };
    assert_eq!(held.addresses[0].address, ip("10.0.200.100"));
    bench.agrees().await;
}

pub(crate) async fn a_small_range_is_known_after_one_read<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/24", "10.1.0.0/25", "fd00::/120"]);
    bench.hold(&claimant("one", "a"), &[dynamic("10.0.0.200"), dynamic("10.1.0.100"), dynamic("fd00::20")]).await;
    bench.reads();
    let look = bench.look(&claimant("two", "b"), &[]).await;
    for set in 0..3 {
        let cursor = look.snapshot.last_claimed(set);
        assert!(look.snapshot.next_free(set, cursor).unwrap().is_some());
        assert!(look.snapshot.next_free(set, None).unwrap().is_some());
    }
    assert_eq!(bench.reads(), 1);
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn sixty_five_thousand_held_addresses_cost_a_handful_of_reads<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    bench.fill(span("10.0.0.2", "10.0.253.231")).await;
    bench.fill(span("10.0.253.233", "10.0.255.253")).await;
    let one = claimant("one", "a");
    // Lowest first, and round robin from wherever the cursor was.
    for (after, expected) in
        [(None, "10.0.253.232"), (Some("10.0.100.0"), "10.0.253.232"), (Some("10.0.254.0"), "10.0.255.254")]
    {
        bench.reads();
        let mut look = bench.look(&one, &[]).await;
        assert_eq!(bench.next_free(&mut look, 0, after.map(ip)).await, Some(ip(expected)));
        let reads = bench.reads();
        assert!(reads <= 6, "{reads} reads to find {expected}");
    }
    bench.reads();
    let claim = bench.hold_next(&one, Some(ip("10.0.254.0"))).await.unwrap();
    assert_eq!(claim.addresses[0].address, ip("10.0.255.254"));
    // The cursor is at the end now; the second read asks after it.
    assert_eq!(bench.look(&claimant("two", "b"), &[]).await.snapshot.next_free(0, Some(ip("10.0.255.254"))), Ok(None));
    bench.agrees().await;
}

pub(crate) async fn a_dense_beginning_of_a_slash_64_costs_a_handful_of_reads<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["fd00::/64"]);
    assert_eq!(family(&bench), Family::V6);
    bench.fill(span("fd00::2", "fd00::ea61")).await;
    bench.reads();
    let mut look = bench.look(&claimant("one", "a"), &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("fd00::ea62")));
    let reads = bench.reads();
    assert!(reads <= 5, "{reads} reads");
    look.answer(Question::Usage(0)).await.unwrap();
    assert_eq!(look.snapshot.usage(0).unwrap().unwrap().held, 60_000);
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn a_full_range_is_known_to_be_full<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/20", "10.1.0.0/28"]);
    bench.fill(span("10.0.0.2", "10.0.15.254")).await;
    bench.fill(span("10.1.0.2", "10.1.0.14")).await;
    bench.reads();
    let mut look = bench.look(&claimant("one", "a"), &[]).await;
    for set in [0, 1] {
        assert_eq!(bench.next_free(&mut look, set, None).await, None);
    }
    let reads = bench.reads();
    assert!(reads <= 3, "{reads} reads");
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn usage_counts_what_is_held<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    bench.hold(&claimant("one", "a"), &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.hold(&claimant("two", "b"), &[dynamic("10.0.0.3"), dynamic("fd00::3")]).await;
    let two = claimant("three", "c");
    bench.hold(&two, &[held_for("me", 60, dynamic("10.0.0.4"))]).await;
    bench.release(&two).await;
    let usage = bench.store.usage(&bench.sets).await.unwrap();
    assert_eq!((usage[0].size, usage[0].held), (253, 2));
    assert_eq!(usage[1].held, 2);
    bench.agrees().await;
}

pub(crate) async fn a_wide_area_of_holds_is_crossed<M: OrderedMap>(map: M) {
    let bench = Bench::new(map, &["10.0.0.0/18"]);
    let until = "2027-01-01T00:00:00Z".parse().unwrap();
    let first = number(ip("10.0.0.2"));
    let kept: Vec<_> = (0..10_000)
        .map(|offset| KeptAddress { address: Family::V4.address(first + offset), identity: None, until })
        .collect();
    for chunk in kept.chunks(60) {
        let mut change = Change::default();
        for kept in chunk {
            change.put(bench.store.keys.hold(kept.address), encode(kept));
            change.put(bench.store.keys.expiry(until, kept.address), encode(kept));
        }
        bench.store.map().commit(&[change]).await.unwrap();
    }
    bench.reads();
    let mut look = bench.look(&claimant("one", "a"), &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.39.18")));
    let reads = bench.reads();
    assert!(reads <= 13, "{reads} reads");
    drop(look);
    bench.agrees().await;
}
