//! STATUS: asked every few seconds on every node, and so about a few keys, however many there are.

use jiff::Timestamp;

use super::bench::{Bench, MACHINE, assignment, ip, range_sets, requester, span};
use crate::map::Map;
use crate::{Moved, Requester, Search, Store, StoreError};
use ipam::{Kind, RangeSets};

/// All that STATUS asks of a store.
async fn ask(store: &Store, network: &str, node: &str, sets: &RangeSets) -> Result<(), StoreError> {
    store.ping().await?;
    let glance = Search::Glance { node, machine: MACHINE, range_sets: sets, now: Timestamp::now() };
    store.check_registration(network, sets, glance).await?;
    store.has_predecessor_bookings(network).await.map(drop)
}

pub(crate) async fn what_status_reads_does_not_grow_with_what_is_held(map: Map) {
    let mut bench = Bench::new(map, &["10.0.0.0/16", "10.1.0.0/24", "fd00::/64"]);
    bench.store = bench.store.with_registry(false);
    let proposal = ["10.0.0.2", "10.1.0.2", "fd00::2"].map(|address| assignment(ip(address), Kind::Dynamic));
    bench.hold(&requester("one", "a"), &proposal).await;
    let mut costs = Vec::new();
    for held in [None, Some(span("10.0.1.0", "10.0.16.255")), Some(span("10.1.0.3", "10.1.0.254"))] {
        if let Some(held) = held {
            bench.fill(held).await;
        }
        let (answer, reads, keys) = bench.cost(ask(&bench.store, "blue", "node-9", &bench.sets)).await;
        // The second range set is full by now, and that keeps no pod of the others from its address.
        answer.unwrap();
        costs.push((reads, keys));
    }
    assert!(costs[0].1 <= 4, "{costs:?}");
    assert_eq!([costs[1], costs[2]], [costs[0]; 2]);
    bench.agrees().await;
}

/// Here an ADD has to search everything, and is refused.
pub(crate) async fn what_status_reads_of_other_books_does_not_grow_with_what_is_held_there(map: Map) {
    let mut bench = Bench::new(map, &["10.0.0.0/16"]);
    bench.store = bench.store.with_registry(false);
    let lone = Requester { node: "node-9".into(), ..requester("lone", "a") };
    bench.hold(&lone, &[assignment(ip("10.0.0.2"), Kind::Dynamic)]).await;
    bench.fill(span("10.0.0.3", "10.0.16.255")).await;
    let elsewhere = bench.store.beside("other").with_registry(true);
    let (answer, _, keys) = bench.cost(ask(&elsewhere, "blue", "node-9", &bench.sets)).await;
    assert!(matches!(&answer, Err(StoreError::Moved(moved)) if matches!(**moved, Moved::Domain { .. })), "{answer:?}");
    assert!(keys <= 4, "{keys}");
    let (answer, _, keys) = bench.cost(ask(&elsewhere, "blue", "node-8", &bench.sets)).await;
    assert!(keys <= 4, "{keys}");
    answer.expect("nothing of this node is there: it is the ADD that is refused");

    // Under another name: whoever holds one of the first addresses is found.
    let renamed = bench.store.beside("green").with_registry(false);
    let (answer, _, keys) = bench.cost(ask(&renamed, "green", "node-9", &bench.sets)).await;
    assert!(matches!(&answer, Err(StoreError::Moved(moved)) if matches!(**moved, Moved::Network { .. })), "{answer:?}");
    assert!(keys <= 300, "{keys}");
    let apart = range_sets(&["10.7.0.0/16"]);
    let (answer, _, keys) = bench.cost(ask(&renamed, "green", "node-9", &apart)).await;
    answer.unwrap();
    assert!(keys <= 8, "{keys}");
    bench.agrees().await;
}
