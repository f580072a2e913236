//! Claims that move from one set of books to another: whole, once, and over nobody's head.

use crate::keys::Named;
use crate::map::Map;
use std::time::Duration;

use super::bench::{Bench, addresses, dynamic, fixed, held_for, ip, requester, with_slot};
use super::registry::claim_in;
use crate::memory::Memory;
use crate::ordered::{Change, Commit, OrderedMap};
use crate::record::encode;
use crate::{Claimed, Move, MoveOutcome, Requester, Store};
use ipam::{Attachment, Ceded, Claim};

pub(crate) async fn claims_and_holds_move_whole_within_one_map(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let former = bench.store.beside("old");
    populate(&bench, &former).await;
    let before = everything(&former).await;
    assert_eq!(
        outcomes(&bench, &former, true, "blue", true).await,
        [MoveOutcome::Done, MoveOutcome::Done, MoveOutcome::Done]
    );
    assert_eq!(everything(&former).await, before, "a rehearsal changes nothing");
    assert_eq!(bench.store.any_of("blue").await.unwrap(), None);

    assert_eq!(
        outcomes(&bench, &former, true, "blue", false).await,
        [MoveOutcome::Done, MoveOutcome::Done, MoveOutcome::Done]
    );
    is_as_it_was(&bench).await;
    assert_eq!(former.any_of("blue").await.unwrap(), None);
    assert_eq!(former.inspect().await.unwrap(), []);
    assert_eq!(outcomes(&bench, &former, true, "blue", false).await, [], "nothing is left to move");
}

pub(crate) async fn claims_and_holds_move_whole_between_maps(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let former = Store::new(Memory::default(), "/kube-ipam", "old");
    populate(&bench, &former).await;
    assert_eq!(
        outcomes(&bench, &former, false, "blue", false).await,
        [MoveOutcome::Done, MoveOutcome::Done, MoveOutcome::Done]
    );
    is_as_it_was(&bench).await;
    assert_eq!(former.any_of("blue").await.unwrap(), None);
    assert_eq!(former.inspect().await.unwrap(), []);
}

/// Killed between the write here and the release there.
pub(crate) async fn a_move_that_was_cut_off_is_completed(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let memory = Memory::default();
    let former = Store::new(memory.clone(), "/kube-ipam", "old");
    populate(&bench, &former).await;
    former.release(&other_network().attachment, bench.tick()).await.unwrap();
    for (key, value) in memory.entries() {
        let keys = &bench.store.keys;
        let here = match former.keys.named(&key) {
            Some(Named::Attachment(attachment)) => keys.attachment(&attachment),
            Some(Named::Node { node, machine, attachment }) => keys.node_at(&node, &machine, &attachment),
            Some(Named::Pod { pod, interface, network }) => {
                keys.pod_at(&pod, &Attachment { network, interface, container: String::new() })
            }
            _ => key.replace(&former.keys.everything().from, &keys.everything().from),
        };
        bench.scribble(&here, &value).await;
    }
    let again = outcomes(&bench, &former, false, "blue", false).await;
    assert_eq!(again, [MoveOutcome::Already, MoveOutcome::Already, MoveOutcome::Already]);
    is_as_it_was(&bench).await;
    assert_eq!(former.any_of("blue").await.unwrap(), None);
}

pub(crate) async fn a_renamed_network_takes_its_claims_along_in_one_domain_too(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    populate(&bench, &bench.store).await;
    let former = bench.store.beside("blue");
    assert_eq!(
        outcomes(&bench, &former, true, "green", false).await,
        [MoveOutcome::Done, MoveOutcome::Done, MoveOutcome::Already],
        "what is on hold in the domain is on hold already"
    );
    assert_eq!(bench.store.any_of("blue").await.unwrap(), None);
    bench.agrees().await;
    let mut renamed = requester("one", "a");
    renamed.attachment.network = "green".into();
    let claim = bench.store.held_by(&renamed.attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.2", "fd00::2"]);
    assert!(bench.release(&renamed).await.is_some());
    bench.agrees().await;
}

pub(crate) async fn nothing_that_is_here_is_overwritten(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let former = bench.store.beside("old");
    let one = async |container: &str, proposal| claim_in(&bench, &former, &requester(container, ""), &[proposal]).await;
    one("a", dynamic("10.0.0.2")).await.unwrap();
    one("b", dynamic("10.0.0.3")).await.unwrap();
    one("c", with_slot("team", 0, dynamic("10.0.0.4"))).await.unwrap();
    one("d", dynamic("10.0.0.5")).await.unwrap();
    one("e", dynamic("10.0.0.6")).await.unwrap();
    // Here each of them meets something else: a holder, a hold, a slot, another claim of its own; the last one nothing.
    bench.hold(&requester("x", ""), &[dynamic("10.0.0.2")]).await;
    bench.hold(&requester("y", ""), &[held_for("me", 60, dynamic("10.0.0.3"))]).await;
    bench.release(&requester("y", "")).await;
    bench.hold(&requester("z", ""), &[with_slot("team", 0, dynamic("10.0.0.9"))]).await;
    bench.hold(&requester("d", ""), &[dynamic("10.0.0.10")]).await;
    let before = everything(&bench.store).await;

    let found = outcomes(&bench, &former, true, "blue", false).await;
    assert!(matches!(&found[0], MoveOutcome::Taken(address, _) if *address == ip("10.0.0.2")), "{found:?}");
    assert!(matches!(&found[1], MoveOutcome::Taken(address, _) if *address == ip("10.0.0.3")), "{found:?}");
    assert!(matches!(&found[2], MoveOutcome::Differs(why) if why.contains("team")), "{found:?}");
    assert!(matches!(&found[3], MoveOutcome::Differs(why) if why.contains("other addresses")), "{found:?}");
    assert_eq!(found[4], MoveOutcome::Done);
    bench.release(&requester("e", "")).await;
    assert_eq!(everything(&bench.store).await, before);
    assert_eq!(former.inspect().await.unwrap(), [], "what stays there stays whole");

    bench.pass(Duration::from_secs(61));
    bench.release(&requester("z", "")).await;
    let found = outcomes(&bench, &former, true, "blue", false).await;
    assert_eq!((&found[1], &found[2]), (&MoveOutcome::Done, &MoveOutcome::Done), "the hold is over, the slot is free");
    bench.agrees().await;
}

pub(crate) async fn what_changed_since_it_was_read_stays(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    for one_map in [true, false] {
        let (beside, apart) = (bench.store.beside("old"), Store::new(Memory::default(), "/kube-ipam", "old"));
        if one_map {
            late_move(&bench, &beside, true).await;
        } else {
            late_move(&bench, &apart, false).await;
        }
    }
}

/// The container ends after its claim was read and before it is moved.
async fn late_move(bench: &Bench, former: &Store, one_map: bool) {
    let who = requester("gone", "a");
    claim_in(bench, former, &who, &[dynamic("10.0.0.2")]).await.unwrap();
    let all = former.moves("blue", &bench.sets, bench.tick()).await.unwrap();
    former.release(&who.attachment, bench.tick()).await.unwrap();
    let outcome = bench.store.take_over(former, one_map, &all.moves[0], "blue", bench.tick(), false).await.unwrap();
    assert!(matches!(outcome, MoveOutcome::Changed | MoveOutcome::Differs(_)), "{outcome:?}");
    assert_eq!(bench.store.held_by(&who.attachment).await.unwrap(), None);
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    bench.agrees().await;
}

/// An address that one pod ceded to another, written by hand.
pub(crate) async fn what_was_ceded_moves_with_who_ceded_it(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let former = bench.store.beside("old");
    let ceding = claim_in(&bench, &former, &requester("ceding", "a"), &[fixed("10.0.0.2")]).await.unwrap();
    former.release(&ceding.attachment, bench.tick()).await.unwrap();
    let mut having = claim_in(&bench, &former, &requester("having", "b"), &[fixed("10.0.0.2")]).await.unwrap();
    having.former.insert(ip("10.0.0.2"), ceding.party());
    let ceded = vec![Ceded { assignment: ceding.addresses[0].clone(), to: having.party() }];
    let ceding = Claim { addresses: Vec::new(), ceded, ..ceding };
    let keys = &former.keys;
    let mut change = Change::default();
    for claim in [&ceding, &having] {
        change.put(keys.attachment(&claim.attachment), encode(claim)).put(keys.node_of(claim), "");
        for held in claim.allocations() {
            change.put(keys.address(held.address), encode(&held));
        }
    }
    assert_eq!(former.map().commit(&[change]).await.unwrap(), Commit::Done(0));

    let all = former.moves("blue", &bench.sets, bench.tick()).await.unwrap();
    assert!(matches!(all.moves.as_slice(), [Move::Claims(claims)] if claims.len() == 2), "{:?}", all.moves);
    assert_eq!(outcomes(&bench, &former, true, "green", false).await, [MoveOutcome::Done]);
    let (ceding, having) = (claim_in_green(&bench, "ceding").await, claim_in_green(&bench, "having").await);
    assert_eq!(ceding.ceded[0].to.attachment, having.attachment);
    assert_eq!(having.former[&ip("10.0.0.2")].attachment, ceding.attachment);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("having"));
    assert_eq!(former.any_of("blue").await.unwrap(), None);
}

async fn claim_in_green(bench: &Bench, container: &str) -> Claim {
    let mut who = requester(container, "");
    who.attachment.network = "green".into();
    bench.store.held_by(&who.attachment).await.unwrap().unwrap()
}

/// Two pods, one of them with two addresses and a slot, and an address on hold.
async fn populate(bench: &Bench, store: &Store) {
    let one = [with_slot("team", 3, dynamic("10.0.0.2")), fixed("fd00::2")];
    claim_in(bench, store, &requester("one", "a"), &one).await.unwrap();
    claim_in(bench, store, &requester("two", "b"), &[dynamic("10.0.0.3")]).await.unwrap();
    let kept = [held_for("me", 60, dynamic("10.0.0.4"))];
    claim_in(bench, store, &requester("three", "c"), &kept).await.unwrap();
    store.release(&requester("three", "c").attachment, bench.tick()).await.unwrap();
    // Of another network, and outside the ranges: neither moves.
    claim_in(bench, store, &other_network(), &[dynamic("10.0.9.9")]).await.unwrap();
}

fn other_network() -> Requester {
    let mut other = requester("four", "d");
    other.attachment.network = "other".into();
    other
}

async fn is_as_it_was(bench: &Bench) {
    let claim = bench.store.held_by(&requester("one", "a").attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.2", "fd00::2"]);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("two"));
    assert_eq!(bench.holder_of("10.0.0.4").await.as_deref(), Some("kept for me"));
    assert_eq!(bench.holder_of("10.0.9.9").await, None);
    assert_eq!(bench.taken_slots(&requester("other", ""), "team").await, [3]);
    assert_eq!(bench.store.standing_holds(bench.tick()).await.unwrap().len(), 1);
    bench.agrees().await;
    // A newer container of the pod finds the older one, as it would have before.
    let newer: Requester = requester("newer", "b");
    let look = bench.look(&newer, &[]).await;
    assert_eq!(look.previous.as_ref().map(addresses).unwrap(), ["10.0.0.3"]);
    let claimed = bench.store.claim(look, &[vec![dynamic("10.0.0.3")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    bench.agrees().await;
}

async fn outcomes(bench: &Bench, former: &Store, one_map: bool, network: &str, rehearse: bool) -> Vec<MoveOutcome> {
    let all = former.moves("blue", &bench.sets, bench.tick()).await.unwrap();
    assert!(all.damaged.is_empty(), "{:?}", all.damaged);
    let mut outcomes = Vec::new();
    for moving in &all.moves {
        let outcome = bench.store.take_over(former, one_map, moving, network, bench.tick(), rehearse).await;
        outcomes.push(outcome.unwrap());
    }
    outcomes
}

async fn everything(store: &Store) -> Vec<(String, Vec<u8>)> {
    let entries = store.scan_all(store.keys.everything()).await.unwrap();
    entries.into_iter().filter(|entry| !entry.key.contains("/l/")).map(|entry| (entry.key, entry.value)).collect()
}
