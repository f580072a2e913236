//! What is noted, and how often an ADD of one node among thousands finds the cursor where it was expected.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::conformance::{Bench, MACHINE, block_on, dynamic, range_sets, requester, span};
use crate::memory::Memory;
use crate::ordered::{Change, OrderedMap};
use crate::{Claimed, Search};
use ipam::RangeSets;

const CURSOR: &str = "/kube-ipam/v1/blue/cursors/one";

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn at(address: &str) -> Entry {
    Entry { key: CURSOR.to_owned(), value: address.into() }
}

fn noted(directory: &Path, sets: &RangeSets, seen: &[(&str, i64)]) -> Cursors {
    for (address, when) in seen {
        let mut cursors = Cursors::of("blue", directory);
        cursors.learn(&at(address), sets.get(0).unwrap(), second(*when));
        cursors.write();
    }
    Cursors::of("blue", directory)
}

fn text(spans: &[Span]) -> Vec<String> {
    spans.iter().map(ToString::to_string).collect()
}

#[test]
fn the_cursor_is_expected_where_its_pace_leads() {
    let sets = range_sets(&["10.0.0.0/16"]);
    let set = sets.get(0).unwrap();
    for (seen, now, expected) in [
        (&[][..], 0, &[][..]),
        // The first window shows it, and what follows.
        (&[("10.0.0.99", 0)], 0, &[]),
        (&[("10.0.9.9", 0)], 0, &["10.0.9.10-10.0.10.9"]),
        (&[("10.0.9.9", 0)], 3_600, &["10.0.9.10-10.0.10.9"]),
        // 20 addresses a second for a minute: the pace is nearly that, and leads on by 685 in 40 seconds.
        (&[("10.0.9.9", 0), ("10.0.13.185", 60)], 100, &["10.0.15.103-10.0.17.102"]),
        // At the end of the range as much as there is; beyond it the range begins again.
        (&[("10.0.255.99", 0)], 0, &["10.0.255.100-10.0.255.254"]),
        (&[("10.0.200.0", 0), ("10.0.254.255", 600)], 610, &["10.0.255.0-10.0.255.254"]),
        (&[("10.0.200.0", 0), ("10.0.254.255", 600)], 640, &["10.0.1.158-10.0.3.157"]),
        // Where it was put back, or the clock was, it is expected where it was.
        (&[("10.0.9.9", 0), ("10.0.9.2", 60)], 100, &["10.0.9.3-10.0.10.2"]),
        (&[("10.0.9.9", 0), ("10.0.13.185", 60)], 50, &["10.0.13.186-10.0.14.185"]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let cursors = noted(directory.path(), &sets, seen);
        assert_eq!(text(&cursors.windows(CURSOR, set, second(now))), expected, "{seen:?} at {now}");
        assert_eq!(cursors.windows("/another", set, second(now)), []);
    }
}

#[test]
fn a_note_is_of_one_network_and_written_only_with_news() {
    let directory = tempfile::tempdir().unwrap();
    let (data, sets) = (directory.path().join("data"), range_sets(&["10.0.0.0/16"]));
    noted(&data, &sets, &[("10.0.9.9", 0)]);
    let file = data.join("cursors-of-blue.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read(&file).unwrap();
    noted(&data, &sets, &[("10.0.9.9", 50)]);
    assert_eq!(fs::read(&file).unwrap(), before, "it stands still");
    assert_eq!(Cursors::of("red", &data).noted, []);
    let odd = Cursors::of("../blue", &data);
    assert_eq!(odd.file, data.join("cursors-of-..%2fblue.json"));
}

#[test]
fn a_note_that_is_damaged_or_longer_is_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let sets = range_sets(&["10.0.0.0/16"]);
    let file = directory.path().join("cursors-of-blue.json");
    for damaged in ["[{\"cursor\":", &"x".repeat(1_000), "{}", "[]"] {
        fs::write(&file, damaged).unwrap();
        let cursors = noted(directory.path(), &sets, &[("10.0.9.9", 0)]);
        assert_eq!((cursors.noted.len(), cursors.news), (1, false), "{damaged}");
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    noted(directory.path(), &sets, &[("10.0.9.9", 0)]);
    assert!(fs::read_link(&file).is_ok(), "no link is followed");
}

#[test]
fn only_the_latest_range_sets_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let sets = range_sets(&["10.0.0.0/16"]);
    let mut cursors = Cursors::of("blue", directory.path());
    for nth in 0..2 * CURSORS_NOTED {
        let entry = Entry { key: nth.to_string(), ..at("10.0.9.9") };
        cursors.learn(&entry, sets.get(0).unwrap(), second(0));
    }
    assert_eq!(cursors.noted.len(), CURSORS_NOTED);
    assert_eq!(cursors.noted[0].cursor, (2 * CURSORS_NOTED - 1).to_string());
}

/// Standard deviations, as a normal distribution has them, in no order.
const NOISE: [f64; 11] = [0.2, -1.7, 0.7, -0.2, 2.1, -0.7, -2.1, 1.2, 0.0, -1.2, 1.7];

/// A cluster of many nodes that start pods at a steady pace. A few of its nodes are played, with an ADD now and then and
/// STATUS every five seconds; what the others claim meanwhile is written as it would be at the end.
struct Crowd {
    bench: Bench,
    directory: tempfile::TempDir,
    /// How many addresses others claim in a second.
    pace: f64,
    claimed: f64,
    passes: usize,
}

impl Crowd {
    fn new(pace: f64) -> Self {
        let bench = Bench::new(Memory::default(), &["10.0.0.0/14"]);
        Self { bench, directory: tempfile::tempdir().unwrap(), pace, claimed: 10_000.0, passes: 0 }
    }

    /// Others claim for so many seconds.
    async fn pass(&mut self, seconds: f64) {
        self.bench.pass(Duration::from_secs_f64(seconds));
        // Pods come by chance: now more of them, now less, by the square root of how many.
        let expected = self.pace * seconds;
        self.claimed += (expected + NOISE[self.passes % NOISE.len()] * expected.sqrt()).max(0.0);
        self.passes += 1;
        let offered = self.bench.sets.get(0).unwrap().offered().next().unwrap();
        let address = offered.nth(self.claimed as u128 % offered.size()).unwrap();
        let mut change = Change::default();
        change.put(self.bench.store.keys.cursor(self.bench.sets.get(0).unwrap()), address.to_string());
        self.bench.store.map.commit(&[change]).await.unwrap();
    }

    fn on(&mut self, node: usize) {
        let notes = self.directory.path().join(node.to_string());
        let store = std::mem::replace(&mut self.bench.store, crate::Store::new(Memory::default(), "", ""));
        self.bench.store = store.with_registry(false).noting_in(Some(notes));
    }

    async fn status(&mut self, node: usize) {
        self.on(node);
        let (sets, now) = (&self.bench.sets, self.bench.tick());
        let glance = Search::Glance { node: "node-1", machine: MACHINE, range_sets: sets, now };
        self.bench.store.check_registration("blue", sets, glance).await.unwrap();
    }

    /// An ADD: how many reads it takes to know four addresses after the cursor, one after the other.
    async fn add(&mut self, node: usize) -> u32 {
        self.on(node);
        self.bench.reads();
        let mut look = self.bench.look(&requester("c", "pod"), &[]).await;
        let mut after = look.snapshot.last_claimed(0);
        for _ in 0..4 {
            after = self.bench.next_free(&mut look, 0, after).await;
        }
        let reads = self.bench.reads();
        let proposal = dynamic(&after.unwrap().to_string());
        let claimed = self.bench.store.claim(look, &[vec![proposal]], None, &[]).await.unwrap();
        assert!(matches!(claimed, Claimed::Done(_)));
        self.bench.release(&requester("c", "pod")).await;
        reads
    }
}

/// Of ADDs that each node makes once in a while, how many in a thousand needed one read.
async fn in_one_read(
    crowd: &mut Crowd,
    nodes: usize,
    every: f64,
    asks_status: bool,
    pace_at: impl Fn(f64) -> f64,
) -> usize {
    let (mut reads, mut time) = (Vec::new(), 0.0);
    let step = every / nodes as f64;
    let mut status_due = vec![0.0; nodes];
    for nth in 0..nodes * 12 {
        crowd.pace = pace_at(time);
        // Pods come when they like: now two at once, now none for a while.
        let wait = step * [0.1, 2.3, 0.4, 1.2][nth % 4];
        crowd.pass(wait).await;
        time += wait;
        for (node, due) in status_due.iter_mut().enumerate() {
            if asks_status && *due <= time {
                *due = time + 5.0 + node as f64 / nodes as f64 * 0.1;
                crowd.status(node).await;
            }
        }
        let seen = crowd.add(nth * 7 % nodes).await;
        // The first rounds are for the nodes to learn in.
        if nth >= nodes * 4 {
            reads.push(seen);
        }
    }
    assert!(reads.iter().all(|reads| *reads <= 2), "never more than without a note");
    reads.iter().filter(|reads| **reads == 1).count() * 1_000 / reads.len()
}

#[test]
fn nineteen_of_twenty_adds_need_one_read_on_few_nodes_and_on_five_thousand() {
    // Pods a second of the whole cluster, and seconds between two of a node: three nodes, a hundred, five thousand.
    for (pace, every) in [(1.0, 3.0), (20.0, 5.0), (100.0, 50.0), (20.0, 250.0)] {
        let mut crowd = Crowd::new(pace);
        let hits = block_on(in_one_read(&mut crowd, 10, every, true, |_| pace));
        assert!(hits >= 950, "{pace} pods a second, one on each node every {every} s: {hits} of 1000");
    }
}

#[test]
fn a_rollout_that_begins_and_ends_is_followed() {
    let mut crowd = Crowd::new(2.0);
    let hits = block_on(in_one_read(&mut crowd, 10, 50.0, true, |time| if time % 300.0 < 150.0 { 2.0 } else { 100.0 }));
    assert!(hits >= 900, "{hits} of 1000");
}

#[test]
fn without_status_a_steady_pace_is_followed_all_the_same() {
    let mut crowd = Crowd::new(100.0);
    let hits = block_on(in_one_read(&mut crowd, 10, 50.0, false, |_| 100.0));
    assert!(hits >= 900, "{hits} of 1000");
}

#[test]
fn whoever_begins_elsewhere_makes_no_read_for_the_cursor() {
    let mut crowd = Crowd::new(0.0);
    block_on(async {
        crowd.pass(1.0).await;
        crowd.on(1);
        crowd.bench.reads();
        let mut look = crowd.bench.look(&requester("one", "a"), &[]).await;
        assert!(crowd.bench.next_free(&mut look, 0, None).await.is_some());
        assert_eq!(crowd.bench.reads(), 1);
        // And one that asks after one cursor is told of all.
        crowd.bench.sets = range_sets(&["10.0.0.0/14", "fd00::/64"]);
        let key = crowd.bench.store.keys.cursor(crowd.bench.sets.get(1).unwrap());
        crowd.bench.scribble(&key, b"fd00::7:0").await;
        crowd.on(2);
        crowd.bench.reads();
        let mut look = crowd.bench.look(&requester("one", "a"), &[]).await;
        for set in 0..2 {
            let after = look.snapshot.last_claimed(set);
            assert!(crowd.bench.next_free(&mut look, set, after).await.is_some());
        }
        assert_eq!(crowd.bench.reads(), 2);
    });
}

#[test]
fn an_answer_is_of_one_moment_wherever_the_cursor_was_expected() {
    let mut crowd = Crowd::new(0.0);
    block_on(async {
        crowd.pass(1.0).await;
        crowd.on(1);
        let cursor = crowd.bench.look(&requester("one", "a"), &[]).await.snapshot.last_claimed(0).unwrap();
        let after = span("10.0.0.0", "10.3.255.255").above(cursor).unwrap();
        crowd.bench.hold(&requester("one", "a"), &[dynamic(&after.first().to_string())]).await;
        // The note is of the cursor before this claim. What is held now is known to be.
        let mut look = crowd.bench.look(&requester("two", "b"), &[]).await;
        crowd.bench.reads();
        assert_eq!(look.snapshot.last_claimed(0), Some(after.first()));
        assert_eq!(crowd.bench.next_free(&mut look, 0, Some(cursor)).await, after.nth(1));
        assert_eq!(crowd.bench.reads(), 0);
    });
}
