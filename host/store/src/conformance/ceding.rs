//! Addresses that a living pod ceded: what an attachment was told is either held by it, or ceded and named.

use super::bench::{Bench, addresses, dynamic, fixed, held_for, holder_in, ip, requester, with_slot};
use crate::map::Map;
use crate::{Claimed, InUse, Requester};
use ipam::{Attachment, Claim, HandOver};

const X: &str = "10.0.0.9";

/// `new` takes X from whoever holds it. The holder lives, or is gone and whoever ceded X to it lives, or nobody lives.
async fn hand_over(bench: &Bench, new: &Requester, lives: Lives) -> Claimed {
    let look = bench.look(new, &[X]).await;
    let held = holder_in(&look, X).expect("somebody holds it").clone();
    let former = match lives {
        Lives::Holder => Some(held.party()),
        Lives::Former => held.former.as_deref().cloned(),
        Lives::Nobody => None,
    };
    let handed_over = [HandOver { held, former }];
    bench.store.claim(look, &[vec![fixed(X)]], None, &handed_over).await.unwrap()
}

#[derive(Clone, Copy)]
enum Lives {
    Holder,
    Former,
    Nobody,
}

async fn claim_of(bench: &Bench, who: &Requester) -> Option<Claim> {
    bench.store.held_by(&who.attachment).await.unwrap()
}

/// To whom a claim has ceded X.
async fn ceded_to(bench: &Bench, who: &Requester) -> Option<Attachment> {
    let claim = claim_of(bench, who).await?;
    claim.ceded.iter().find(|ceded| ceded.assignment.address == ip(X)).map(|ceded| ceded.to.attachment.clone())
}

/// Who is named in the record of X as its former holder.
async fn former(bench: &Bench) -> Option<String> {
    let look = bench.look(&requester("observer", "o"), &[X]).await;
    holder_in(&look, X)?.former.as_ref().map(|party| party.attachment.container.clone())
}

pub(crate) async fn a_ceded_address_returns_when_its_new_holder_is_released(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    let before = bench.hold(&old, &[with_slot("team", 3, held_for("me", 60, fixed(X))), dynamic("10.0.0.2")]).await;
    assert!(matches!(hand_over(&bench, &new, Lives::Holder).await, Claimed::Done(_)));
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("new"));
    assert_eq!(ceded_to(&bench, &old).await.as_ref(), Some(&new.attachment));
    assert_eq!(former(&bench).await.as_deref(), Some("old"));
    assert_eq!(bench.taken_slots(&requester("other", "c"), "team").await, [3], "the pod lives and counts");
    bench.agrees().await;
    // The roll-out is undone: the old pod has what it was told, and nobody else can have it.
    bench.release(&new).await.unwrap();
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("old"));
    assert_eq!(bench.contest(&requester("third", "c"), &[fixed(X)]).await, Claimed::Lost);
    let mut after = claim_of(&bench, &old).await.unwrap();
    after.addresses.sort_by_key(|assignment| std::cmp::Reverse(assignment.address));
    assert_eq!(after, before);
    bench.agrees().await;
    bench.release(&old).await.unwrap();
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("kept for me"));
    bench.agrees().await;
}

pub(crate) async fn the_release_of_a_former_holder_only_clears_its_mark(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    bench.hold(&old, &[with_slot("team", 3, fixed(X))]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    assert_eq!(addresses(&bench.release(&old).await.unwrap()), [""; 0]);
    assert_eq!((bench.holder_of(X).await.as_deref(), former(&bench).await), (Some("new"), None));
    assert_eq!(bench.taken_slots(&requester("other", "c"), "team").await, [0; 0]);
    assert_eq!(bench.release(&old).await, None);
    bench.agrees().await;
    bench.release(&new).await.unwrap();
    assert_eq!(bench.holder_of(X).await, None);
    bench.agrees().await;
}

pub(crate) async fn a_mark_follows_newer_containers_of_either_pod(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    // The new pod's sandbox is made again.
    let newer = requester("newer", "b");
    bench.hold(&newer, &[fixed(X)]).await;
    assert_eq!(ceded_to(&bench, &old).await.as_ref(), Some(&newer.attachment));
    assert_eq!(bench.release(&new).await, None, "a late DEL");
    assert_eq!((bench.holder_of(X).await.as_deref(), former(&bench).await.as_deref()), (Some("newer"), Some("old")));
    bench.agrees().await;
    // And once more, with another address: X goes back.
    let newest = requester("newest", "b");
    bench.hold(&newest, &[dynamic("10.0.0.2")]).await;
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("old"));
    bench.agrees().await;
    // The old pod's sandbox is made again while another has X.
    hand_over(&bench, &requester("last", "c"), Lives::Holder).await;
    bench.hold(&requester("older", "a"), &[dynamic("10.0.0.3")]).await;
    assert_eq!((bench.holder_of(X).await.as_deref(), former(&bench).await), (Some("last"), None));
    assert_eq!(claim_of(&bench, &old).await, None);
    bench.agrees().await;
}

pub(crate) async fn whoever_follows_a_holder_that_is_gone_owes_the_address_to_the_former_one(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, second, third) = (requester("old", "a"), requester("second", "b"), requester("third", "c"));
    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &second, Lives::Holder).await;
    hand_over(&bench, &third, Lives::Former).await;
    assert_eq!(claim_of(&bench, &second).await, None);
    assert_eq!(ceded_to(&bench, &old).await.as_ref(), Some(&third.attachment));
    bench.agrees().await;
    // Both are gone: nothing is owed to anybody.
    let fourth = requester("fourth", "d");
    hand_over(&bench, &fourth, Lives::Nobody).await;
    assert_eq!((claim_of(&bench, &old).await, claim_of(&bench, &third).await), (None, None));
    assert_eq!((bench.holder_of(X).await.as_deref(), former(&bench).await), (Some("fourth"), None));
    bench.agrees().await;
}

pub(crate) async fn reclaim_and_gc_give_back_as_a_release_does(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    let judged = bench.store.claims("blue").await.unwrap();
    let of_new = judged.iter().find(|standing| standing.claim().attachment == new.attachment).unwrap();
    assert!(bench.store.reclaim(of_new, bench.tick()).await.unwrap());
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("old"));
    bench.agrees().await;
    let of_old = judged.iter().find(|standing| standing.claim().attachment == old.attachment).unwrap();
    assert!(!bench.store.reclaim(of_old, bench.tick()).await.unwrap(), "it was judged without the address");
    // The one that ceded is gone: its mark goes with it.
    hand_over(&bench, &new, Lives::Holder).await;
    let judged = bench.store.claims("blue").await.unwrap();
    let of_old = judged.iter().find(|standing| standing.claim().attachment == old.attachment).unwrap();
    assert!(bench.store.reclaim(of_old, bench.tick()).await.unwrap());
    assert_eq!((bench.holder_of(X).await.as_deref(), former(&bench).await), (Some("new"), None));
    bench.agrees().await;
    bench.release(&new).await.unwrap();
    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    let moment = bench.tick();
    assert!(bench.store.release_older(&new.attachment, moment, bench.tick()).await.unwrap().is_some());
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("old"));
    bench.agrees().await;
}

/// Both look before either writes, in both orders: whoever loses finds the other's result, and nobody is forgotten.
pub(crate) async fn ceding_and_releasing_at_once_forget_nobody(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    bench.hold(&old, &[fixed(X)]).await;
    let look = bench.look(&new, &[X]).await;
    let held = holder_in(&look, X).unwrap().clone();
    let judged = [HandOver { former: Some(held.party()), held }];
    bench.release(&old).await.unwrap();
    assert_eq!(bench.store.claim(look, &[vec![fixed(X)]], None, &judged).await.unwrap(), Claimed::Lost);
    bench.agrees().await;

    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    let judged = bench.store.claims("blue").await.unwrap();
    bench.release(&old).await.unwrap();
    let of_new = judged.iter().find(|standing| standing.claim().attachment == new.attachment).unwrap();
    assert!(!bench.store.reclaim(of_new, bench.tick()).await.unwrap(), "its claim no longer names the old one");
    bench.agrees().await;
}

pub(crate) async fn marks_that_disagree_are_found_and_mended(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "b"));
    bench.hold(&old, &[fixed(X)]).await;
    hand_over(&bench, &new, Lives::Holder).await;
    let keys = bench.store.keys.clone();
    let places = [keys.attachment(&old.attachment), keys.attachment(&new.attachment), keys.address(ip(X))];
    for place in &places {
        bench.delete(place).await;
        assert!(!bench.store.inspect().await.unwrap().is_empty(), "{place}");
        // Repairs are worked out on what was read: some follow from others.
        for _ in 0..3 {
            for repair in bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap() {
                bench.store.repair(&repair).await.unwrap();
            }
        }
        bench.agrees().await;
        let holder = bench.holder_of(X).await;
        assert!(holder.is_some(), "{place}: a living pod uses it");
        bench.release(&new).await;
        bench.release(&old).await;
        bench.hold(&old, &[fixed(X)]).await;
        hand_over(&bench, &new, Lives::Holder).await;
    }
    // The new holder's claim and record are lost: the old pod has the address again.
    bench.delete(&places[1]).await;
    bench.delete(&places[2]).await;
    for _ in 0..3 {
        for repair in bench.store.plan_repairs(&bench.sets, &InUse::new()).await.unwrap() {
            bench.store.repair(&repair).await.unwrap();
        }
    }
    bench.agrees().await;
    assert_eq!(bench.holder_of(X).await.as_deref(), Some("old"));
}
