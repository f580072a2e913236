//! Releases: fenced, complete, and a success when there is nothing to do.

use super::bench::{Bench, MACHINE, addresses, dynamic, fixed, ip, pod, requester};
use crate::Requester;
use crate::map::Map;
use crate::record::encode;
use ipam::Claim;

pub(crate) async fn a_release_of_nothing_is_success(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    assert_eq!(bench.release(&one).await, None);
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    bench.release(&one).await;
    assert_eq!(bench.release(&one).await, None);
    bench.agrees().await;
}

pub(crate) async fn a_release_frees_everything_and_tells_what_it_was(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let one = requester("one", "a");
    let held = bench.hold(&one, &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.reads();
    assert_eq!(bench.release(&one).await, Some(held));
    assert_eq!(bench.reads(), 1);
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    assert_eq!(bench.store.attachments_on("node-1", MACHINE, "blue").await.unwrap(), []);
    assert_eq!(bench.look(&requester("two", "a"), &[]).await.previous, None);
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.agrees().await;
}

pub(crate) async fn a_late_release_of_a_replaced_attachment_frees_nothing(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    bench.hold(&old, &[fixed("10.0.0.2")]).await;
    bench.hold(&new, &[fixed("10.0.0.2")]).await;
    assert_eq!(bench.release(&old).await, None);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("new"));
    bench.agrees().await;
}

pub(crate) async fn a_release_touches_nothing_that_another_holds(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    let held = bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    bench.hold(&two, &[dynamic("10.0.0.3")]).await;
    // By whatever accident, the claim lists an address that is another's.
    let mut wrong: Claim = held.clone();
    wrong.addresses.push(dynamic("10.0.0.3"));
    bench.scribble(&bench.store.keys.attachment(&one.attachment), &encode(&wrong)).await;
    assert_eq!(addresses(&bench.release(&one).await.unwrap()), ["10.0.0.2", "10.0.0.3"]);
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("two"));
    bench.agrees().await;
}

pub(crate) async fn a_release_leaves_the_index_of_a_newer_pod(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let before = Requester { pod: Some(pod("web-0", "uid-1")), ..requester("before", "") };
    let after = Requester { pod: Some(pod("web-0", "uid-2")), ..requester("after", "") };
    bench.hold(&before, &[dynamic("10.0.0.2")]).await;
    bench.hold(&after, &[dynamic("10.0.0.3")]).await;
    bench.release(&before).await;
    let again = Requester { pod: Some(pod("web-0", "uid-2")), ..requester("again", "") };
    let previous = bench.look(&again, &[]).await.previous.unwrap();
    assert_eq!(previous.attachment, after.attachment);
    bench.agrees().await;
}

pub(crate) async fn gc_sees_its_own_node_and_network_only(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let mine = requester("mine", "a");
    let elsewhere = Requester { node: "node-10".into(), ..requester("elsewhere", "b") };
    let mut green = requester("green", "c");
    green.attachment.network = "green".into();
    for (requester, last) in [(&mine, 2), (&elsewhere, 3), (&green, 4)] {
        bench.hold(requester, &[dynamic(&format!("10.0.0.{last}"))]).await;
    }
    bench.reads();
    assert_eq!(bench.store.attachments_on("node-1", MACHINE, "blue").await.unwrap(), [mine.attachment]);
    assert_eq!(bench.reads(), 1);
    assert_eq!(bench.store.holders(&[ip("10.0.0.4")], bench.now.get()).await.unwrap().len(), 1);
    bench.agrees().await;
}

pub(crate) async fn what_was_claimed_since_a_moment_outlives_the_release_of_what_is_older(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let moment = bench.tick();
    let late = bench.hold(&two, &[dynamic("10.0.0.3")]).await;
    let release =
        async |who: &Requester, moment| bench.store.release_older(&who.attachment, moment, bench.tick()).await.unwrap();
    assert_eq!(addresses(&release(&one, moment).await.unwrap()), ["10.0.0.2"]);
    assert_eq!(release(&one, moment).await, None);
    assert_eq!(release(&two, moment).await, None);
    assert_eq!(release(&two, late.since).await, None, "of that very moment");
    // The same attachment, claimed again.
    bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    assert_eq!(release(&one, moment).await, None);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("two"));
    // A clock that was set back by minutes has told nothing; by hours, it shows what cannot be new.
    for (minutes, is_released) in [(59, false), (61, true)] {
        let set_back = late.since - jiff::SignedDuration::from_mins(minutes);
        let released = bench.store.release_older(&two.attachment, set_back, set_back).await.unwrap();
        assert_eq!(released.is_some(), is_released, "{minutes} minutes");
    }
    bench.agrees().await;
}

pub(crate) async fn what_was_judged_is_reclaimed(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    bench.hold(&one, &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    bench.hold(&two, &[dynamic("10.0.0.3"), dynamic("fd00::3")]).await;
    let judged = bench.store.claims("blue").await.unwrap();
    assert_eq!(judged.len(), 2);
    assert_eq!(bench.store.claims("red").await.unwrap().len(), 0);
    let of_one = judged.iter().find(|standing| standing.claim().attachment == one.attachment).unwrap();
    assert!(bench.store.reclaim(of_one, bench.tick()).await.unwrap());
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    assert_eq!(bench.holder_of("fd00::3").await.as_deref(), Some("two"));
    assert!(!bench.store.reclaim(of_one, bench.tick()).await.unwrap(), "it is gone already");
    bench.agrees().await;
}

pub(crate) async fn a_claim_that_changed_since_it_was_judged_stays(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    bench.hold(&one, &[fixed("10.0.0.2")]).await;
    let judged = bench.store.claims("blue").await.unwrap();
    // The runtime released it and the same attachment came back, as after a node's restart.
    bench.release(&one).await.unwrap();
    bench.hold(&one, &[fixed("10.0.0.2")]).await;
    assert!(!bench.store.reclaim(&judged[0], bench.tick()).await.unwrap());
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
    // Another pod took the address over: what is left of the judged claim is not what was judged.
    let judged = bench.store.claims("blue").await.unwrap();
    let two = requester("two", "a");
    bench.hold(&two, &[fixed("10.0.0.2")]).await;
    assert!(!bench.store.reclaim(&judged[0], bench.tick()).await.unwrap());
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("two"));
    bench.agrees().await;
}
