//! The rules of the policy, as cases in JSON, and what a single situation cannot show.

use std::net::IpAddr;

use kube_ipam_policy::address::Span;
use kube_ipam_policy::testing::{self, PoolDouble, addresses, check_cases};
use kube_ipam_policy::{AttachmentHolder, Holder, Policy, Pool, Request, Usage};
use sticky::{Settings, Sticky};

#[test]
fn who_is_sticky() {
    check_cases::<Sticky>(include_str!("who.json"));
}

#[test]
fn what_is_kept() {
    check_cases::<Sticky>(include_str!("kept.json"));
}

#[test]
fn ordinals() {
    check_cases::<Sticky>(include_str!("ordinals.json"));
}

/// What the policy asks to be kept is what it asks for when the pod is back.
#[test]
fn a_pod_finds_its_addresses_again() {
    let request = testing::request(&["10.0.0.0/24", "fd00::/64"]).annotated("kube-ipam.sticky", "true");
    let first = Sticky::allocate(&request, &Settings::default(), &PoolDouble::of(&request.range_sets)).unwrap();
    let released = first[1].iter().fold(PoolDouble::of(&request.range_sets), |pool, assignment| {
        let identity = assignment.hold.as_ref().unwrap().identity.clone();
        pool.held_by(&assignment.address.to_string(), Holder::Hold(identity))
    });
    let again = Sticky::allocate(&request, &Settings::default(), &released).unwrap();
    assert_eq!(addresses(&again), ["10.0.0.3 + fd00::3"]);
}

/// A record and a hold for one address do not go together. Should they ever, the pod does not fail for it: the claim
/// is lost once, then the holder is seen.
#[test]
fn kept_but_held_by_another() {
    let request = testing::request(&["10.0.0.0/24"]).annotated("kube-ipam.sticky", "true");
    for (pod, attempt, expected) in
        [(Some("other"), 0, "10.0.0.77"), (Some("other"), 1, "10.0.0.73"), (None, 1, "10.0.0.73")]
    {
        let pod = pod.map(|name| ("default".to_owned(), name.to_owned()));
        let holder = Holder::Attachment(AttachmentHolder { pod, ..AttachmentHolder::default() });
        let pool = PoolDouble::of(&request.range_sets).held_by("10.0.0.77", holder);
        let request = Request { attempt, ..request.clone() };
        let proposals = Sticky::allocate(&request, &Settings::default(), &KeptAnyway(pool)).unwrap();
        assert_eq!(addresses(&proposals)[0], expected);
    }
}

/// A pool that keeps 10.0.0.77 for whoever asks, whoever holds it.
struct KeptAnyway(PoolDouble);

impl Pool for KeptAnyway {
    fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Option<IpAddr> {
        self.0.next_free(range_set, after)
    }

    fn next_free_within(&self, span: Span) -> Option<IpAddr> {
        self.0.next_free_within(span)
    }

    fn holder_of(&self, address: IpAddr) -> Option<Holder> {
        self.0.holder_of(address)
    }

    fn last_claimed(&self, range_set: usize) -> Option<IpAddr> {
        self.0.last_claimed(range_set)
    }

    fn usage(&self, range_set: usize) -> Usage {
        self.0.usage(range_set)
    }

    fn held_for(&self, _: &str) -> Vec<IpAddr> {
        vec![[10, 0, 0, 77].into()]
    }

    fn taken_slots(&self, name: &str) -> Vec<u32> {
        self.0.taken_slots(name)
    }
}
