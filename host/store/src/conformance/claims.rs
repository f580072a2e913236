//! Claims: one holder per domain, all or nothing, take-over.

use super::bench::{Bench, MACHINE, addresses, dynamic, fixed, holder_in, ip, pod, requester};
use crate::map::Map;
use crate::ordered::Entry;
use crate::{Claimed, Requester};
use ipam::{Allocation, Assignment, HandOver, Kind, PodName, PolicyName, Question};

pub(crate) async fn an_address_has_one_holder_per_domain(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (one, two) = (requester("one", "a"), requester("two", "b"));
    // Both look before either claims.
    let (first, second) = (bench.look(&one, &[]).await, bench.look(&two, &[]).await);
    let proposal = [vec![dynamic("10.0.0.2")]];
    assert!(matches!(bench.store.claim(first, &proposal, None, &[]).await.unwrap(), Claimed::Done(_)));
    assert_eq!(bench.store.claim(second, &proposal, None, &[]).await.unwrap(), Claimed::Lost);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("one"));
    assert_eq!(bench.store.held_by(&two.attachment).await.unwrap(), None);
    bench.agrees().await;
}

pub(crate) async fn a_rehearsal_changes_nothing(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.store.rehearse().await.unwrap();
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.7")]).await;
    let before = bench.entries().await;
    assert!(before.len() >= 5, "{before:?}");
    for _ in 0..2 {
        bench.store.rehearse().await.unwrap();
    }
    assert_eq!(bench.entries().await, before);
    bench.agrees().await;
}

/// With names as long as clusters have them. etcd keeps all of it for every pod that starts, until it is compacted.
pub(crate) async fn a_claim_takes_a_kilobyte(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/16"]);
    let mut who = requester(&"f728b4fa42485e3a".repeat(4), "");
    who.node = "ip-10-0-12-34.eu-central-1.compute.internal".into();
    who.machine = "c92bb9553bece64b".into();
    who.pod = Some(PodName {
        namespace: "team-front".into(),
        name: "x".repeat(40),
        uid: Some("eb1167b3-67a9-c378-7c65-c1e582e2e662".into()),
        cluster: Some("cd613e30-d8f1-6adf-91b7-584a2265b1f5".into()),
    });
    let address = Assignment { gateway: Some(ip("10.0.0.1")), ..dynamic("10.0.0.2") };
    let policy = PolicyName { name: "range-fixed".into(), sha256: "51e5dce940865bec".repeat(4), instead_of: None };
    let look = bench.look(&who, &[]).await;
    bench.store.claim(look, &[vec![address]], Some(policy), &[]).await.unwrap();
    let domain = bench.store.keys.everything().from.len();
    let entries = bench.entries().await;
    let sizes: Vec<String> =
        entries.iter().map(|Entry { key, value }| format!("{} + {}", key.len() - domain, value.len())).collect();
    let all: usize = entries.iter().map(|Entry { key, value }| key.len() - domain + value.len()).sum();
    assert!((900..=1_024).contains(&all), "{all}: {sizes:?}");
    bench.agrees().await;
}

pub(crate) async fn two_networks_that_share_a_domain_share_its_addresses(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let blue = requester("one", "a");
    let mut green = requester("one", "a");
    green.attachment.network = "green".into();
    bench.hold(&blue, &[dynamic("10.0.0.2")]).await;
    assert_eq!(bench.contest(&green, &[dynamic("10.0.0.2")]).await, Claimed::Lost);
    bench.hold(&green, &[dynamic("10.0.0.3")]).await;
    // Same container, same interface name, two networks: two claims.
    assert_eq!(addresses(&bench.release(&blue).await.unwrap()), ["10.0.0.2"]);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("one"));
    bench.agrees().await;
}

pub(crate) async fn two_domains_know_nothing_of_each_other(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    let other = Bench { store: bench.store.under(&bench.prefix, "red"), ..bench };
    assert_eq!(other.holder_of("10.0.0.2").await, None);
    other.hold(&requester("two", "b"), &[dynamic("10.0.0.2")]).await;
    other.agrees().await;
}

pub(crate) async fn a_second_claim_returns_what_is_held(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let one = requester("one", "a");
    let held = bench.hold(&one, &[dynamic("10.0.0.2")]).await;
    let look = bench.look(&one, &[]).await;
    assert_eq!(look.claim.as_ref(), Some(&held));
    let again = bench.store.claim(look, &[vec![dynamic("10.0.0.3")]], None, &[]).await.unwrap();
    assert_eq!(again, Claimed::Done(held.clone()));
    assert_eq!(bench.store.held_by(&one.attachment).await.unwrap(), Some(held));
    assert_eq!(bench.holder_of("10.0.0.3").await, None);
    bench.agrees().await;
}

pub(crate) async fn what_is_asked_aside_has_no_part_in_a_claim(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    let mut look = bench.look(&requester("two", "b"), &[]).await;
    let (wanted, who) = (fixed("10.0.0.2"), || Question::HolderOf(ip("10.0.0.2")));
    look.aside(async |look| look.answer(who()).await).await.unwrap();
    assert!(look.snapshot.holder_of(ip("10.0.0.2")).unwrap().is_some(), "it was told");
    assert!(look.may_be_claimed(&wanted), "the claim has to find out by itself");
    look.answer(who()).await.unwrap();
    assert!(!look.may_be_claimed(&wanted));
    bench.agrees().await;
}

pub(crate) async fn a_claim_is_all_or_nothing(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    bench.hold(&requester("one", "a"), &[dynamic("fd00::2")]).await;
    let two = requester("two", "b");
    assert_eq!(bench.contest(&two, &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await, Claimed::Lost);
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    let held = bench.hold(&two, &[dynamic("10.0.0.2"), dynamic("fd00::3")]).await;
    assert_eq!(addresses(&held), ["10.0.0.2", "fd00::3"]);
    bench.agrees().await;
}

pub(crate) async fn the_first_free_proposal_wins(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let look = bench.look(&requester("late", "late"), &[]).await;
    for last in 2..40 {
        bench.hold(&requester(&format!("c{last}"), ""), &[dynamic(&format!("10.0.0.{last}"))]).await;
    }
    // The look is old, yet its proposals are tried one after the other in one commit.
    let proposals: Vec<_> = (2..66).map(|last| vec![dynamic(&format!("10.0.0.{last}"))]).collect();
    let Claimed::Done(held) = bench.store.claim(look, &proposals, None, &[]).await.unwrap() else { panic!("lost") };
    assert_eq!(addresses(&held), ["10.0.0.40"]);
    bench.agrees().await;
}

pub(crate) async fn whoever_loses_looks_again_and_finds_the_winner(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", "a"), &[fixed("10.0.0.9")]).await;
    let two = requester("two", "b");
    assert_eq!(bench.claim(&two, &[fixed("10.0.0.9")]).await, Claimed::Lost);
    let look = bench.look(&two, &["10.0.0.9", "10.0.0.10"]).await;
    let holder = holder_in(&look, "10.0.0.9").unwrap();
    assert_eq!((holder.attachment.container.as_str(), holder.kind), ("one", Kind::Fixed));
    assert!(look.snapshot.holder_of(ip("10.0.0.9")).unwrap().is_some());
    assert_eq!(look.snapshot.holder_of(ip("10.0.0.10")), Ok(None));
    assert_eq!(bench.store.claim(look, &[vec![fixed("10.0.0.9")]], None, &[]).await.unwrap(), Claimed::Lost);
    bench.agrees().await;
}

pub(crate) async fn a_newer_attachment_replaces_the_older_one(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24", "fd00::/64"]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    let held = bench.hold(&old, &[dynamic("10.0.0.2"), dynamic("fd00::2")]).await;
    let look = bench.look(&new, &[]).await;
    assert_eq!(look.previous.as_ref(), Some(&held));
    bench.store.claim(look, &[vec![dynamic("10.0.0.2"), dynamic("fd00::2")]], None, &[]).await.unwrap();
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("new"));
    assert_eq!(bench.store.held_by(&old.attachment).await.unwrap(), None);
    assert_eq!(bench.store.attachments_on("node-1", MACHINE, "blue").await.unwrap(), [new.attachment]);
    bench.agrees().await;
}

pub(crate) async fn a_newer_attachment_may_take_another_address_and_the_older_one_is_released(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let old = Requester { node: "node-0".into(), ..requester("old", "a") };
    let new = requester("new", "a");
    bench.hold(&old, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")]).await;
    bench.hold(&new, &[dynamic("10.0.0.3"), dynamic("10.0.0.7")]).await;
    assert_eq!(bench.holder_of("10.0.0.2").await, None);
    assert_eq!(bench.holder_of("10.0.0.3").await.as_deref(), Some("new"));
    assert_eq!(bench.store.attachments_on("node-0", MACHINE, "blue").await.unwrap(), []);
    bench.agrees().await;
}

pub(crate) async fn another_pod_of_the_same_name_takes_nothing_over(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let before = Requester { pod: Some(pod("web-0", "uid-1")), ..requester("before", "") };
    let after = Requester { pod: Some(pod("web-0", "uid-2")), ..requester("after", "") };
    bench.hold(&before, &[fixed("10.0.0.2")]).await;
    assert_eq!(bench.look(&after, &[]).await.previous, None);
    assert_eq!(bench.contest(&after, &[fixed("10.0.0.2")]).await, Claimed::Lost);
    // An unknown uid is not another uid.
    let unknown = Requester { pod: Some(pod("web-0", "")), ..requester("unknown", "") };
    bench.hold(&unknown, &[fixed("10.0.0.2")]).await;
    bench.agrees().await;
}

pub(crate) async fn a_pod_that_is_known_to_be_the_successor_takes_over(map: Map) {
    const ONE: &str = "4f2b1c9e-0000-4000-8000-000000000001";
    const TWO: &str = "4f2b1c9e-0000-4000-8000-000000000002";
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let before = Requester { pod: Some(pod("web-0", ONE)), ..requester("before", "") };
    let after = Requester { pod: Some(pod("web-0", TWO)), ..requester("after", "") };
    let held = bench.hold(&before, &[dynamic("10.0.0.2"), dynamic("10.0.0.3")]).await;
    let mut look = bench.look(&after, &[]).await;
    look.succeed().await.unwrap();
    assert_eq!(look.previous, Some(held));
    let claimed = bench.store.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("after"));
    assert_eq!(bench.holder_of("10.0.0.3").await, None);
    assert_eq!(bench.release(&before).await, None);
    // A static pod is known by a hash, and may be there without being in the API.
    let fixed_by_file =
        Requester { pod: Some(pod("dns", "d41d8cd98f00b204e9800998ecf8427e")), ..requester("static", "") };
    bench.hold(&fixed_by_file, &[dynamic("10.0.0.9")]).await;
    let namesake = Requester { pod: Some(pod("dns", TWO)), ..requester("namesake", "") };
    let mut look = bench.look(&namesake, &[]).await;
    look.succeed().await.unwrap();
    assert_eq!(look.previous, None);
    bench.agrees().await;
}

pub(crate) async fn a_fixed_address_is_taken_from_an_older_container_of_the_same_pod(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    // The older container had it on another interface, so the pod's index does not lead there.
    let mut old = requester("old", "a");
    old.attachment.interface = "net1".into();
    bench.hold(&old, &[fixed("10.0.0.2"), dynamic("10.0.0.3")]).await;
    let new = requester("new", "a");
    assert_eq!(bench.contest(&new, &[dynamic("10.0.0.2")]).await, Claimed::Lost);
    assert!(matches!(bench.contest(&new, &[fixed("10.0.0.2")]).await, Claimed::Done(_)));
    let rest = bench.store.held_by(&old.attachment).await.unwrap().unwrap();
    assert_eq!(addresses(&rest), ["10.0.0.3"]);
    assert_eq!(addresses(&bench.release(&old).await.unwrap()), ["10.0.0.3"]);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("new"));
    bench.agrees().await;
}

pub(crate) async fn a_live_interface_of_the_same_container_keeps_its_address(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let eth0 = requester("one", "a");
    let mut net1 = requester("one", "a");
    net1.attachment.interface = "net1".into();
    bench.hold(&eth0, &[fixed("10.0.0.2")]).await;
    assert_eq!(bench.contest(&net1, &[fixed("10.0.0.2")]).await, Claimed::Lost);
    bench.agrees().await;
}

pub(crate) async fn a_forfeited_address_is_taken_and_the_rest_stays(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (gone, new) = (requester("gone", "b"), requester("new", "a"));
    for (proposal, rest) in [(vec![fixed("10.0.0.2"), fixed("10.0.0.3")], 1), (vec![fixed("10.0.0.2")], 0)] {
        bench.hold(&gone, &proposal).await;
        let look = bench.look(&new, &["10.0.0.2"]).await;
        let handed_over = [gone_from(holder_in(&look, "10.0.0.2").unwrap())];
        let claimed = bench.store.claim(look, &[vec![fixed("10.0.0.2")]], None, &handed_over).await.unwrap();
        assert!(matches!(claimed, Claimed::Done(_)));
        assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("new"));
        let left = bench.store.held_by(&gone.attachment).await.unwrap();
        assert_eq!(left.map_or(0, |claim| claim.addresses.len()), rest);
        bench.agrees().await;
        bench.release(&new).await;
        bench.release(&gone).await;
    }
    bench.agrees().await;
}

pub(crate) async fn a_forfeit_that_was_decided_on_an_older_record_is_void(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (gone, new) = (requester("gone", "b"), requester("new", "a"));
    bench.hold(&gone, &[fixed("10.0.0.2")]).await;
    let handed_over = [gone_from(holder_in(&bench.look(&new, &["10.0.0.2"]).await, "10.0.0.2").unwrap())];
    // The same attachment let go and claimed again: it lives.
    bench.release(&gone).await;
    bench.hold(&gone, &[fixed("10.0.0.2")]).await;
    let look = bench.look(&new, &["10.0.0.2"]).await;
    let proposals = [vec![fixed("10.0.0.2")]];
    assert_eq!(bench.store.claim(look, &proposals, None, &handed_over).await.unwrap(), Claimed::Lost);
    bench.agrees().await;
}

pub(crate) async fn a_take_over_loses_when_the_older_attachment_was_released_meanwhile(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let (old, new) = (requester("old", "a"), requester("new", "a"));
    bench.hold(&old, &[dynamic("10.0.0.2")]).await;
    let look = bench.look(&new, &[]).await;
    bench.release(&old).await;
    bench.hold(&requester("third", "c"), &[dynamic("10.0.0.2")]).await;
    let proposals = [vec![dynamic("10.0.0.2")]];
    assert_eq!(bench.store.claim(look, &proposals, None, &[]).await.unwrap(), Claimed::Lost);
    assert_eq!(bench.holder_of("10.0.0.2").await.as_deref(), Some("third"));
    bench.agrees().await;
}

/// The holder's pod was found to be gone.
fn gone_from(held: &Allocation) -> HandOver {
    HandOver { held: held.clone(), former: None }
}
