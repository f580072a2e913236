//! What a container has and the store has forgotten is claimed again, and nothing is taken from anybody who may live.

use super::bench::{Bench, MACHINE, addresses, dynamic, fixed, held_for, ip, pod, requester, with_slot};
use crate::keys::node_digest;
use crate::map::Map;
use crate::ordered::{Change, Commit, OrderedMap};
use crate::{InUse, Occupant, Repaired, Requester, Restoration, Rival};
use ipam::{Allocation, Assignment, Claim};

/// Whatever of a claim is deleted or damaged, alone or together, what the container has is its own again.
pub(crate) async fn whatever_is_forgotten_of_a_container_is_claimed_again(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let who = requester("one", "a");
    let has = [fixed("10.0.0.2"), dynamic("10.0.0.3")];
    let before =
        bench.hold(&who, &[fixed("10.0.0.2"), with_slot("team", 7, held_for("me", 60, dynamic("10.0.0.3")))]).await;
    let keys = &bench.store.keys;
    let places = [
        keys.attachment(&who.attachment),
        keys.address(ip("10.0.0.2")),
        keys.address(ip("10.0.0.3")),
        keys.node_at(&node_digest("node-1"), MACHINE, &who.attachment),
        keys.pod(&pod("a", ""), &who.attachment),
    ];
    assert!(is_void(&plan(&bench, &[occupant(&who, &has)], Rival::Stays).await[0]));
    for damage in [None, Some(b"{".as_slice())] {
        for forgotten in 1..1_u32 << places.len() {
            for (nth, place) in places.iter().enumerate() {
                if forgotten & (1 << nth) == 0 {
                    continue;
                }
                overwrite(&bench, place, damage.filter(|_| !place.contains("/n/") && !place.contains("/p/"))).await;
            }
            let restoration = plan(&bench, &[occupant(&who, &has)], Rival::Stays).await.remove(0);
            assert!(restoration.shared.is_empty() && restoration.unused.is_empty());
            assert!(bench.store.restore(&restoration).await.unwrap());
            let after = bench.store.held_by(&who.attachment).await.unwrap().unwrap();
            let mut listed = addresses(&after);
            listed.sort();
            assert_eq!(listed, ["10.0.0.2", "10.0.0.3"], "{forgotten:b} {damage:?}");
            for address in ["10.0.0.2", "10.0.0.3"] {
                assert_eq!(bench.holder_of(address).await.as_deref(), Some("one"), "{forgotten:b} {damage:?}");
            }
            // What only an index or a slot's own record knows is for the other half of fsck.
            for repair in bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap() {
                assert_eq!(bench.store.repair(&repair).await.unwrap(), Repaired::Done);
            }
            bench.agrees().await;
            assert!(is_void(&plan(&bench, &[occupant(&who, &has)], Rival::Stays).await[0]));
            bench.release(&who).await;
            bench.agrees().await;
            if let Some(hold) = bench.store.hold_of(ip("10.0.0.3")).await.unwrap() {
                assert!(bench.store.end_hold(&hold).await.unwrap());
            }
            assert_eq!(bench.hold(&who, &before.addresses).await.addresses, before.addresses);
        }
    }
}

pub(crate) async fn an_empty_store_learns_everything_and_a_release_frees_it(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let who = requester("one", "a");
    let lone = requester("two", "");
    let occupants =
        [occupant(&who, &[fixed("10.0.0.2"), dynamic("10.0.0.3")]), occupant(&lone, &[dynamic("10.0.0.4")])];
    let plans = plan(&bench, &occupants, Rival::Stays).await;
    assert_eq!(bench.store.inspect().await.unwrap(), [], "a plan writes nothing");
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    assert_eq!(plans[0].missing, [ip("10.0.0.2"), ip("10.0.0.3")]);
    carry_out(&bench, &plans).await;
    let claim = bench.store.held_by(&who.attachment).await.unwrap().unwrap();
    assert_eq!(claim.addresses, [fixed("10.0.0.2"), dynamic("10.0.0.3")]);
    assert_eq!((claim.node.as_str(), claim.machine.as_str(), &claim.pod), ("node-1", MACHINE, &who.pod));
    assert_eq!(bench.store.attachments_on("node-1", MACHINE, "blue").await.unwrap().len(), 2, "GC finds them");
    // The pod's next container finds the older one.
    let look = bench.look(&requester("three", "a"), &[]).await;
    assert_eq!(look.previous.unwrap().attachment, who.attachment);
    for requester in [&who, &lone] {
        bench.release(requester).await;
    }
    bench.agrees().await;
    assert!(bench.store.attachments_on("node-1", MACHINE, "blue").await.unwrap().is_empty());
}

pub(crate) async fn what_another_holds_is_named_and_left_and_the_rest_is_claimed(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("thief", "t"), &[dynamic("10.0.0.2")]).await;
    let who = requester("one", "a");
    let plans = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")])], Rival::Stays).await;
    let shared: Vec<_> = plans[0].shared.iter().map(|held| held.attachment.container.as_str()).collect();
    assert_eq!((shared, &plans[0].missing), (vec!["thief"], &vec![ip("10.0.0.3")]));
    carry_out(&bench, &plans).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("thief"));
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("one"));

    let alone = plan(&bench, &[occupant(&requester("two", "b"), &[dynamic("10.0.0.2")])], Rival::Stays).await;
    assert!(!alone[0].is_needed() && !is_void(&alone[0]), "{:?}", alone[0]);
    // A newer container of the same pod has it: the store is right.
    let older = plan(&bench, &[occupant(&requester("zero", "t"), &[dynamic("10.0.0.2")])], Rival::Succeeds).await;
    assert!(is_void(&older[0]));
}

pub(crate) async fn of_two_that_share_a_forgotten_address_the_first_gets_it(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let occupants = [("one", "a"), ("two", "b")]
        .map(|(container, pod)| occupant(&requester(container, pod), &[dynamic("10.0.0.2")]));
    let plans = plan(&bench, &occupants, Rival::Stays).await;
    assert!(plans[0].is_needed() && !plans[1].is_needed());
    assert_eq!(plans[1].shared[0].attachment.container, "one");
    carry_out(&bench, &plans).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
}

/// The copy of a store from an hour ago gives an address to a container that has ended since. It moves to who has it,
/// and is free when both are released, not before.
pub(crate) async fn a_holder_that_is_gone_cedes_what_a_living_container_has(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let gone = requester("gone", "g");
    bench.hold(&gone, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")]).await;
    let who = requester("one", "a");
    let plans = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2")])], Rival::GivesWay).await;
    assert_eq!(plans[0].moved.len(), 1);
    assert_eq!(plans[0].moved[0].attachment, gone.attachment);
    carry_out(&bench, &plans).await;
    bench.agrees().await;
    let claim = bench.store.held_by(&gone.attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.3"]);
    assert_eq!((claim.ceded[0].assignment.address, &claim.ceded[0].to.attachment), (ip("10.0.0.2"), &who.attachment));
    let held = record(&bench, "10.0.0.2").await;
    assert_eq!((held.attachment, held.former.unwrap().attachment), (who.attachment.clone(), gone.attachment.clone()));
    let again = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2")])], Rival::Stays).await;
    assert!(is_void(&again[0]));
    // The one that ceded it is in the books, and asks for nothing back.
    let former = plan(&bench, &[occupant(&gone, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")])], Rival::Stays).await;
    assert!(is_void(&former[0]), "{:?}", former[0]);

    // Whichever ends first: the address is the other's.
    bench.release(&who).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("gone"));
    bench.agrees().await;
    let plans = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2")])], Rival::GivesWay).await;
    carry_out(&bench, &plans).await;
    bench.release(&gone).await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
    bench.agrees().await;
    bench.release(&who).await;
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
}

pub(crate) async fn a_hold_ends_where_somebody_has_its_address(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("gone", "g"), &[held_for("me", 3600, dynamic("10.0.0.2"))]).await;
    bench.release(&requester("gone", "g")).await;
    let plans = plan(&bench, &[occupant(&requester("one", "a"), &[dynamic("10.0.0.2")])], Rival::Stays).await;
    assert_eq!(plans[0].ended[0].identity.as_deref(), Some("me"));
    carry_out(&bench, &plans).await;
    bench.agrees().await;
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
    assert!(bench.store.holds_for("me").await.unwrap().is_empty());
}

pub(crate) async fn what_changed_since_a_restoration_was_shown_stays(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let who = requester("one", "a");
    let plans = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2")])], Rival::Stays).await;
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.2")]).await;
    assert!(!bench.store.restore(&plans[0]).await.unwrap());
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("two"));
    bench.agrees().await;
    assert_eq!(bench.store.held_by(&who.attachment).await.unwrap(), None);
}

/// An address that the store gives to a container and that it does not have is told, and stays held.
pub(crate) async fn another_address_is_told_and_stays_held(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let who = requester("one", "a");
    bench.hold(&who, &[dynamic("10.0.0.9")]).await;
    let plans = plan(&bench, &[occupant(&who, &[dynamic("10.0.0.2")])], Rival::Stays).await;
    assert_eq!((&plans[0].unused, &plans[0].missing), (&vec![ip("10.0.0.9")], &vec![ip("10.0.0.2")]));
    carry_out(&bench, &plans).await;
    let claim = bench.store.held_by(&who.attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&claim), ["10.0.0.9", "10.0.0.2"]);
    bench.agrees().await;
}

pub(crate) async fn a_hold_that_was_shown_ends_and_no_other(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let who = requester("gone", "g");
    bench.hold(&who, &[held_for("me", 60, dynamic("10.0.0.2")), held_for("me", 60, dynamic("10.0.0.3"))]).await;
    bench.release(&who).await;
    let shown = bench.store.holds_for("me").await.unwrap();
    assert_eq!(shown.iter().map(|hold| hold.hold().address).collect::<Vec<_>>(), [ip("10.0.0.2"), ip("10.0.0.3")]);
    // Its address is taken, and on hold again meanwhile.
    bench.hold(&who, &[held_for("me", 60, dynamic("10.0.0.2"))]).await;
    bench.release(&who).await;
    assert!(!bench.store.end_hold(&shown[0]).await.unwrap());
    assert!(bench.store.end_hold(&shown[1]).await.unwrap());
    assert_eq!(
        (bench.holder_of("10.0.0.2").await.as_deref(), bench.holder_of("10.0.0.3").await),
        (Some("kept for me"), None)
    );
    bench.agrees().await;
    assert!(bench.store.hold_of(ip("10.0.0.3")).await.unwrap().is_none());
    assert_eq!(bench.store.holds_for("nobody").await.unwrap().len(), 0);
}

fn occupant(requester: &Requester, addresses: &[Assignment]) -> Occupant {
    let Requester { attachment, node, machine, pod } = requester.clone();
    Occupant { attachment, node, machine, pod, addresses: addresses.to_vec() }
}

async fn plan(bench: &Bench, occupants: &[Occupant], rival: Rival) -> Vec<Restoration> {
    bench.store.plan_restorations(occupants, |_, _| rival, bench.tick()).await.unwrap()
}

async fn carry_out(bench: &Bench, plans: &[Restoration]) {
    for plan in plans {
        assert!(bench.store.restore(plan).await.unwrap(), "{plan:?}");
    }
}

async fn record(bench: &Bench, address: &str) -> Allocation {
    bench.everything().await.addresses.remove(&ip(address)).unwrap()
}

async fn overwrite(bench: &Bench, key: &str, value: Option<&[u8]>) {
    let mut change = Change::default();
    match value {
        Some(value) => change.put(key.to_owned(), value),
        None => change.delete(key.to_owned()),
    };
    assert_eq!(bench.store.map().commit(&[change]).await.unwrap(), Commit::Done(0));
}

/// Whether the store and the occupant agree.
fn is_void(restoration: &Restoration) -> bool {
    !restoration.is_needed() && restoration.shared.is_empty() && restoration.unused.is_empty()
}

/// A claim of the same container with one more address.
pub(super) fn widened(claim: &Claim, address: &str) -> Claim {
    Claim { addresses: [claim.addresses.clone(), vec![dynamic(address)]].concat(), ..claim.clone() }
}
