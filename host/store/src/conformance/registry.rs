//! Where a network has its books: registered with its claims, and refused elsewhere as long as they are there.

use super::bench::{Bench, dynamic, range_sets, requester, span};
use crate::map::Map;
use crate::{Claimed, Registration, Requester, Search, Store, StoreError};
use ipam::{Assignment, Claim, RangeSets};

/// A bench whose claims are registered, as of a network without a domain that somebody chose.
fn registering(map: Map, subnets: &[&str]) -> Bench {
    let bench = Bench::new(map, subnets);
    Bench { store: bench.store.with_registry(false), ..bench }
}

pub(crate) async fn a_claim_registers_its_network_once(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    assert_eq!(bench.store.registry().await.unwrap(), []);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    let subnets = vec![span("10.0.0.0", "10.0.0.255")];
    let expected = Registration {
        format: 2,
        domain: "blue".into(),
        explicit: false,
        former: None,
        renamed_to: None,
        subnets: subnets.clone(),
    };
    assert_eq!(bench.store.registration("blue").await.unwrap(), Some(expected.clone()));

    // Further subnets and a choice are added, nothing is taken away.
    let bench = Bench { store: bench.store.with_registry(true), sets: range_sets(&["10.0.1.0/24"]), ..bench };
    bench.hold(&requester("two", "b"), &[dynamic("10.0.1.2")]).await;
    let bench = Bench { store: bench.store.with_registry(false), ..bench };
    bench.hold(&requester("three", "c"), &[dynamic("10.0.1.3")]).await;
    let registry = bench.store.registry().await.unwrap();
    assert_eq!((registry.len(), registry[0].network.as_str()), (1, "blue"));
    let registration = &registry[0].registration;
    assert!(registration.explicit && registration.subnets.len() == 2, "{registration:?}");
    bench.agrees().await;
}

pub(crate) async fn a_look_reads_the_registration_along(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    bench.reads();
    drop(bench.look(&requester("two", "b"), &[]).await);
    let without = bench.reads();
    let bench = Bench { store: bench.store.with_registry(false), ..bench };
    bench.hold(&requester("two", "b"), &[dynamic("10.0.0.3")]).await;
    bench.reads();
    let look = bench.look(&requester("three", "c"), &[]).await;
    bench.store.refuse_moved(&look).await.unwrap();
    assert_eq!(bench.reads(), without, "no further read for a network that is registered as it is");
}

pub(crate) async fn the_first_claims_of_a_network_do_not_lose_to_each_other(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    let [one, two] = ["one", "two"].map(|container| requester(container, ""));
    let (first, second) = (bench.look(&one, &[]).await, bench.look(&two, &[]).await);
    for (look, address) in [(first, "10.0.0.2"), (second, "10.0.0.3")] {
        let claimed = bench.store.claim(look, &[vec![dynamic(address)]], None, &[]).await.unwrap();
        assert!(matches!(claimed, Claimed::Done(_)), "{address}");
    }
    bench.agrees().await;
}

/// Two nodes of a new network, of which one has another domain configured.
pub(crate) async fn of_the_first_claims_in_two_domains_one_loses(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    let other = bench.store.beside("red").with_registry(true);
    let first = bench.look(&requester("one", ""), &[]).await;
    let second = other.look_up(&requester("two", ""), &bench.sets, &[], bench.tick()).await.unwrap();
    let claimed = bench.store.claim(first, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    let claimed = other.claim(second, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert_eq!(claimed, Claimed::Lost, "both would have the address");
    let look = other.look_up(&requester("two", ""), &bench.sets, &[], bench.tick()).await.unwrap();
    assert!(other.refuse_moved(&look).await.is_err());
}

pub(crate) async fn a_claim_loses_where_its_network_was_registered_elsewhere_meanwhile(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", ""), &[dynamic("10.0.0.2")]).await;
    bench.release(&requester("one", "")).await;
    let look = bench.look(&requester("two", ""), &[]).await;
    let other = bench.store.beside("red").with_registry(true);
    claim_in(&bench, &other, &requester("three", ""), &[dynamic("10.0.0.2")]).await.unwrap();
    let claimed = bench.store.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert_eq!(claimed, Claimed::Lost, "both would have the address");
    let look = bench.look(&requester("two", ""), &[]).await;
    let error = bench.store.refuse_moved(&look).await.unwrap_err();
    assert!(error.to_string().contains("\"red\"") && error.to_string().contains("three"), "{error}");
}

/// A claim that does not know of the change lands in the former domain just after that was found empty.
pub(crate) async fn what_lands_in_the_former_domain_during_a_change_is_not_forgotten(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", ""), &[dynamic("10.0.0.2")]).await;
    bench.release(&requester("one", "")).await;
    let late = bench.look(&requester("late", ""), &[]).await;
    let other = bench.store.beside("red").with_registry(true);
    let look = other.look_up(&requester("two", ""), &bench.sets, &[], bench.tick()).await.unwrap();
    other.refuse_moved(&look).await.unwrap();
    let claimed = bench.store.claim(late, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    let claimed = other.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap();
    assert_eq!(claimed, Claimed::Lost, "both would have the address");
    // From now on it is known, and asked about until it is gone.
    let refused = claim_in(&bench, &other, &requester("three", ""), &[dynamic("10.0.0.3")]).await;
    assert!(refused.unwrap_err().to_string().contains("late"));
    bench.release(&requester("late", "")).await.unwrap();
    claim_in(&bench, &other, &requester("three", ""), &[dynamic("10.0.0.3")]).await.unwrap();
    let registration = other.registration("blue").await.unwrap().unwrap();
    assert_eq!((registration.domain.as_str(), registration.former), ("red", None));
}

pub(crate) async fn another_domain_is_refused_while_the_former_one_holds_addresses(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", ""), &[dynamic("10.0.0.2")]).await;
    let other = bench.store.beside("shared").with_registry(true);
    let refused = claim_in(&bench, &other, &requester("two", ""), &[dynamic("10.0.0.2")]).await.unwrap_err();
    let text = format!("{refused} {}", refused.hint().unwrap());
    for part in ["\"blue\"", "\"shared\"", "container one", "kube-ipam import --from kube-ipam --domain blue"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.len() < 700, "{text}");
    assert!(other.check_registration("blue", &bench.sets, Search::Whole).await.is_err());
    assert!(other.held_by(&requester("two", "").attachment).await.unwrap().is_none());
    // Containers of other networks in the former domain are no reason.
    let mut neighbour = requester("one", "");
    neighbour.attachment.network = "green".into();
    claim_in(&bench, &bench.store.beside("blue"), &neighbour, &[dynamic("10.0.0.3")]).await.unwrap();
    bench.release(&requester("one", "")).await;
    claim_in(&bench, &other, &requester("two", ""), &[dynamic("10.0.0.2")]).await.unwrap();
    assert_eq!(bench.store.registration("blue").await.unwrap().unwrap().domain, "shared");
    assert!(
        bench.store.check_registration("blue", &bench.sets, Search::Whole).await.is_err(),
        "and back is refused likewise"
    );
}

pub(crate) async fn a_new_name_is_refused_while_another_network_holds_addresses_of_its_subnets(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    bench.hold(&requester("one", ""), &[dynamic("10.0.0.9")]).await;
    let green = bench.store.beside("green").with_registry(false);
    let check = async |store: &Store, subnet: &str| {
        store.check_registration("green", &range_sets(&[subnet]), Search::Whole).await
    };
    let refused = check(&green, "10.0.0.0/16").await.unwrap_err();
    let text = format!("{refused} {}", refused.hint().unwrap());
    for part in ["\"green\"", "\"blue\"", "10.0.0.9", "--former-network blue --network green", "ipam.domain"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.len() < 700, "{text}");
    check(&green, "10.0.0.16/28").await.unwrap();
    check(&green, "10.0.1.0/24").await.unwrap();
    let chosen = bench.store.beside("green").with_registry(true);
    check(&chosen, "10.0.0.0/16").await.unwrap();

    // Both are there, and were before one of them got more.
    let mut neighbour = requester("two", "");
    neighbour.attachment.network = "green".into();
    let look = green.look_up(&neighbour, &range_sets(&["10.0.1.0/24"]), &[], bench.tick()).await.unwrap();
    let claimed = green.claim(look, &[vec![dynamic("10.0.1.2")]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)));
    check(&green, "10.0.1.0/24").await.unwrap();
    assert!(check(&green, "10.0.0.0/23").await.is_err());
    bench.release(&requester("one", "")).await;
    check(&green, "10.0.0.0/23").await.unwrap();
}

pub(crate) async fn domains_are_found_by_their_keys(map: Map) {
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let names = ["a", "a-b", "a/b", "b", "v1"];
    for (nth, domain) in names.iter().enumerate() {
        let store = bench.store.beside(domain);
        let claimed = claim_in(&bench, &store, &requester(&format!("c{nth}"), ""), &[dynamic("10.0.0.2")]).await;
        assert_eq!(store.any_of("blue").await.unwrap(), Some(claimed.unwrap().attachment));
        assert_eq!(store.any_of("green").await.unwrap(), None);
    }
    let mut domains = bench.store.domains().await.unwrap();
    domains.sort();
    assert_eq!(domains, names);

    // Keys that are none of ours hide no domain that lies behind them.
    let all = bench.store.keys.all_domains().from;
    for key in ["%zz/x", "a%zz/x", "a-a", "a0", "b%zz/x", "b%zz/y"] {
        bench.scribble(&format!("{all}{key}"), b"?").await;
    }
    assert_eq!(bench.store.domains().await.unwrap(), names);
}

/// Of an earlier program, whose registrations do not say, and of a later one, of which nothing else can be read.
pub(crate) async fn a_store_of_another_format_is_left_alone(map: Map) {
    let bench = registering(map, &["10.0.0.0/24"]);
    let key = bench.store.keys.registration("blue");
    let earlier = r#"{"domain":"blue","explicit":false,"subnets":["10.0.0.0-10.0.0.255"]}"#;
    for (written, found, hint) in [(earlier, 1, "When the store is lost"), (r#"{"format":3,"books":[]}"#, 3, "newer")] {
        bench.scribble(&key, written.as_bytes()).await;
        let one = requester("one", "a");
        let error = claim_in(&bench, &bench.store, &one, &[dynamic("10.0.0.2")]).await.unwrap_err();
        let text = format!("{error}: {}", error.hint().unwrap());
        for part in ["\"blue\"", &format!("format {found}"), "knows format 2", hint] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let answer = bench.store.check_registration("blue", &bench.sets, Search::Whole).await;
        assert!(matches!(answer, Err(StoreError::Format { .. })), "{answer:?}");
        assert!(bench.store.register("blue", &bench.sets).await.is_err());
        assert!(bench.store.deregister("blue").await.is_err());
        assert!(bench.store.registry().await.is_err());
        assert!(bench.store.domains().await.is_err() && bench.store.is_deserted().await.is_err());
        // A network of its own that is new there may share the domain, and so the addresses.
        let other = bench.store.beside("blue").with_registry(true);
        let mut neighbour = requester("two", "b");
        neighbour.attachment.network = "green".into();
        let answer = claim_in(&bench, &other, &neighbour, &[dynamic("10.0.0.2")]).await;
        assert!(matches!(answer, Err(StoreError::Format { .. })), "{answer:?}");
        assert_eq!((bench.keys_at_rest().await, bench.store.held_by(&one.attachment).await.unwrap()), (0, None));
    }
    // A network beside it goes on: what its pods do not hold any more is not searched for in there.
    let green = bench.store.beside("green").with_registry(true);
    let word = r#"{"format":2,"domain":"green","explicit":true,"subnets":[]}"#;
    bench.scribble(&bench.store.keys.registration("green"), word.as_bytes()).await;
    assert_eq!(green.former_books("green").await.unwrap(), []);
    bench.delete(&bench.store.keys.registration("green")).await;
    // What cannot be read at all is written again by the next claim, as ever.
    bench.scribble(&key, b"?").await;
    bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
    assert_eq!(bench.store.registration("blue").await.unwrap().unwrap().format, 2);
    bench.agrees().await;
}

/// Claim in another store of the bench's map, as the ADD of a network with the bench's ranges.
pub(super) async fn claim_in(
    bench: &Bench,
    store: &Store,
    requester: &Requester,
    proposal: &[Assignment],
) -> Result<Claim, StoreError> {
    let sets: &RangeSets = &bench.sets;
    // The first claim in another domain loses once: to itself.
    for _ in 0..2 {
        let look = store.look_up(requester, sets, &[], bench.tick()).await?;
        store.refuse_moved(&look).await?;
        if let Claimed::Done(claim) = store.claim(look, &[proposal.to_vec()], None, &[]).await? {
            return Ok(claim);
        }
    }
    panic!("{} lost", requester.attachment)
}
