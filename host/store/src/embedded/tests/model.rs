//! Random claims, releases and take-overs, against a model that is a map and a list.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;

use super::fresh;
use crate::conformance::{Bench, assignment, block_on, pod, requester};
use crate::{Claimed, Requester};
use ipam::{Assignment, Family, Kind, PodName};

/// What may be done. Numbers are small, so that everything meets everything.
#[derive(Clone, Debug)]
enum Step {
    Claim { container: u8, pod: u8, uid: u8, proposals: Vec<Vec<(u8, bool)>>, contested: bool },
    Release { container: u8 },
}

/// What an attachment holds, in the model.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    pod: PodName,
    addresses: Vec<Assignment>,
}

#[derive(Default)]
struct Model {
    held: BTreeMap<u8, Held>,
    /// By pod name: the newest container.
    newest: BTreeMap<u8, u8>,
}

impl Model {
    fn holder(&self, address: IpAddr) -> Option<u8> {
        let mut holders = self.held.iter().filter(|(_, held)| held.addresses.iter().any(|a| a.address == address));
        let holder = holders.next().map(|(container, _)| *container);
        assert!(holders.next().is_none());
        holder
    }

    fn claim(
        &mut self,
        container: u8,
        name: u8,
        pod: &PodName,
        proposals: &[Vec<Assignment>],
        contested: bool,
    ) -> bool {
        if self.held.contains_key(&container) {
            return true;
        }
        let is_mine = |other: &u8| self.held[other].pod.is_same_pod(pod);
        let previous = self.newest.get(&name).copied().filter(|newest| self.held.contains_key(newest)).filter(is_mine);
        let free = |wanted: &Assignment| match self.holder(wanted.address) {
            None => true,
            Some(other) => Some(other) == previous || (contested && wanted.kind == Kind::Fixed && is_mine(&other)),
        };
        let Some(won) = proposals.iter().find(|proposal| proposal.iter().all(free)) else { return false };
        self.held.retain(|other, held| {
            held.addresses.retain(|old| !won.iter().any(|new| new.address == old.address));
            Some(*other) != previous && !held.addresses.is_empty()
        });
        self.held.insert(container, Held { pod: pod.clone(), addresses: won.clone() });
        self.newest.insert(name, container);
        true
    }

    fn release(&mut self, container: u8) -> bool {
        // The index of a pod goes with the attachment it points at; a later one may reuse the container's ID.
        let held = self.held.remove(&container).is_some();
        if held {
            self.newest.retain(|_, newest| *newest != container);
        }
        held
    }
}

fn step() -> impl Strategy<Value = Step> {
    let wanted = (0_u8..12, any::<bool>());
    let proposal = proptest::collection::btree_map(wanted.0, wanted.1, 1..4).prop_map(|map| map.into_iter().collect());
    let proposals = proptest::collection::vec(proposal, 1..4);
    prop_oneof![
        3 => (0_u8..6, 0_u8..3, 0_u8..3, proposals, any::<bool>()).prop_map(
            |(container, pod, uid, proposals, contested)| Step::Claim { container, pod, uid, proposals, contested }
        ),
        1 => (0_u8..6).prop_map(|container| Step::Release { container }),
    ]
}

fn address(nth: u8) -> IpAddr {
    Family::V4.address(0x0a00_0002 + u128::from(nth))
}

fn who(container: u8, name: u8, uid: u8) -> Requester {
    let uid = if uid == 0 { String::new() } else { format!("uid-{uid}") };
    Requester { pod: Some(pod(&format!("pod-{name}"), &uid)), ..requester(&format!("c{container}"), "") }
}

async fn play(steps: Vec<Step>) {
    let (map, _alive) = fresh();
    let bench = Bench::new(map, &["10.0.0.0/24"]);
    let mut model = Model::default();
    for step in steps {
        match &step {
            Step::Claim { container, pod: name, uid, proposals, contested } => {
                let requester = who(*container, *name, *uid);
                let proposals: Vec<Vec<Assignment>> = proposals
                    .iter()
                    .map(|proposal| {
                        let kind = |fixed: bool| if fixed { Kind::Fixed } else { Kind::Dynamic };
                        proposal.iter().map(|(nth, fixed)| assignment(address(*nth), kind(*fixed))).collect()
                    })
                    .collect();
                let all: Vec<IpAddr> = if *contested { (0..12).map(address).collect() } else { Vec::new() };
                let look = bench.store.look_up(&requester, &bench.sets, &all, bench.tick()).await.unwrap();
                let claimed = bench.store.claim(look, &proposals, None, &[]).await.unwrap();
                let pod = requester.pod.unwrap();
                let expected = model.claim(*container, *name, &pod, &proposals, *contested);
                assert_eq!(matches!(claimed, Claimed::Done(_)), expected, "{step:?}");
            }
            Step::Release { container } => {
                let released = bench.release(&who(*container, 0, 0)).await;
                assert_eq!(released.is_some(), model.release(*container), "{step:?}");
            }
        }
        bench.agrees().await;
    }
    for (container, held) in &model.held {
        let claim = bench.store.held_by(&who(*container, 0, 0).attachment).await.unwrap().unwrap();
        assert_eq!(claim.addresses, held.addresses);
    }
    let held: BTreeSet<IpAddr> = model.held.values().flat_map(|held| &held.addresses).map(|a| a.address).collect();
    let occupancy = bench.store.occupancy(&bench.sets, bench.tick()).await.unwrap();
    assert_eq!(occupancy[0].held, held.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..40)) {
        block_on(play(steps));
    }
}
