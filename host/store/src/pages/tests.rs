//! Whatever the keys are like, each comes once; and where they are like ours, few are walked twice.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::conformance::block_on;
use crate::map::Map;
use crate::memory::Memory;
use crate::ordered::{Change, OrderedMap};

/// A map with these keys.
fn map_of(keys: &BTreeSet<String>) -> Map {
    let memory = Memory::default();
    block_on(async {
        for keys in keys.iter().collect::<Vec<_>>().chunks(1_000) {
            let mut change = Change::default();
            for key in keys {
                change.put((*key).clone(), "");
            }
            memory.commit(&[change]).await.unwrap();
        }
    });
    memory.into()
}

fn range(from: &str, to: &str) -> KeyRange {
    KeyRange { from: from.to_owned(), to: to.to_owned() }
}

fn read(map: &Map, range: KeyRange, limit: usize) -> Vec<Vec<String>> {
    block_on(async {
        let mut view = map.view().await.unwrap();
        let mut pages = Pages::keys_of(range).limited(limit);
        let mut read = Vec::new();
        while let Some(page) = pages.next(&mut view).await.unwrap() {
            read.push(page.into_iter().map(|entry| entry.key).collect());
        }
        read
    })
}

#[test]
fn pages_end_where_they_have_to() {
    let keys: BTreeSet<String> = (0..30).map(|nth| format!("a/{nth:02}")).collect();
    for (count, limit, expected) in [(0, 10, vec![]), (9, 10, vec![9]), (10, 10, vec![10]), (11, 10, vec![10, 1])] {
        let some = keys.iter().take(count).cloned().collect();
        let lengths: Vec<usize> = read(&map_of(&some), range("a/", "a0"), limit).iter().map(Vec::len).collect();
        assert_eq!(lengths, expected, "{count} keys, {limit} on a page");
    }
    assert_eq!(read(&map_of(&keys), range("a/", "a0"), 1).concat(), Vec::from_iter(keys));
    assert!(read(&map_of(&BTreeSet::from(["b".into()])), range("a/", "a0"), 10).is_empty());
}

/// Between two pages keys come and go. What is there all the while comes once.
#[test]
fn what_changes_between_pages_moves_nothing_else() {
    let keys: BTreeSet<String> = (0..100).map(|nth| format!("a/{nth:03}")).collect();
    let map = map_of(&keys);
    block_on(async {
        let mut pages = Pages::keys_of(range("a/", "a0")).limited(10);
        let mut read = Vec::new();
        for nth in 0.. {
            let Some(page) = pages.next(&mut map.view().await.unwrap()).await.unwrap() else { break };
            read.extend(page.into_iter().map(|entry| entry.key));
            // The last key that was read goes, and so does one that is to come; one comes on either side.
            let mut change = Change::default();
            change.delete(read.last().unwrap().clone()).delete(format!("a/{:03}", 95 - nth));
            change.put(format!("a/{:03}x", nth), "").put(format!("a/{:03}x", 50 + nth), "");
            map.commit(&[change]).await.unwrap();
        }
        let stayed = (0..80).map(|nth| format!("a/{nth:03}"));
        assert!(stayed.clone().all(|key| read.iter().filter(|one| **one == key).count() == 1), "{read:?}");
        assert!(read.is_sorted());
    });
}

proptest! {
    #[test]
    fn every_key_comes_once(
        keys in prop::collection::btree_set("[a-c]{1,3}(/|-|%|_|Z|ü|9|z|~){0,4}[0-9a-f]{0,4}", 0..200),
        limit in 1_usize..20,
    ) {
        let expected: Vec<String> = keys.iter().filter(|key| "a/" <= key.as_str() && key.as_str() < "c").cloned().collect();
        let pages = read(&map_of(&keys), range("a/", "c"), limit);
        prop_assert!(pages.iter().all(|page| (1..=limit).contains(&page.len())));
        prop_assert_eq!(pages.concat(), expected);
    }

    #[test]
    fn a_stride_leads_onwards(
        one in "[a-c/0-9%_ü-]{0,6}", two in "[a-c/0-9%_ü-]{0,6}", three in "[a-c/0-9%_ü-]{0,6}", found in 0_usize..50,
    ) {
        prop_assume!(one < two);
        let stride = Stride::between(&one, &two);
        for stride in [stride, stride.widened(), stride.fitted(found, 40), stride.widened().widened().widened()] {
            prop_assert!(stride.by < WHOLE && stride.by > 0);
            let is_ascii = three.is_ascii();
            prop_assert!(stride.from(&three).is_none_or(|end| three < end || !is_ascii), "{:?} {}", stride, three);
        }
    }
}

/// Keys as a cluster has them, in order.
fn keys_of_a_cluster(held: u32) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for nth in 0..held {
        let scattered = nth.wrapping_mul(2_654_435_761);
        let container = format!("{scattered:08x}{:056x}", nth);
        let (node, namespace) = (scattered % 250, ["shop", "kube-system", "team-a", "team-b", "web"][nth as usize % 5]);
        let pod =
            format!("{}-{:010x}-{:05x}", ["api", "frontend-v2", "worker"][nth as usize % 3], nth % 97, scattered >> 12);
        keys.insert(format!("/k/v2/blue/a/4/{:08x}", 0x0a00_0002 + nth));
        keys.insert(format!("/k/v2/blue/a/6/fd00{:028x}", u128::from(scattered) << 32));
        keys.insert(format!("/k/v2/blue/c/{container}/eth0"));
        keys.insert(format!("/k/v2/blue/n/{node:012x}/{:016x}/~/{container}/eth0", node));
        keys.insert(format!("/k/v2/blue/p/{namespace}{pod}/6c1f/eth0"));
    }
    keys
}

/// Requests, and the keys of the ranges that were asked about: what etcd walks, whatever the limit.
#[derive(Clone, Copy, Default)]
struct Walked {
    requests: usize,
    keys: usize,
}

struct Walking {
    keys: Vec<String>,
    walked: RefCell<Walked>,
}

struct Walk(Rc<Walking>);

impl View for Walk {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        let mut pages = Vec::new();
        for read in reads {
            let Read::Scan { range, limit, .. } = read else { panic!("{read:?}") };
            let from = self.0.keys.partition_point(|key| *key < range.from);
            let to = self.0.keys.partition_point(|key| *key < range.to);
            let inside = &self.0.keys[from..to.max(from)];
            let mut walked = self.0.walked.borrow_mut();
            walked.requests += 1;
            walked.keys += inside.len();
            let entries = inside.iter().take(*limit).map(|key| Entry { key: key.clone(), value: Vec::new() });
            pages.push(Page { entries: entries.collect(), more: inside.len() > *limit, count: inside.len() as u64 });
        }
        Ok(pages)
    }
}

#[test]
fn what_is_walked_grows_with_the_keys_and_no_faster() {
    for held in [2_000, 20_000, 60_000] {
        let keys: Vec<String> = keys_of_a_cluster(held).into_iter().collect();
        for range in [range("/k/v2/blue/", "/k/v2/blue0"), range("/k/v2/blue/c/", "/k/v2/blue/c0")] {
            let walking = Rc::new(Walking { keys: keys.clone(), walked: RefCell::default() });
            let mut view = MapView::Other(Box::new(Walk(walking.clone())));
            let mut pages = Pages::of(range.clone());
            let mut read = 0;
            while let Some(page) = block_on(pages.next(&mut view)).unwrap() {
                read += page.len();
            }
            let Walked { requests, keys } = *walking.walked.borrow();
            println!("{held} held, {range:?}: {read} keys in {requests} requests, {keys} walked");
            assert!(requests <= 5 * read / PAGE + 600, "{read} keys in {requests} requests");
            // Once for the first page, once for each page, and what lies behind gaps once more.
            assert!(keys <= 6 * read, "{read} keys, {keys} walked");
        }
    }
}

#[test]
fn behind_a_key_that_is_not_text_a_range_goes_on_with_what_begins_otherwise() {
    assert_eq!(key_after("/v2/blue/a"), "/v2/blue/a\0");
    // `/v2/blue/c/\xff…`, as it is read.
    assert_eq!(key_after("/v2/blue/c/\u{fffd}00"), "/v2/blue/c0");
    assert_eq!(key_after("/v2/blue/b\u{fffd}"), "/v2/blue/c");
    assert_eq!(key_after("\u{fffd}"), "\u{fffd}\0");
}
