//! How long the calls take, each in a process's own first opening of the file. Run with `--ignored --nocapture`.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::conformance::{Bench, block_on, dynamic, requester, span};
use crate::embedded::Embedded;
use crate::{Claimed, Store};

#[test]
#[ignore = "prints figures"]
fn timings() {
    for held in [0_u32, 10_000, 65_000] {
        let dir = tempfile::tempdir_in(".").unwrap();
        if held > 0 {
            let last = std::net::Ipv4Addr::from(0x0a00_0001 + held).to_string();
            block_on(
                Bench::with_prefix(Embedded::new(dir.path(), None), &["10.0.0.0/16"], "/test".into())
                    .fill(span("10.0.0.2", &last)),
            );
        }
        let mut times: [Vec<Duration>; 4] = Default::default();
        for nth in 0..200 {
            let taken = block_on(one_round(dir.path(), &format!("c{nth}")));
            times.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken));
        }
        let medians = times.map(|mut times| {
            times.sort();
            times[times.len() / 2].as_micros()
        });
        println!(
            "{held} held: look {} µs, claim {} µs, check {} µs, release {} µs (medians)",
            medians[0], medians[1], medians[2], medians[3]
        );
    }
}

/// Every call opens the file again, as a process does.
async fn one_round(dir: &Path, container: &str) -> [Duration; 4] {
    let who = requester(container, container);
    let mut start = Instant::now();
    let bench = Bench::with_prefix(Embedded::new(dir, None), &["10.0.0.0/16"], "/test".into());
    let mut look = bench.store.look_up(&who, &bench.sets, &[], Timestamp::now()).await.unwrap();
    let cursor = look.snapshot.last_claimed(0);
    let address = bench.next_free(&mut look, 0, cursor).await.unwrap().to_string();
    let looked = restart(&mut start);
    let claimed = bench.store.claim(look, &[vec![dynamic(&address)]], None, &[]).await.unwrap();
    let claimed_after = restart(&mut start);
    assert!(matches!(claimed, Claimed::Done(_)));
    drop(bench);
    restart(&mut start);
    let store = Store::new(Embedded::new(dir, None), "/test", "blue");
    store.held_by(&who.attachment).await.unwrap();
    drop(store);
    let checked = restart(&mut start);
    let store = Store::new(Embedded::new(dir, None), "/test", "blue");
    store.release(&who.attachment, Timestamp::now()).await.unwrap();
    drop(store);
    [looked, claimed_after, checked, restart(&mut start)]
}

fn restart(start: &mut Instant) -> Duration {
    let taken = start.elapsed();
    *start = Instant::now();
    taken
}
