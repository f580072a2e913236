//! Ranges: what a look knows, how much it reads for it, and that all of it is one moment.

use crate::map::Map;
use std::net::IpAddr;

use super::bench::{Bench, dynamic, family, fixed, held_for, ip, requester, span};
use crate::ordered::{Change, OrderedMap};
use crate::record::encode;
use crate::{Claimed, Hold, Look};
use ipam::address::number;
use ipam::{Family, Holder, Question, Span};

pub(crate) async fn the_cursor_follows_dynamic_claims_alone(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.7"), dynamic("fd00::7")]).await;
    bench.hold(&requester("two", "b"), &[fixed("10.0.0.99"), dynamic("fd00::8")]).await;
    let look = bench.look(&requester("three", "c"), &[]).await;
    assert_eq!(look.snapshot.last_claimed(0), Some(ip("10.0.0.7")));
    assert_eq!(look.snapshot.last_claimed(1), Some(ip("fd00::8")));
    assert_eq!(look.snapshot.last_claimed(2), None);
    // A cursor is a hint: a nonsensical one is none.
    bench.scribble(&bench.store.keys.cursor(bench.sets.get(0).unwrap()), b"fd00::7").await;
    assert_eq!(bench.look(&requester("three", "c"), &[]).await.snapshot.last_claimed(0), None);
    bench.agrees().await;
}

pub(crate) async fn all_answers_of_a_look_come_from_one_moment(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    for last in 0..100 {
        bench.hold(&requester(&format!("c{last}"), ""), &[dynamic(&format!("10.0.200.{last}"))]).await;
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

pub(crate) async fn a_small_range_is_known_after_one_read(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "10.1.0.0/25", "fd00::/120"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.200"), dynamic("10.1.0.100"), dynamic("fd00::20")]).await;
    bench.reads();
    let look = bench.look(&requester("two", "b"), &[]).await;
    for set in 0..3 {
        let cursor = look.snapshot.last_claimed(set);
        assert!(look.snapshot.next_free(set, cursor).unwrap().is_some());
        assert!(look.snapshot.next_free(set, None).unwrap().is_some());
    }
    assert_eq!(bench.reads(), 1);
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn sixty_five_thousand_held_addresses_cost_a_handful_of_reads(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    bench.fill(span("10.0.0.2", "10.0.253.231")).await;
    bench.fill(span("10.0.253.233", "10.0.255.253")).await;
    let one = requester("one", "a");
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
    assert_eq!(bench.look(&requester("two", "b"), &[]).await.snapshot.next_free(0, Some(ip("10.0.255.254"))), Ok(None));
    bench.agrees().await;
}

pub(crate) async fn a_dense_beginning_of_a_slash_64_costs_a_handful_of_reads(map: Map) {
    let bench = Bench::new(map, &["fd00::/64"]);
    assert_eq!(family(&bench), Family::V6);
    bench.fill(span("fd00::2", "fd00::ea61")).await;
    bench.reads();
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("fd00::ea62")));
    let reads = bench.reads();
    assert!(reads <= 5, "{reads} reads");
    look.answer(Question::Usage(0)).await.unwrap();
    assert_eq!(look.snapshot.usage(0).unwrap().unwrap().held, 60_000);
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn a_full_range_is_known_to_be_full(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/20", "10.1.0.0/28"]);
    bench.fill(span("10.0.0.2", "10.0.15.254")).await;
    bench.fill(span("10.1.0.2", "10.1.0.14")).await;
    bench.reads();
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    for set in [0, 1] {
        assert_eq!(bench.next_free(&mut look, set, None).await, None);
    }
    let reads = bench.reads();
    assert!(reads <= 3, "{reads} reads");
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn usage_counts_what_is_held(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.3"), dynamic("fd00::3")]).await;
    let two = requester("three", "c");
    bench.hold(&two, &[held_for("me", 60, dynamic("10.0.0.4"))]).await;
    bench.release(&two).await;
    let occupancy = bench.store.occupancy(&bench.sets, bench.tick()).await.unwrap();
    assert_eq!((occupancy[0].size, occupancy[0].held, occupancy[0].kept), (253, 2, 1));
    assert_eq!(occupancy[1].held, 2);
    bench.agrees().await;

    // An entry of the index that is stale frees nothing: there is no hold on .10, and the one on .4 stands.
    let long_over = "2023-01-01T00:00:00Z".parse().unwrap();
    for address in [ip("10.0.0.4"), ip("10.0.0.10")] {
        let stale = Hold { address, identity: None, until: long_over, reservation: None };
        bench.scribble(&bench.store.keys.expiry(long_over, address), &encode(&stale)).await;
    }
    let occupancy = bench.store.occupancy(&bench.sets, bench.tick()).await.unwrap();
    assert_eq!((occupancy[0].held, occupancy[0].kept), (2, 1));
}

pub(crate) async fn a_wide_area_of_holds_is_crossed(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/18"]);
    let until = "2027-01-01T00:00:00Z".parse().unwrap();
    let first = number(ip("10.0.0.2"));
    let kept: Vec<_> = (0..10_000)
        .map(|offset| Hold { address: Family::V4.address(first + offset), identity: None, until, reservation: None })
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
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.39.18")));
    let reads = bench.reads();
    assert!(reads <= 13, "{reads} reads");
    drop(look);
    bench.agrees().await;
}

/// What a policy does with a list of single addresses: the first free one, asked for one by one.
async fn first_free_of_list(look: &mut Look, list: &[IpAddr]) -> Option<IpAddr> {
    for &address in list {
        loop {
            match look.snapshot.next_free_within(Span::single(address)) {
                Ok(None) => break,
                Ok(found) => return found,
                Err(question) => look.answer(question).await.unwrap(),
            }
        }
    }
    None
}

/// Claim all of these but the last.
async fn hold_all_but_one(bench: &Bench, list: &[IpAddr]) {
    for (nth, address) in list[..list.len() - 1].iter().enumerate() {
        bench.hold(&requester(&format!("holder-{nth}"), ""), &[dynamic(&address.to_string())]).await;
    }
}

/// In no order: 37 and 200 have no common divisor.
fn shuffled(list: impl Fn(u32) -> String) -> Vec<IpAddr> {
    (0..200).map(|nth| ip(&list(nth * 37 % 200))).collect()
}

pub(crate) async fn a_list_of_single_addresses_costs_a_handful_of_reads(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16", "fd00::/64"]);
    let lists: [(Vec<IpAddr>, u32); 4] = [
        ((20..220).map(|last| ip(&format!("10.0.9.{last}"))).collect(), 1),
        (shuffled(|nth| format!("10.0.{}.{}", nth + 20, nth * 7 % 250 + 1)), 2),
        ((1..201).rev().map(|nth| ip(&format!("fd00::{nth:x}:1"))).collect(), 3),
        (shuffled(|nth| format!("fd00::{:x}:{nth:x}:0:2", nth % 16)), 4),
    ];
    for (list, most) in lists {
        hold_all_but_one(&bench, &list).await;
        let mut look = bench.look(&requester("one", "a"), &[]).await;
        bench.reads();
        assert_eq!(first_free_of_list(&mut look, &list).await, list.last().copied());
        let reads = bench.reads();
        assert!(reads <= most, "{reads} reads for {}, …", list[0]);
        drop(look);
        for nth in 0..list.len() - 1 {
            bench.release(&requester(&format!("holder-{nth}"), "")).await;
        }
    }
    bench.agrees().await;
}

pub(crate) async fn single_addresses_among_ten_thousand_held_ones_cost_a_handful_of_reads(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    bench.fill(span("10.0.0.2", "10.0.39.255")).await;
    let mut list = shuffled(|nth| format!("10.0.{}.{}", nth / 6 + 1, nth));
    list.push(ip("10.0.40.7"));
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    bench.reads();
    assert_eq!(first_free_of_list(&mut look, &list).await, Some(ip("10.0.40.7")));
    let reads = bench.reads();
    assert!(reads <= 6, "{reads} reads");
    drop(look);
    bench.agrees().await;
}

pub(crate) async fn the_holders_of_a_list_of_addresses_cost_a_handful_of_reads(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let list = shuffled(|nth| format!("10.0.{}.{}", nth + 20, nth * 7 % 250 + 1));
    hold_all_but_one(&bench, &list).await;
    let kept = requester("kept", "");
    bench.hold(&kept, &[held_for("me", 60, dynamic("10.0.200.200"))]).await;
    bench.release(&kept).await;
    bench.scribble(&bench.store.keys.address(list[100]), b"?").await;
    let mut look = bench.look(&requester("one", "a"), &[]).await;
    bench.reads();
    for (nth, &address) in list.iter().enumerate().filter(|(nth, _)| *nth != 100) {
        while let Some(question) = look.snapshot.holder_of(address).err() {
            look.answer(question).await.unwrap();
        }
        let holder = look.snapshot.holder_of(address).unwrap();
        let Some(Holder::Attachment(held)) = holder else {
            assert_eq!((nth, holder), (199, None), "{address}");
            continue;
        };
        assert_eq!((held.address, held.attachment.container.clone()), (address, format!("holder-{nth}")));
    }
    let holder = look.snapshot.holder_of(ip("10.0.200.200")).unwrap();
    assert!(matches!(holder, Some(Holder::Hold { identity, .. }) if identity == "me"), "{holder:?}");
    let reads = bench.reads();
    assert!(reads <= 3, "{reads} reads");
    // A record that nobody can read is an error for whoever asks about its address, and for nobody else.
    assert!(look.answer(Question::HolderOf(list[100])).await.is_err());
}
