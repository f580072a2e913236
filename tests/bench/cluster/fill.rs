//! Claims made through the library, in this process: with pods, nodes and a policy, as an ADD makes them, but without a process
//! for each. How many a second there are is the limit of the store.

use std::cell::Cell;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipam::address::number;
use ipam::{Assignment, Attachment, Family, PodName, PolicyName, RangeSets, RangeSpec, Slot};
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use store::embedded::Embedded;
use store::etcd::Etcd;
use store::{Claimed, EtcdConfig, Map, Requester, Store};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

use super::pods::{BenchPod, PODS_OF_A_NODE, QUOTA_NAMESPACE, hex};

/// Claims on their way at once. More make no more a second on two cores.
const AT_A_TIME: usize = 64;

/// Addresses that others may have in a row: the pods of our node, and what a policy keeps.
const MOST_LOST: usize = 1_000;

/// Which store is filled.
pub(super) enum Target<'a> {
    Etcd(Vec<String>),
    Embedded(&'a Path),
}

impl Target<'_> {
    fn map(&self) -> Map {
        match self {
            Self::Embedded(directory) => Embedded::new(directory, None).into(),
            Self::Etcd(endpoints) => {
                Etcd::new(EtcdConfig { endpoints: endpoints.clone(), ..EtcdConfig::default() }, None).into()
            }
        }
    }
}

/// Have the pods with these numbers hold an address each. How long it took.
pub(super) fn claim(target: &Target<'_>, subnet: &str, pods: Range<usize>, nodes: usize) -> Duration {
    let subnet: IpNetwork = subnet.parse().unwrap();
    let filler = Rc::new(Filler {
        store: Store::new(target.map(), EtcdConfig::DEFAULT_PREFIX, "blue"),
        range_sets: RangeSets::new(vec![vec![RangeSpec::of_subnet(subnet)]], &[]).unwrap(),
        subnet,
        nodes,
        next_pod: Cell::new(pods.start),
        // Pods with lower numbers have as many addresses, and those of our node may have got any.
        next_address: Cell::new(pods.start.saturating_sub(PODS_OF_A_NODE)),
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let mut workers = Vec::new();
        for _ in 0..AT_A_TIME {
            let filler = filler.clone();
            workers.push(spawn_local(async move {
                // The last one is claimed last: the cursor ends behind it.
                while filler.next_pod.get() + 1 < pods.end {
                    filler.claim_one(take_next(&filler.next_pod)).await;
                }
            }));
        }
        for worker in workers {
            worker.await.unwrap();
        }
        filler.claim_one(pods.end - 1).await;
    });
    start.elapsed()
}

/// What the claims that are on their way share.
struct Filler {
    store: Store,
    range_sets: RangeSets,
    subnet: IpNetwork,
    nodes: usize,
    next_pod: Cell<usize>,
    next_address: Cell<usize>,
}

impl Filler {
    /// Addresses one after the other, without a gap, so that the first free one lies behind all that are held.
    async fn claim_one(&self, n: usize) {
        let pod = BenchPod::held(n, self.nodes);
        let family = Family::of(self.subnet.network());
        let slot =
            BenchPod::slot(n).map(|number| Slot { name: format!("namespace/{QUOTA_NAMESPACE}/{family}"), number });
        let requester = Requester {
            attachment: Attachment { network: "blue".into(), container: pod.container, interface: "eth0".into() },
            // As long as the hash of a machine is.
            machine: hex(&pod.node)[..16].to_owned(),
            node: pod.node,
            pod: Some(PodName { namespace: pod.namespace, name: pod.name, uid: Some(pod.uid), cluster: None }),
        };
        let policy = PolicyName { name: "range-fixed".into(), sha256: hex("range-fixed"), instead_of: None };
        for _ in 0..MOST_LOST {
            let mut assignment = Assignment::in_range_of(&self.range_sets, self.address(take_next(&self.next_address)));
            assignment.slot.clone_from(&slot);
            let look = self.store.look_up(&requester, &self.range_sets, &[], Timestamp::now()).await.unwrap();
            let claimed = self.store.claim(look, &[vec![assignment]], Some(policy.clone()), &[]).await.unwrap();
            if matches!(claimed, Claimed::Done(_)) {
                return;
            }
        }
        panic!("pod {n} gets none of {MOST_LOST} addresses");
    }

    /// `.1` is the gateway.
    fn address(&self, nth: usize) -> IpAddr {
        Family::of(self.subnet.network()).address(number(self.subnet.network()) + 2 + nth as u128)
    }
}

/// A number that nobody else has.
fn take_next(next: &Cell<usize>) -> usize {
    next.replace(next.get() + 1)
}
