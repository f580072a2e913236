//! What others gave out is claimed once, for whom it was given to, and from nobody.

use super::bench::{Bench, addresses, dynamic, held_for, ip, requester};
use crate::map::Map;
use crate::ordered::{Entry, OrderedMap, Read, View};
use crate::{Booking, Import, Imported, Occupancy};
use ipam::{Assignment, Attachment, Holder};

pub(crate) async fn an_import_is_a_claim_that_a_release_ends(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (first, second) = (import(&bench, "old", "10.0.0.7"), import(&bench, "old", "10.0.0.8"));
    assert_eq!(run(&bench, &first, true).await, Imported::Done);
    assert_eq!(bench.store.held_by(&first.attachment).await.unwrap(), None, "a rehearsal writes nothing");

    for (import, expected) in [(&first, Imported::Done), (&first, Imported::Already), (&second, Imported::Done)] {
        assert_eq!(run(&bench, import, false).await, expected);
        bench.agrees().await;
    }
    let claim = bench.store.held_by(&first.attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.7", "10.0.0.8"]);
    assert_eq!((claim.policy, claim.addresses[0].prefix_length), (None, 24));
    bench.release(&requester("old", "")).await;
    assert_eq!(bench.store.occupancy(&bench.sets, bench.tick()).await.unwrap()[0].held, 0);
    bench.agrees().await;
}

pub(crate) async fn an_import_takes_nothing_from_anybody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    bench.hold(&requester("two", "b"), &[held_for("me", 60, dynamic("10.0.0.3"))]).await;
    bench.release(&requester("two", "b")).await;

    let taken = run(&bench, &import(&bench, "old", "10.0.0.2"), false).await;
    assert!(
        matches!(&taken, Imported::Taken(Holder::Attachment(held)) if held.attachment.container == "one"),
        "{taken:?}"
    );
    let kept = run(&bench, &import(&bench, "old", "10.0.0.3"), false).await;
    assert!(matches!(&kept, Imported::Taken(Holder::Hold { identity, .. }) if identity == "me"), "{kept:?}");

    bench.pass(std::time::Duration::from_secs(61));
    assert_eq!(run(&bench, &import(&bench, "old", "10.0.0.3"), false).await, Imported::Done, "the hold is over");
    bench.agrees().await;
}

pub(crate) async fn the_predecessors_entries_move_aside_with_their_claims(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    // The predecessor has one place for all: the network's name keeps cases apart.
    let network = bench.prefix.trim_start_matches('/').to_owned();
    let used = |address: &str| format!("/etcd-cni/networks/{network}/used/{address}");
    bench.scribble(&used("10.0.0.7"), b"old").await;
    bench.scribble(&used("10.0.0.8"), b"older").await;
    let bookings = bench.store.predecessor_bookings(&network).await.unwrap();
    let booking = Booking { address: "10.0.0.7".into(), container: "old".into(), interface: None, pod: None };
    assert_eq!((bookings.len(), &bookings[0]), (2, &booking));

    let mut import = import(&bench, "old", "10.0.0.7");
    import.attachment.network = network.clone();
    import.predecessor = Some(booking);
    assert_eq!(run(&bench, &import, true).await, Imported::Done);
    assert_eq!(bench.store.count_predecessor_bookings(&network).await.unwrap(), 2);
    assert_eq!(run(&bench, &import, false).await, Imported::Done);
    assert_eq!(bench.store.count_predecessor_bookings(&network).await.unwrap(), 1);
    let aside = Read::Get(format!("/etcd-cni/networks/{network}/imported/10.0.0.7"));
    let pages = bench.store.map().view().await.unwrap().read(&[aside]).await.unwrap();
    assert_eq!(pages[0].entries.iter().map(|Entry { value, .. }| value.as_slice()).collect::<Vec<_>>(), [b"old"]);

    // Released since: an entry that is not there any more imports nothing.
    bench.store.release(&import.attachment, bench.tick()).await.unwrap();
    assert_eq!(run(&bench, &import, false).await, Imported::Changed);
    bench.agrees().await;
}

pub(crate) async fn occupancy_adds_up(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/28", "fd00::/64"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    for (nth, seconds) in [30, 90].into_iter().enumerate() {
        let address = format!("10.0.0.{}", nth + 3);
        bench.hold(&requester("two", "b"), &[held_for("me", seconds, dynamic(&address))]).await;
        bench.release(&requester("two", "b")).await;
    }
    let now = bench.pass(std::time::Duration::from_secs(60));
    let found = bench.store.occupancy(&bench.sets, now).await.unwrap();
    assert_eq!(found[0], Occupancy { size: 13, held: 1, kept: 1, reserved: 0, free: 11 });
    assert_eq!((found[1].held, found[1].kept, found[1].free), (1, 0, (1 << 64) - 3));
    assert_eq!((found[0].percent(), found[1].percent()), (15, 0));
}

fn import(bench: &Bench, container: &str, address: &str) -> Import {
    Import {
        attachment: Attachment { network: "blue".into(), container: container.into(), interface: "eth0".into() },
        machine: String::new(),
        node: Import::UNKNOWN_NODE.to_owned(),
        assignment: Assignment::in_range_of(&bench.sets, ip(address)),
        pod: None,
        predecessor: None,
    }
}

async fn run(bench: &Bench, import: &Import, rehearse: bool) -> Imported {
    bench.store.import(import, bench.tick(), rehearse).await.unwrap()
}
