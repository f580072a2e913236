//! A domain that is exported and imported is the same domain, in whichever store.

use std::time::Duration;

use super::bench::{Bench, addresses, dynamic, fixed, held_for, ip, pod, requester, with_slot};
use super::reservations::reserve;
use crate::export::{Export, ExportError, Exported};
use crate::map::Map;
use crate::memory::Memory;
use crate::record::{Hold, encode};
use crate::{Arrival, MoveOutcome, Requester, Store};
use ipam::{Claim, HandOver};

pub(crate) async fn an_imported_domain_is_the_one_that_was_exported(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    populate(&bench).await;
    let (claims, holds) = exported(&bench).await;
    assert_eq!((claims.len(), holds.len()), (5, 3), "a hold that is over stays behind");
    let other = Bench::new(Memory::default(), &["10.0.0.0/24", "fd00::/64"]);
    other.now.set(bench.now.get());
    for rehearse in [true, false] {
        assert!(outcomes(&other, &claims, &holds, rehearse).await.iter().all(|outcome| *outcome == MoveOutcome::Done));
        assert_eq!(other.store.any_of("blue").await.unwrap().is_some(), !rehearse);
    }
    other.agrees().await;
    assert_eq!(exported(&other).await, (claims.clone(), holds.clone()));
    // And back again, into an empty domain of the first store.
    let back = Bench { store: bench.store.beside("back"), ..bench };
    outcomes(&back, &claims, &holds, false).await;
    assert_eq!(exported(&back).await, (claims.clone(), holds.clone()));
    // Whoever runs it again finds everything in its place.
    let again = outcomes(&back, &claims, &holds, false).await;
    assert!(again.iter().all(|outcome| *outcome == MoveOutcome::Already), "{again:?}");
    back.agrees().await;
    // What follows from the claims is there: of two containers of one pod the newer one is found, and what was ceded returns.
    let look = back.look(&requester("next", "a"), &[]).await;
    assert_eq!(look.previous.unwrap().attachment.container, "newer");
    back.release(&requester("taker", "t")).await;
    assert_eq!(back.holder_of("10.0.0.6").await.as_deref(), Some("giver"));
    back.agrees().await;
}

pub(crate) async fn an_import_of_a_domain_overwrites_nothing(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let other = Bench::new(Memory::default(), &["10.0.0.0/24"]);
    for (container, address) in [("a", "10.0.0.2"), ("b", "10.0.0.3"), ("c", "10.0.0.4"), ("d", "10.0.0.5")] {
        other.hold(&requester(container, ""), &[dynamic(address)]).await;
    }
    reserve(&other, &["10.0.0.6"]).await;
    let (claims, holds) = exported(&other).await;
    // Here each meets something else: a holder, a reservation, its own claim; the last one nothing.
    bench.hold(&requester("x", ""), &[dynamic("10.0.0.2"), dynamic("10.0.0.6")]).await;
    reserve(&bench, &["10.0.0.3"]).await;
    bench.hold(&requester("c", ""), &[dynamic("10.0.0.4")]).await;
    let found = outcomes(&bench, &claims, &holds, false).await;
    assert!(matches!(&found[0], MoveOutcome::Taken(address, _) if *address == ip("10.0.0.2")), "{found:?}");
    assert!(matches!(&found[1], MoveOutcome::Taken(address, _) if *address == ip("10.0.0.3")), "{found:?}");
    assert_eq!((&found[2], &found[3]), (&MoveOutcome::Already, &MoveOutcome::Done));
    assert!(matches!(&found[4], MoveOutcome::Taken(address, _) if *address == ip("10.0.0.6")), "{found:?}");
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("reserved: printer"));
    bench.agrees().await;
}

/// A record that cannot be read, or one that no claim explains: an export without it would free its address elsewhere.
pub(crate) async fn a_domain_that_does_not_agree_is_not_exported(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let key = bench.store.keys.attachment(&one.attachment);
    bench.scribble(&key, b"{").await;
    assert!(matches!(failure(&bench).await, ExportError::Store(_)));
    bench.delete(&key).await;
    assert!(matches!(failure(&bench).await, ExportError::Inconsistent { held: 1, claimed: 0 }));
    // One claim lists an address of somebody else, another one lacks its own: as many are held as are listed.
    let two = requester("two", "b");
    let of_another = Claim { addresses: vec![dynamic("10.0.0.2")], ..bench.hold(&two, &[dynamic("10.0.0.3")]).await };
    bench.scribble(&bench.store.keys.attachment(&two.attachment), &encode(&of_another)).await;
    bench.delete(&bench.store.keys.address(ip("10.0.0.2"))).await;
    assert!(matches!(failure(&bench).await, ExportError::Inconsistent { held: 1, claimed: 1 }));
}

async fn populate(bench: &Bench) {
    let slotted = with_slot("team", 3, held_for("me", 60, dynamic("10.0.0.3")));
    // Two pods of one name: the older one's container stays, and the index points at the newer one's.
    let [older, newer] =
        ["older", "newer"].map(|container| Requester { pod: Some(pod("a", container)), ..requester(container, "a") });
    bench.hold(&older, &[fixed("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.hold(&newer, &[slotted, dynamic("fd00::3")]).await;
    let mut other_network = requester("other", "");
    other_network.attachment.network = "green".to_owned();
    bench.hold(&other_network, &[dynamic("10.0.0.5")]).await;
    cede(bench).await;
    for (seconds, address) in [(3_600, "10.0.0.20"), (1, "10.0.0.21")] {
        let kept = requester("kept", "");
        bench.hold(&kept, &[held_for("sts/web-0", seconds, dynamic(address))]).await;
        bench.release(&kept).await;
    }
    bench.pass(Duration::from_secs(2));
    reserve(bench, &["10.0.0.30", "fd00::30"]).await;
}

/// A container has an address that a living pod ceded to it.
async fn cede(bench: &Bench) {
    bench.hold(&requester("giver", "g"), &[fixed("10.0.0.6")]).await;
    let look = bench.look(&requester("taker", "t"), &["10.0.0.6"]).await;
    let held = super::bench::holder_in(&look, "10.0.0.6").unwrap().clone();
    let handed_over = [HandOver { former: Some(held.party()), held }];
    let claimed = bench.store.claim(look, &[vec![fixed("10.0.0.6")]], None, &handed_over).await.unwrap();
    let crate::Claimed::Done(claim) = claimed else { panic!("lost") };
    assert_eq!(addresses(&claim), ["10.0.0.6"]);
}

async fn exported(bench: &Bench) -> (Vec<Arrival>, Vec<Hold>) {
    let mut export: Export<'_> = bench.store.export(bench.now.get()).await.unwrap();
    let (mut claims, mut holds) = (Vec::new(), Vec::new());
    while let Some(part) = export.next().await.unwrap() {
        match part {
            Exported::Claims(more) => claims.extend(more),
            Exported::Holds(more) => holds.extend(more),
        }
    }
    (claims, holds)
}

async fn failure(bench: &Bench) -> ExportError {
    let mut export = bench.store.export(bench.now.get()).await.unwrap();
    loop {
        match export.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it was exported"),
            Err(error) => return error,
        }
    }
}

async fn outcomes(bench: &Bench, claims: &[Arrival], holds: &[Hold], rehearse: bool) -> Vec<MoveOutcome> {
    let store: &Store = &bench.store;
    let admitted: Vec<(Claim, MoveOutcome)> = store.admit(claims.to_vec(), bench.now.get(), rehearse).await.unwrap();
    let kept = store.admit_holds(holds.to_vec(), bench.now.get(), rehearse).await.unwrap();
    admitted.into_iter().map(|(_, outcome)| outcome).chain(kept.into_iter().map(|(_, outcome)| outcome)).collect()
}
