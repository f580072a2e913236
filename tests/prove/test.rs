//! The part of the search that `make test` has time for, and that the mutants are still where they were put.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use prove::explore::{Limits, exhaust, on_a_loop, wander};
use prove::{clock, mutants, scenarios};

fn search(name: &str) {
    assert!(clock::is_ours());
    let time = Duration::from_secs(10);
    let (ordered, random) = on_a_loop(async || {
        let scenario = scenarios::named(name).unwrap();
        // Every order of calls that run one after the other, and the first of those with one fault or switch.
        let ordered = exhaust(&scenario, Limits { cost: 1, schedules: 1_000, time }).await;
        (ordered, wander(&scenario, 1, time, 500).await)
    });
    assert!(ordered.broken.is_none(), "{:#?}", ordered.broken);
    assert!(random.broken.is_none(), "{:#?}", random.broken);
    assert!(ordered.whole.is_some(), "{ordered:?}");
}

#[test]
fn churn_keeps_every_promise() {
    search("churn");
}

#[test]
fn restarts_keep_every_promise() {
    search("restart");
}

#[test]
fn a_rolling_update_keeps_every_promise() {
    search("rollout");
}

#[test]
fn a_fixed_address_keeps_every_promise() {
    search("fixed");
}

#[test]
fn two_clusters_keep_every_promise() {
    search("clusters");
}

#[test]
fn a_quota_keeps_every_promise() {
    search("quota");
}

#[test]
fn a_sticky_address_keeps_every_promise() {
    search("sticky");
}

#[test]
fn former_books_keep_every_promise() {
    search("books");
}

#[test]
fn two_configurations_keep_every_promise() {
    search("birth");
}

#[test]
fn a_crowd_at_random_keeps_every_promise() {
    let searched =
        on_a_loop(async || wander(&scenarios::named("crowd").unwrap(), 1, Duration::from_secs(10), 300).await);
    assert!(searched.broken.is_none(), "{:#?}", searched.broken);
}

#[test]
fn every_mutant_has_its_place() {
    let all = mutants::all().unwrap();
    assert!(all.len() >= 25, "{} mutants", all.len());
    for mutant in all {
        mutants::places(&mutant).unwrap();
    }
}
