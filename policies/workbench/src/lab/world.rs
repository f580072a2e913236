//! A network on a store in memory, with pods and a clock that are told what to do.
//!
//! ```text
//!        author's command            World                         as in production
//!   ┌───────────────────────┐   ┌──────────────────────┐   ┌────────────────────────────────┐
//!   │ allocate, contend     │──►│ requester            │──►│ look up ─► decide ─► claim     │
//!   │ release, advance      │   │ network, from `ipam` │   │              │         │       │
//!   │ hold, keep, claim_last│──►│ bystanders           │──►│           policy     store     │
//!   └───────────────────────┘   │ clock ───────────────│──►│                        │       │
//!                               └──────────────────────┘   └────────────────────────│───────┘
//!                                                                    Memory ◄───────┘
//! ```
//!
//! To the left of the `World` is whoever tries a policy; to the right is the code that runs on every node, of which
//! nothing is rewritten or stubbed here. A lab that decided by a loop of its own would soon approve of policies that fail
//! in a cluster. What the world takes away is everything that makes production slow, random or dangerous:
//!
//! - **Time.** The clock stands still until it is advanced. Every event moves it by a millisecond, so that no two events
//!   share a moment and their order is the order of their times. It begins at the same instant in every world, so that a
//!   case that prints a time prints the same one tomorrow.
//! - **Waiting.** The store is a map in memory and answers at the first poll. So futures are driven by hand, without a
//!   runtime, and a deadline never ends a call; only the policy's own limits do.
//! - **The cluster.** No API server is asked: a requester brings along what the runtime and the API server would tell of
//!   it. Nobody gives way to anybody either, which needs an API server's word.
//! - **The configuration of a node.** Of the `ipam` section the world takes what bears on a decision: ranges,
//!   exclusions, cool-down, the policy's settings and limits. Stores, modules, shadows and journals are left out.
//!
//! A situation is prepared by *bystanders*: attachments that hold what they are told to hold. They claim through the same
//! store as everybody, so that a world cannot get into a state that a cluster could not be in: an address outside the
//! domain, two holders of one address, or a record without its index.
//!
//! A world can be copied onto a disk ([`World::copy_to`]), where whole processes find it: so [`super::measure`] has
//! something to start them on.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::TrialRequester;
use super::network::TrialNetwork;
use cni::Fail;
use engine::{Call, Policy};
use ipam::{Allocation, Assignment, Attachment, Claim, HoldTerms, Kind, PodName, Proposal, RangeSets, Span};
use kube_ipam::config::{Base, Network};
use kube_ipam::verbs::add::hand_over::HandOvers;
use kube_ipam::verbs::add::metadata::RequesterMetadata;
use kube_ipam::verbs::add::{AddContext, look_up, obtain};
use kube_ipam::verbs::{self, Deadline};
use limits::store::PAGE;
use store::EtcdConfig;
use store::memory::Memory;
use store::ordered::{Change, OrderedMap};
use store::{AllocationFilter, Claimed, Hold, Look, Requester, Store, StoreError};

/// The network's name, where none is given.
pub const NETWORK: &str = "lab";

/// When every world begins: 2026-01-01T00:00:00Z, in seconds since 1970.
const BEGINNING: i64 = 1_767_225_600;

/// The deadline of every call. Nothing here waits, so that only a policy's own limits end a call.
pub(super) const PATIENCE: Duration = Duration::from_secs(3_600);

/// How the container IDs of bystanders begin.
pub(super) const BYSTANDER: &str = "bystander-";

/// How many addresses one bystander holds at most: each is a proposal of its own, and a claim has a limit.
const HELD_BY_ONE: usize = 64;

/// A network whose nodes, pods and clock are told what to do.
pub struct World {
    base: Base,
    pub(super) network: Network,
    pub(super) policy: Policy,
    pub(super) store: Store,
    /// The map under the store, which shares it.
    memory: Memory,
    now: Cell<Timestamp>,
    bystanders: Cell<u64>,
}

/// What came of an ADD in a world.
#[derive(Debug)]
pub struct TrialOutcome {
    /// What the attachment holds now, or why it holds nothing.
    pub outcome: Result<Claim, verbs::Error>,
    /// Every run of the policy that it took, in order.
    pub calls: Vec<Call>,
}

/// Why a world could not be made, or could not be changed as told.
#[derive(Debug, thiserror::Error)]
pub enum Mishap {
    /// The network's configuration is wrong, or the policy does not accept its settings.
    #[error(transparent)]
    Network(#[from] verbs::Error),
    /// Addresses that a bystander should hold are in use, or kept for somebody.
    #[error("{0} cannot be held: already in use")]
    Held(String),
}

impl Fail for Mishap {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Network(error) => error.hint(),
            Self::Held(_) => None,
        }
    }
}

impl World {
    /// A network as the `ipam` section of its configuration describes it: ranges, exclusions, cool-down, the policy's
    /// settings and limits. What it says of a store, a module, a shadow or a record is ignored. Every call of the policy is recorded.
    pub fn new(ipam: &Map<String, Value>, policy: Policy) -> Result<Self, Mishap> {
        Self::named(NETWORK, ipam, policy)
    }

    /// The same, of a network with this name.
    pub fn named(name: &str, ipam: &Map<String, Value>, policy: Policy) -> Result<Self, Mishap> {
        let TrialNetwork { base, network } = TrialNetwork::read(name, ipam)?;
        if network.policy.settings != "{}" {
            policy.validate_settings(&network.policy.settings).map_err(verbs::Error::from)?;
        }
        let memory = Memory::default();
        let store = Store::new(memory.clone(), EtcdConfig::DEFAULT_PREFIX, name).with_cooldown(network.cooldown);
        let now = Timestamp::from_second(BEGINNING).unwrap_or_default();
        let policy = policy.with_limits(network.policy.limits).recording();
        Ok(Self { base, network, policy, store, memory, now: Cell::new(now), bystanders: Cell::new(0) })
    }

    pub fn range_sets(&self) -> &RangeSets {
        &self.network.range_sets
    }

    /// Whether the policy is told of a pod's controller.
    pub(super) fn tells_owners(&self) -> bool {
        self.network.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.include.labels)
    }

    /// The policy under trial.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy's settings, a JSON object as text.
    pub fn settings(&self) -> &str {
        &self.network.policy.settings
    }

    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    pub fn advance(&self, by: Duration) {
        let later = self.now.get().checked_add(by).unwrap_or(Timestamp::MAX);
        self.now.set(later);
    }

    /// Walk the path of an ADD. An attachment that holds addresses already gets these.
    pub fn allocate(&self, requester: &TrialRequester) -> TrialOutcome {
        let outcome = self.look_at(requester, &[]).and_then(|look| match look.claim {
            Some(claim) => Ok(claim),
            None => self.obtain(requester, look),
        });
        TrialOutcome { outcome, calls: self.policy.take_calls() }
    }

    /// Walk the path of a DEL. Gives what was released; nothing, where the attachment held nothing.
    pub fn release(&self, attachment: &Attachment) -> Result<Option<Claim>, StoreError> {
        at_once(self.store.release(attachment, self.tick()))
    }

    /// Have bystanders hold the addresses of a span. Dynamic ones move the cursor of their range set, as in production.
    pub fn hold(&self, span: Span, kind: Kind) -> Result<(), Mishap> {
        self.hold_by(None, "eth0", &[span], kind)
    }

    /// Have a pod hold these addresses on one of its interfaces; bystanders that are no pods, without one.
    pub fn hold_by(&self, pod: Option<&PodName>, interface: &str, spans: &[Span], kind: Kind) -> Result<(), Mishap> {
        let mut proposal = Proposal::new();
        for span in spans {
            let mut next = Some(*span);
            while let Some(rest) = next {
                proposal.push(self.assignment(rest.first(), kind));
                if proposal.len() == HELD_BY_ONE {
                    self.claim_for_bystander(pod, interface, std::mem::take(&mut proposal))?;
                }
                next = span.above(rest.first());
            }
        }
        if !proposal.is_empty() {
            self.claim_for_bystander(pod, interface, proposal)?;
        }
        Ok(())
    }

    /// Keep an address for an identity, as if its holder had just released it.
    pub fn keep(&self, address: IpAddr, hold: HoldTerms) -> Result<(), Mishap> {
        self.pass_through(Assignment { hold: Some(hold), ..self.assignment(address, Kind::Fixed) })
    }

    /// Make an address the one that was claimed last in its range set, where the search for the next one begins.
    pub fn claim_last(&self, address: IpAddr) -> Result<(), Mishap> {
        self.pass_through(self.assignment(address, Kind::Dynamic))
    }

    /// All allocations, in the order of their addresses.
    pub fn held(&self) -> Result<Vec<Allocation>, StoreError> {
        Ok(at_once(self.store.allocations(&AllocationFilter::default()).all())?.held)
    }

    /// All addresses that are kept after their release, with the identity and the time they are kept for.
    pub fn kept(&self) -> Result<Vec<Hold>, StoreError> {
        at_once(self.store.standing_holds(self.now()))
    }

    /// Write everything that is at rest here into an empty map, such as one on a disk where processes find it.
    pub fn copy_to(&self, map: &impl OrderedMap) -> Result<(), StoreError> {
        let mut entries = self.memory.entries().into_iter();
        // Not one change for all: a change looks for each key among all the keys it writes already, so that the time
        // grows with the square of its length, and 60,000 addresses would take minutes.
        while entries.len() > 0 {
            let mut change = Change::default();
            for (key, value) in entries.by_ref().take(PAGE) {
                change.put(key, value);
            }
            at_once(map.commit(&[change]))?;
        }
        Ok(())
    }

    pub(super) fn look_at(&self, requester: &TrialRequester, contested: &[IpAddr]) -> Result<Look, verbs::Error> {
        at_once(look_up(&self.store, &requester.into(), &self.network, contested, self.tick()))
    }

    fn obtain(&self, requester: &TrialRequester, look: Look) -> Result<Claim, verbs::Error> {
        let deadline = Deadline::after(PATIENCE);
        self.with_context(requester, |context| {
            at_once(obtain(context, &self.policy, &self.store, look, &deadline, || self.tick()))
        })
    }

    pub(super) fn with_context<T>(
        &self,
        requester: &TrialRequester,
        ask: impl FnOnce(&AddContext<'_>) -> Result<T, verbs::Error>,
    ) -> Result<T, verbs::Error> {
        let mut network = Cow::Borrowed(&self.network);
        if !requester.requested.is_empty() {
            network.to_mut().requested = requester.requested();
        }
        let (known, metadata) = (Requester::from(requester), RequesterMetadata::from(requester));
        ask(&AddContext::new(known, metadata, &self.base, &network, HandOvers::none(), &self.policy)?)
    }

    /// Have a bystander claim an address and release it at once. What stays is what a release leaves behind: the cursor,
    /// and a hold where the assignment asks for one.
    fn pass_through(&self, assignment: Assignment) -> Result<(), Mishap> {
        let holder = self.claim_for_bystander(None, "eth0", vec![assignment])?;
        self.release(&holder).map_err(verbs::Error::from)?;
        Ok(())
    }

    /// Claim exactly this for a new bystander. The policy has no part in it: an author may hold what no policy gives.
    fn claim_for_bystander(&self, pod: Option<&PodName>, interface: &str, of: Proposal) -> Result<Attachment, Mishap> {
        let nth = self.bystanders.replace(self.bystanders.get() + 1);
        let mut requester = Requester {
            attachment: Attachment {
                network: self.base.network.clone(),
                container: format!("{BYSTANDER}{nth}"),
                interface: interface.to_owned(),
            },
            node: "elsewhere".to_owned(),
            machine: String::new(),
            pod: pod.cloned(),
        };
        let mut look = at_once(look_up(&self.store, &requester, &self.network, &[], self.tick()))?;
        if look.previous.is_some() {
            // One pod may hold more than one bystander can. A second container of the pod on this interface would take
            // over from the first, as after a restart; another interface stands beside it.
            requester.attachment.interface = format!("net{nth}");
            look = at_once(look_up(&self.store, &requester, &self.network, &[], self.tick()))?;
        }
        let addresses: Vec<IpAddr> = of.iter().map(|assignment| assignment.address).collect();
        match at_once(self.store.claim(look, &[of], None, &[])).map_err(verbs::Error::from)? {
            Claimed::Done(claim) => Ok(claim.attachment),
            Claimed::Lost => Err(self.unavailable_among(&addresses)?),
        }
    }

    /// The error that names those of the addresses which are in use or kept.
    fn unavailable_among(&self, addresses: &[IpAddr]) -> Result<Mishap, verbs::Error> {
        let mut unavailable = BTreeSet::new();
        unavailable.extend(self.held()?.iter().map(|allocation| allocation.address));
        unavailable.extend(self.kept()?.iter().map(|kept| kept.address));
        unavailable.retain(|address| addresses.contains(address));
        let named: Vec<String> = unavailable.iter().map(ToString::to_string).collect();
        Ok(Mishap::Held(named.join(", ")))
    }

    fn assignment(&self, address: IpAddr, kind: Kind) -> Assignment {
        Assignment { kind, ..Assignment::in_range_of(&self.network.range_sets, address) }
    }

    /// The time of the next event: no two share a moment.
    fn tick(&self) -> Timestamp {
        self.advance(Duration::from_millis(1));
        self.now()
    }
}

/// The interface `eth0` of a container in the world's network.
pub fn attachment(container: &str) -> Attachment {
    Attachment { network: NETWORK.to_owned(), container: container.to_owned(), interface: "eth0".to_owned() }
}

/// Drive a future over the store in memory. It has nothing to wait for, so that no runtime is needed and nobody would
/// call a waker; what yields of its own accord, to be fair to others, is polled again.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use engine::Source;

    fn world(ipam: &Value) -> World {
        let source = Source::alone(None);
        World::new(ipam.as_object().unwrap(), Policy::load(&source).unwrap()).unwrap()
    }

    fn addresses(allocation: &TrialOutcome) -> Vec<String> {
        allocation.outcome.as_ref().unwrap().addresses().map(|address| address.to_string()).collect()
    }

    #[test]
    fn a_container_gets_the_next_address_and_gives_it_back() {
        let world = world(&json!({"subnet": "10.0.0.0/29", "cooldown": "30s"}));
        let span = Span::new("10.0.0.2".parse().unwrap(), "10.0.0.4".parse().unwrap()).unwrap();
        world.hold(span, Kind::Fixed).unwrap();
        assert_eq!(addresses(&world.allocate(&TrialRequester::container("c1"))), ["10.0.0.5"]);
        assert_eq!(addresses(&world.allocate(&TrialRequester::container("c1"))), ["10.0.0.5"], "an ADD again");
        assert_eq!(addresses(&world.allocate(&TrialRequester::container("c2"))), ["10.0.0.6"]);
        assert!(world.allocate(&TrialRequester::container("c3")).outcome.is_err());
        world.release(&attachment("c1")).unwrap().unwrap();
        assert_eq!(world.kept().unwrap().len(), 1);
        assert!(world.allocate(&TrialRequester::container("c3")).outcome.is_err(), "it cools down");
        world.advance(Duration::from_secs(31));
        assert_eq!(addresses(&world.allocate(&TrialRequester::container("c3"))), ["10.0.0.5"]);
        assert_eq!(world.held().unwrap().len(), 5);
    }

    #[test]
    fn whoever_loses_a_race_decides_again() {
        let world = world(&json!({"subnet": "10.0.0.0/24", "policy": {"settings": {"proposals": 1}}}));
        let requesters = ["c1", "c2", "c3"].map(TrialRequester::container);
        let allocations = world.contend(&requesters);
        let calls: Vec<usize> = allocations.iter().map(|allocation| allocation.calls.len()).collect();
        let won: Vec<_> = allocations.iter().flat_map(addresses).collect();
        assert_eq!((calls[0], calls[1], won.len()), (1, 2, 3));
        assert!((2..=3).contains(&calls[2]), "the second attempts may meet again: {calls:?}");
        assert_eq!(world.held().unwrap().len(), 3);
    }
}
