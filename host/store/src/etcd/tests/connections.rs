//! Round trips, members that are gone or frozen, answers that get lost, and a crowd. Round trips are counted on servers of
//! their own: where others write meanwhile, a view may have to ask again.

use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::conformance::{MACHINE, span};
use crate::{AllocationFilter, Requester, Search};
use limits::store::ETCD_ANSWER;

#[test]
fn a_claim_costs_two_round_trips_and_a_release_two() {
    let server = Server::start(&[]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let bench = Bench::new(etcd.clone(), &["10.0.0.0/24", "fd00::/120"]);
        let trips = || etcd.round_trips();
        let one = requester("one", "a");
        bench.hold_next(&one, None).await.unwrap();
        assert_eq!(trips(), 2);
        bench.store.held_by(&one.attachment).await.unwrap().unwrap();
        assert_eq!(trips(), 3);
        let look = bench.look(&one, &[]).await;
        assert_eq!(trips(), 4);
        let again = bench.store.claim(look, &[], None, &[]).await.unwrap();
        assert!(matches!(again, Claimed::Done(_)) && trips() == 4, "a repeated claim is a read");
        bench.release(&one).await.unwrap();
        assert_eq!(trips(), 6);
        assert_eq!(bench.release(&one).await, None);
        assert_eq!(trips(), 8, "what is not there is confirmed");
    });
}

#[test]
fn a_claim_far_from_the_beginning_of_a_large_range_costs_one_read_more() {
    let server = Server::start(&[]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let bench = Bench::new(etcd.clone(), &["10.0.0.0/16"]);
        bench.fill(span("10.0.0.2", "10.0.3.232")).await;
        let last = dynamic("10.0.3.233");
        bench.hold(&requester("last", ""), std::slice::from_ref(&last)).await;
        let before = etcd.round_trips();
        let claim = bench.hold_next(&requester("one", "a"), Some(last.address)).await.unwrap();
        assert_eq!(claim.addresses[0].address, dynamic("10.0.3.234").address);
        assert_eq!(etcd.round_trips() - before, 3);
    });
}

#[test]
fn a_node_that_notes_where_cursors_are_makes_no_read_more() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let mut bench = Bench::new(etcd.clone(), &["10.0.0.0/16", "fd00::/64"]);
        bench.store = bench.store.with_registry(false).noting_in(Some(directory.path().to_owned()));
        bench.fill(span("10.0.0.2", "10.0.3.232")).await;
        bench.hold(&requester("last", ""), &[dynamic("10.0.3.233"), dynamic("fd00::7:0")]).await;
        // Of the first ADD the node learns where they are; STATUS would do as well.
        for (container, trips) in [("one", 3), ("two", 2), ("three", 2)] {
            let before = etcd.round_trips();
            let one = requester(container, container);
            let mut look = bench.look(&one, &[]).await;
            let mut proposal = Vec::new();
            for set in 0..2 {
                let after = look.snapshot.last_claimed(set);
                let free = bench.next_free(&mut look, set, after).await.unwrap();
                proposal.push(dynamic(&free.to_string()));
            }
            let claimed = bench.store.claim(look, &[proposal], None, &[]).await.unwrap();
            assert!(matches!(claimed, Claimed::Done(_)));
            assert_eq!(etcd.round_trips() - before, trips, "{container}");
        }
        bench.agrees().await;
    });
}

#[test]
fn the_garbage_of_a_node_costs_one_read_and_two_round_trips_each() {
    let server = Server::start(&[]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let bench = Bench::new(etcd.clone(), &["10.0.0.0/24"]);
        bench.fill(span("10.0.0.100", "10.0.0.200")).await;
        for nth in 2..5 {
            let elsewhere = Requester { node: "node-9".into(), ..requester(&format!("c{nth}"), "") };
            bench.hold(&elsewhere, &[dynamic(&format!("10.0.0.{nth}"))]).await;
        }
        let before = etcd.round_trips();
        let garbage = bench.store.attachments_on("node-9", MACHINE, "blue").await.unwrap();
        for attachment in &garbage {
            bench.store.release(attachment, bench.tick()).await.unwrap();
        }
        assert_eq!((garbage.len(), etcd.round_trips() - before), (3, 1 + 3 * 2));
    });
}

#[test]
fn what_status_asks_does_not_grow_with_the_range_sets_or_with_what_is_held() {
    let server = Server::start(&[]);
    block_on(async {
        for subnets in [&["10.0.0.0/16"][..], &["10.0.0.0/16", "10.1.0.0/16", "fd00::/64"]] {
            let etcd = Etcd::new(at(&[&server.url()]), None);
            let mut bench = Bench::new(etcd.clone(), subnets);
            bench.store = bench.store.with_registry(false);
            bench.store.register("blue", &bench.sets).await.unwrap();
            for held in [span("10.0.0.2", "10.0.0.2"), span("10.0.1.0", "10.0.8.0")] {
                bench.fill(held).await;
                let before = etcd.round_trips();
                bench.store.ping().await.unwrap();
                let (sets, now) = (&bench.sets, bench.tick());
                let glance = Search::Glance { node: "node-1", machine: MACHINE, range_sets: sets, now };
                bench.store.check_registration("blue", &bench.sets, glance).await.unwrap();
                bench.store.has_predecessor_bookings("blue").await.unwrap();
                // Two of them are the ping: a read, and whether etcd is full.
                assert_eq!(etcd.round_trips() - before, 4, "{subnets:?}");
            }
        }
    });
}

#[test]
fn a_crowd_of_proposals_costs_two_round_trips() {
    let server = Server::start(&[]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let bench = Bench::new(etcd.clone(), &["10.0.0.0/24"]);
        let look = bench.look(&requester("late", "late"), &[]).await;
        bench.fill(span("10.0.0.2", "10.0.0.20")).await;
        let before = etcd.round_trips();
        let proposals: Vec<_> = (2..22).map(|last| vec![dynamic(&format!("10.0.0.{last}"))]).collect();
        let claimed = bench.store.claim(look, &proposals, None, &[]).await.unwrap();
        assert!(matches!(claimed, Claimed::Done(claim) if claim.addresses[0] == dynamic("10.0.0.21")));
        assert_eq!(etcd.round_trips() - before, 2);
    });
}

#[test]
fn a_member_that_is_gone_is_passed_over() {
    let gone = format!("http://127.0.0.1:{}", free_port());
    let live = Server::shared().url();
    for endpoints in [[gone.as_str(), &live], [&live, gone.as_str()]] {
        block_on(async {
            let bench = Bench::new(Etcd::new(at(&endpoints), None), &["10.0.0.0/24"]);
            bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
            bench.agrees().await;
        });
    }
    let error = block_on(Store::new(Etcd::new(at(&[&gone]), None), "", "blue").ping()).unwrap_err();
    assert!(matches!(&error, StoreError::Unreachable { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains(&gone) && told.contains("Connection refused"), "{told}");
    assert!(error.is_transient() && error.hint().unwrap().contains("etcdURL"));
}

#[test]
fn a_frozen_member_costs_a_few_seconds_and_the_deadline_holds() {
    let frozen = Server::start(&[]);
    frozen.signal("STOP");
    let live = Server::shared().url();
    block_on(async {
        // Whoever's turn it is: at most one wait.
        let start = Instant::now();
        let bench = Bench::new(Etcd::new(at(&[&frozen.url(), &live]), None), &["10.0.0.0/24"]);
        bench.hold(&requester("one", "a"), &[dynamic("10.0.0.2")]).await;
        assert!(start.elapsed() < 3 * ETCD_ANSWER);

        let start = Instant::now();
        let deadline = Some(start + Duration::from_secs(1));
        let store = Store::new(Etcd::new(at(&[&frozen.url()]), deadline), "", "blue");
        let error = store.held_by(&requester("one", "a").attachment).await.unwrap_err();
        assert!(error.to_string().contains("no answer within"), "{error}");
        assert!(start.elapsed() < ETCD_ANSWER, "the deadline does not cut an answer short");
        let error = store.held_by(&requester("one", "a").attachment).await.unwrap_err();
        assert!(matches!(error, StoreError::TooLate), "{error}");
    });
    frozen.signal("KILL");
}

#[test]
fn an_answer_that_got_lost_is_read_back() {
    let proxy = Proxy::to(&Server::shared().url());
    for lose in [Proxy::lose_next_answer, Proxy::lose_next_request] {
        block_on(async {
            let bench = Bench::new(Etcd::new(at(&[&proxy.url()]), None), &["10.0.0.0/24"]);
            let one = requester("one", "a");
            let look = bench.look(&one, &[]).await;
            lose(&proxy);
            let proposals = [vec![dynamic("10.0.0.2")], vec![dynamic("10.0.0.3")]];
            let claimed = bench.store.claim(look, &proposals, None, &[]).await.unwrap();
            assert!(matches!(claimed, Claimed::Done(claim) if claim.addresses[0] == dynamic("10.0.0.2")));
            assert_eq!(bench.holder_of("10.0.0.3").await, None);
            lose(&proxy);
            assert!(bench.release(&one).await.is_some());
            assert_eq!(bench.holder_of("10.0.0.2").await, None);
            bench.agrees().await;
        });
    }
}

#[test]
fn an_outcome_nobody_can_tell_is_told_as_such() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(&server.url());
    block_on(async {
        let bench = Bench::new(Etcd::new(at(&[&proxy.url()]), None), &["10.0.0.0/24"]);
        let look = bench.look(&requester("one", "a"), &[]).await;
        proxy.lose_next_request();
        server.signal("KILL");
        let error = bench.store.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap_err();
        assert!(matches!(&error, StoreError::OutcomeUnknown { .. }), "{error}");
    });
}

#[test]
fn a_commit_that_the_deadline_cut_off_is_not_told_as_undone() {
    let server = Server::start(&[]);
    block_on(async {
        let deadline = Some(Instant::now() + Duration::from_secs(2));
        let bench = Bench::new(Etcd::new(at(&[&server.url()]), deadline), &["10.0.0.0/24"]);
        let look = bench.look(&requester("one", "a"), &[]).await;
        server.signal("STOP");
        let error = bench.store.claim(look, &[vec![dynamic("10.0.0.2")]], None, &[]).await.unwrap_err();
        assert!(matches!(&error, StoreError::OutcomeUnknown { .. }), "{error}");
    });
}

#[test]
fn a_compacted_moment_is_told_as_such() {
    block_on(async {
        let server = Server::start(&[]);
        let bench = Bench::new(Etcd::new(at(&[&server.url()]), None), &["10.0.0.0/16"]);
        let one = requester("one", "a");
        let mut look = bench.look(&one, &[]).await;
        for round in 0..3 {
            bench.hold(&requester(&format!("c{round}"), ""), &[dynamic(&format!("10.0.9.{round}"))]).await;
        }
        compact(&server.url()).await;
        let error = look.answer(ipam::Question::Usage(0)).await.unwrap_err();
        assert!(matches!(error, StoreError::Compacted), "{error}");
        assert!(error.is_transient());
    });
}

#[test]
fn a_crowd_at_once_gets_every_address_once() {
    let url = Server::shared().url();
    let prefix = format!("/crowd-{}", std::process::id());
    let claims = thread::scope(|scope| {
        let claim = |nth: usize| {
            let bench = Bench::with_prefix(Etcd::new(at(&[&url]), None), &["10.0.0.0/26"], prefix.clone());
            let who = requester(&format!("c{nth}"), &format!("pod-{nth}"));
            block_on(async {
                let mut lost = Vec::new();
                loop {
                    let mut look = bench.store.look_up(&who, &bench.sets, &lost, bench.tick()).await.unwrap();
                    // Eight proposals, as the default policy would make them.
                    let mut proposals = Vec::new();
                    let mut after = None;
                    while let Some(free) = bench.next_free(&mut look, 0, after).await.filter(|_| proposals.len() < 8) {
                        proposals.push(vec![dynamic(&free.to_string())]);
                        after = Some(free);
                    }
                    if proposals.is_empty() {
                        return false;
                    }
                    lost = proposals.iter().map(|proposal| proposal[0].address).collect();
                    if let Claimed::Done(_) = bench.store.claim(look, &proposals, None, &[]).await.unwrap() {
                        return true;
                    }
                }
            })
        };
        let threads: Vec<_> = (0..96).map(|nth| scope.spawn(move || claim(nth))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|claimed| *claimed).count()
    });
    assert_eq!(claims, 61);
    block_on(async {
        let store = Store::new(Etcd::new(at(&[&url]), None), &prefix, "blue");
        let listing = store.allocations(&AllocationFilter::default()).all().await.unwrap();
        assert_eq!(listing.held.len(), 61);
        assert_eq!(store.inspect().await.unwrap(), []);
    });
}
