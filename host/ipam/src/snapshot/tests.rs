//! What a snapshot answers from what it was taught, and what it asks for.

use super::*;
use crate::RangeSpec;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn snapshot() -> Snapshot {
    let spec = RangeSpec::of_subnet("10.0.0.0/29".parse().unwrap());
    let sets = RangeSets::new(vec![vec![spec]], &[]).unwrap();
    Snapshot::new(sets, vec![None])
}

#[test]
fn an_unread_span_is_asked_for_from_where_knowledge_ends() {
    let mut snapshot = snapshot();
    assert_eq!(
        snapshot.next_free(0, None),
        Err(Question::FirstFree(Span::new(ip("10.0.0.2"), ip("10.0.0.6")).unwrap()))
    );
    snapshot.learn_span(Span::new(ip("10.0.0.2"), ip("10.0.0.3")).unwrap(), [ip("10.0.0.2"), ip("10.0.0.3")]);
    assert_eq!(
        snapshot.next_free(0, None),
        Err(Question::FirstFree(Span::new(ip("10.0.0.4"), ip("10.0.0.6")).unwrap()))
    );
}

#[test]
fn what_is_kept_of_the_families_is_counted_from_the_start() {
    let spec = |subnet: &str| vec![RangeSpec::of_subnet(subnet.parse().unwrap())];
    let sets = RangeSets::new(vec![spec("10.0.0.0/29"), spec("fd00::/64")], &[]).unwrap();
    let mut snapshot = Snapshot::new(sets, vec![Some(ip("10.0.0.3")), Some(ip("fd00::7"))]);
    snapshot.keep_families(&[Family::V6]);
    assert_eq!(snapshot.range_sets().len(), 1);
    assert_eq!(snapshot.last_claimed(0), Some(ip("fd00::7")));
    assert_eq!(snapshot.next_free(1, None), Ok(None));
}

#[test]
fn a_full_span_is_stepped_over_as_a_whole() {
    let mut snapshot = snapshot();
    snapshot.learn_full(Span::new(ip("10.0.0.2"), ip("10.0.0.4")).unwrap());
    snapshot.learn_span(Span::single(ip("10.0.0.5")), []);
    assert_eq!(snapshot.next_free(0, None), Ok(Some(ip("10.0.0.5"))));
    assert_eq!(snapshot.holder_of(ip("10.0.0.3")), Err(Question::HolderOf(ip("10.0.0.3"))));
}

#[test]
fn what_was_read_in_pieces_is_read() {
    let mut snapshot = snapshot();
    let span = |text: &str| text.parse::<Span>().unwrap();
    assert_eq!(snapshot.unread_rest(span("10.0.0.2-10.0.0.6")), Some(span("10.0.0.2-10.0.0.6")));
    snapshot.learn_span(span("10.0.0.4-10.0.0.5"), []);
    snapshot.learn_full(span("10.0.0.1-10.0.0.3"));
    assert_eq!(snapshot.unread_rest(span("10.0.0.2-10.0.0.6")), Some(span("10.0.0.6")));
    assert_eq!(snapshot.unread_rest(span("10.0.0.2-10.0.0.5")), None);
    assert_eq!(snapshot.unread_rest(span("255.255.255.255")), Some(span("255.255.255.255")));
}

#[test]
fn the_search_does_not_wrap_around() {
    let mut snapshot = snapshot();
    snapshot.learn_span("10.0.0.0/29".parse().unwrap(), [ip("10.0.0.5"), ip("10.0.0.6")]);
    assert_eq!(snapshot.next_free(0, Some(ip("10.0.0.4"))), Ok(None));
    assert_eq!(snapshot.next_free(0, None), Ok(Some(ip("10.0.0.2"))));
}

#[test]
fn a_span_outside_the_subnets_offers_nothing() {
    let span = Span::new(ip("192.168.0.1"), ip("192.168.0.9")).unwrap();
    assert_eq!(snapshot().next_free_within(span), Ok(None));
}

#[test]
fn an_address_known_to_be_free_needs_no_further_read() {
    let mut snapshot = snapshot();
    snapshot.learn_span("10.0.0.0/29".parse().unwrap(), [ip("10.0.0.5")]);
    assert_eq!(snapshot.holder_of(ip("10.0.0.4")), Ok(None));
    assert_eq!(snapshot.holder_of(ip("10.0.0.5")), Err(Question::HolderOf(ip("10.0.0.5"))));
}
