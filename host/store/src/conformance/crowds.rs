//! Crowded ranges: what a search reads does not grow with what is held, and no mark of a full block keeps an address from anybody.

use std::net::IpAddr;
use std::time::Duration;

use super::bench::{Bench, dynamic, held_for, ip, requester, span, with_slot};
use crate::Claimed;
use crate::map::Map;
use crate::marks::{SMALL, WIDE};
use ipam::{Claim, Kind};

/// What a policy that wants the lowest address does, and what the look for it cost, in reads and in keys.
async fn hold_lowest(bench: &Bench, container: &str) -> (IpAddr, u32, u64) {
    let asker = requester(container, "");
    let (claim, reads, keys) = bench.cost(bench.hold_next(&asker, None)).await;
    (claim.unwrap().addresses[0].address, reads, keys)
}

/// Claim and release until every full block is marked.
async fn settle(bench: &Bench) {
    for nth in 0.. {
        let before = bench.marks().await;
        hold_lowest(bench, &format!("settler-{nth}")).await;
        bench.release(&requester(&format!("settler-{nth}"), "")).await;
        if bench.marks().await == before {
            return;
        }
        assert!(nth < 20, "there are always more blocks to mark");
    }
}

pub(crate) async fn the_lowest_address_costs_the_same_behind_any_number(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/14"]);
    let mut costs = Vec::new();
    for (from, to, expected) in [
        ("10.0.0.2", "10.0.15.7", "10.0.15.8"),
        ("10.0.15.8", "10.0.255.255", "10.1.0.0"),
        ("10.1.0.0", "10.1.19.99", "10.1.19.100"),
    ] {
        bench.fill(span(from, to)).await;
        settle(&bench).await;
        let (found, reads, keys) = hold_lowest(&bench, "one").await;
        assert_eq!(found, ip(expected));
        bench.release(&requester("one", "")).await;
        costs.push((reads, keys));
    }
    for (reads, keys) in &costs {
        // Two windows, the marks of a wide block, and some more.
        assert!(*reads <= 4 && *keys <= 1_000, "{costs:?}");
    }
    bench.agrees().await;
}

pub(crate) async fn an_address_that_is_released_in_the_crowd_is_the_lowest_again(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/15", "fd00::/64"]);
    bench.fill(span("10.0.0.2", "10.0.20.255")).await;
    bench.fill(span("fd00::2", "fd00::14ff")).await;
    let mut holders = Vec::new();
    for nth in 0..300 {
        holders.push(bench.hold_next_as(&format!("c{nth}")).await);
    }
    for nth in [250, 7, 130] {
        let released: Claim = bench.release(&requester(&format!("c{nth}"), "")).await.unwrap();
        let (claim, reads, keys) = bench.cost(bench.hold_next_as(&format!("d{nth}"))).await;
        let found: Vec<IpAddr> = claim.addresses().collect();
        assert_eq!(found, released.addresses().collect::<Vec<_>>());
        assert!(reads <= 6 && keys <= 4_000, "{reads} reads of {keys} keys");
    }
    // Two at once: the lower one first.
    bench.release(&requester("c20", "")).await;
    bench.release(&requester("c290", "")).await;
    for nth in [20, 290] {
        let claim = bench.hold_next_as(&format!("e{nth}")).await;
        assert_eq!(claim.addresses().collect::<Vec<_>>(), holders[nth].addresses().collect::<Vec<_>>());
    }
    bench.agrees().await;
}

pub(crate) async fn a_block_is_marked_when_it_is_full_and_no_longer(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/20"]);
    bench.fill(span("10.0.0.2", "10.0.1.255")).await;
    bench.fill(span("10.0.2.0", "10.0.2.253")).await;
    settle(&bench).await;
    let key = |address: &str| bench.store.keys.full(SMALL, ip(address));
    // The first block is read whatever is marked, and the last one has room.
    let expected = [key("10.0.1.0")];
    assert_eq!(bench.marks().await, expected);
    let kept = requester("kept", "");
    bench.hold(&kept, &[held_for("me", 60, dynamic("10.0.2.254"))]).await;
    bench.release(&kept).await;
    // Whoever has the last address of a block with a hold in it marks nothing: the hold ends by itself.
    assert_eq!(hold_lowest(&bench, "one").await.0, ip("10.0.2.255"));
    assert_eq!(bench.marks().await, expected);
    bench.pass(Duration::from_secs(61));
    assert_eq!(hold_lowest(&bench, "two").await.0, ip("10.0.2.254"));
    assert_eq!(bench.marks().await, [key("10.0.1.0"), key("10.0.2.0")]);
    bench.release(&requester("one", "")).await;
    assert_eq!(bench.marks().await, expected);
    // What an older attachment leaves behind is free, although its look saw it held.
    assert_eq!(hold_lowest(&bench, "three").await.0, ip("10.0.2.255"));
    assert_eq!(bench.marks().await, [key("10.0.1.0"), key("10.0.2.0")]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    bench.hold_next(&old, None).await.unwrap();
    bench.hold(&new, &[dynamic("10.0.9.9")]).await;
    bench.agrees().await;
}

pub(crate) async fn a_mark_that_is_wrong_keeps_no_address_from_anybody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/22"]);
    bench.fill(span("10.0.0.2", "10.0.3.254")).await;
    settle_full(&bench).await;
    let one = requester("one", "");
    let mut look = bench.look(&one, &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, None);
    assert!(look.doubt_marks(), "it was the marks that said so");
    assert_eq!(bench.next_free(&mut look, 0, None).await, None);
    assert!(!look.doubt_marks(), "counted, and asked no mark");
    drop(look);

    // Freed by somebody who knows of no marks.
    let held = bench.store.keys.address(ip("10.0.2.77"));
    let record = bench.entries().await.into_iter().find(|entry| entry.key == held).unwrap().value;
    bench.delete(&held).await;
    let mut look = bench.look(&one, &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, None);
    assert!(look.doubt_marks());
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.2.77")));
    // Whoever takes it deletes the mark.
    let mark = bench.store.keys.full(SMALL, ip("10.0.2.0"));
    assert!(bench.marks().await.contains(&mark));
    let claimed = bench.store.claim(look, &[vec![dynamic("10.0.2.77")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    assert!(!bench.marks().await.contains(&mark));
    bench.release(&one).await;
    bench.scribble(&held, &record).await;

    // What nobody can read, and what says more than its block has, is no mark.
    for value in [&b"?"[..], b"10.0.0.2-10.0.3.254", b"fd00::1"] {
        bench.scribble(&bench.store.keys.full(WIDE, ip("10.0.0.0")), value).await;
        bench.look(&one, &[]).await;
    }
    bench.agrees().await;
}

/// Have all blocks of a full range marked: nobody can claim, so that the marks come with releases and claims of the last address.
async fn settle_full(bench: &Bench) {
    let last = requester("last", "");
    bench.delete(&bench.store.keys.full(SMALL, ip("10.0.3.0"))).await;
    for block in ["10.0.1.0", "10.0.2.0"] {
        bench.scribble(&bench.store.keys.full(SMALL, ip(block)), b"").await;
    }
    bench.scribble(&bench.store.keys.full(SMALL, ip("10.0.3.0")), b"10.0.3.0-10.0.3.254").await;
    assert_eq!(bench.hold_next(&last, None).await, None);
}

pub(crate) async fn a_crowded_end_is_crossed_and_the_search_begins_again_at_the_front(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/15"]);
    bench.fill(span("10.0.0.2", "10.0.40.255")).await;
    bench.fill(span("10.0.41.7", "10.1.30.255")).await;
    // Round robin behind a cursor that is in the midst of it, until the blocks are marked.
    for nth in 0..20 {
        let asker = requester(&format!("c{nth}"), "");
        let after = Some(ip("10.0.60.0"));
        let (claim, reads, keys) = bench.cost(bench.hold_next(&asker, after)).await;
        assert_eq!(claim.unwrap().addresses[0].kind, Kind::Dynamic);
        bench.release(&asker).await;
        if nth == 19 {
            assert!(reads <= 5 && keys <= 2_000, "{reads} reads of {keys} keys");
        }
    }
    bench.agrees().await;
}

/// etcd refuses a transaction of more than 128 operations. A claim of as many addresses as there may be, each with a slot and
/// with a hold that it ends, takes a hundred.
pub(crate) async fn a_claim_that_is_large_is_not_made_too_large_by_marks(map: Map) {
    let mut subnets = vec!["10.0.0.0/18".to_owned()];
    subnets.extend((1..16).map(|nth| format!("10.1.{nth}.0/24")));
    let subnets: Vec<&str> = subnets.iter().map(String::as_str).collect();
    let bench = Bench::new(map, &subnets);
    bench.fill(span("10.0.0.2", "10.0.40.255")).await;
    let mut wanted = vec![with_slot("team", 0, held_for("me", 1, dynamic("10.0.41.0")))];
    for nth in 1..16 {
        wanted.push(with_slot("team", nth, held_for("me", 1, dynamic(&format!("10.1.{nth}.9")))));
    }
    let asker = requester("one", "a");
    bench.hold(&asker, &wanted).await;
    bench.release(&asker).await;
    bench.pass(Duration::from_secs(2));
    let mut look = bench.look(&asker, &[]).await;
    assert_eq!(bench.next_free(&mut look, 0, None).await, Some(ip("10.0.41.0")));
    let claimed = bench.store.claim(look, &[wanted], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)), "{claimed:?}");
    bench.agrees().await;
}

/// A shadow's search teaches the snapshot that an address on hold is taken. The hold ends by itself all the same.
pub(crate) async fn what_a_shadow_found_on_hold_is_marked_by_nobody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/22"]);
    bench.fill(span("10.0.0.2", "10.0.2.253")).await;
    let kept = requester("kept", "");
    bench.hold(&kept, &[held_for("me", 60, dynamic("10.0.2.254"))]).await;
    bench.release(&kept).await;
    let mut look = bench.look(&requester("one", ""), &[]).await;
    let found = look.aside(async |look| bench.next_free(look, 0, None).await).await;
    assert_eq!(found, Some(ip("10.0.2.255")));
    let claimed = bench.store.claim(look, &[vec![dynamic("10.0.2.255")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)), "{claimed:?}");
    let mark = bench.store.keys.full(SMALL, ip("10.0.2.0"));
    assert!(!bench.marks().await.contains(&mark));
    bench.agrees().await;
}
