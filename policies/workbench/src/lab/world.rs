//! A network on a store in memory.

use kube_ipam::cli::output::Hinted;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use cni::args::Requested;
use cni::{Args, NetConf};
use engine::{Call, Policy};
use ipam::{
    Allocation, Assignment, Attachment, Claim, Hold, Kind, Metadata, Pod, PodName, Proposal, RangeSets, Span, address,
};
use kube_ipam::config::{Base, Network};
use kube_ipam::verbs::add::asking::Asking;
use kube_ipam::verbs::add::hand_over::HandOvers;
use kube_ipam::verbs::add::{AddContext, look_up, obtain};
use kube_ipam::verbs::{self, Deadline};
use limits::store::PAGE;
use store::EtcdConfig;
use store::memory::Memory;
use store::ordered::{Change, OrderedMap};
use store::{Claimed, Filter, KeptAddress, Look, Requester, Store, StoreError};

/// The network's name, unless told.
pub const NETWORK: &str = "lab";

/// When every world begins: 2026-01-01T00:00:00Z.
const BEGINNING: i64 = 1_767_225_600;

/// Nothing here waits; only a policy's own limits end a call.
pub(super) const PATIENCE: Duration = Duration::from_secs(3_600);

/// How the containers of [`World::hold`] begin.
pub(super) const BYSTANDER: &str = "bystander-";

/// Addresses that one attachment of [`World::hold`] holds.
const HELD_BY_ONE: usize = 64;

/// A network whose nodes, pods and clock are told what to do.
pub struct World {
    base: Base,
    pub(super) network: Network,
    pub(super) policy: Policy,
    pub(super) store: Store,
    /// What is under it.
    memory: Memory,
    now: Cell<Timestamp>,
    bystanders: Cell<u64>,
}

/// Somebody asks for addresses: what the runtime and the API server would tell of it.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who will hold them.
    pub attachment: Attachment,
    /// The Kubernetes node.
    pub node: String,
    /// The pod, if it is one.
    pub pod: Option<Pod>,
    /// What the runtime tells of annotations where it names no pod.
    pub annotations: BTreeMap<String, String>,
    /// Of the pod's namespace.
    pub namespace: Option<Metadata>,
    /// Of the node.
    pub node_metadata: Option<Metadata>,
    /// Addresses the runtime asks for.
    pub requested: Vec<IpAddr>,
}

/// What came of asking.
#[derive(Debug)]
pub struct TrialOutcome {
    /// What the attachment holds now, or why it holds nothing.
    pub outcome: Result<Claim, verbs::Error>,
    /// Every run of the policy it took, in order.
    pub calls: Vec<Call>,
}

/// The world could not be made, or could not be changed as told.
#[derive(Debug, thiserror::Error)]
pub enum Mishap {
    /// The network's configuration.
    #[error(transparent)]
    Network(#[from] verbs::Error),
    /// Addresses that shall be held cannot be.
    #[error("{0} cannot be held: somebody has it already")]
    Held(String),
}

impl Hinted for Mishap {}

impl World {
    /// A network as the `ipam` section of its configuration describes it: ranges, exclusions, cool-down, the policy's
    /// settings and limits. What it says of a store, a module, a shadow or a record is ignored. Every call of the policy is recorded.
    pub fn new(ipam: &Map<String, Value>, policy: Policy) -> Result<Self, Mishap> {
        Self::named(NETWORK, ipam, policy)
    }

    /// The same, of a network with this name.
    pub fn named(name: &str, ipam: &Map<String, Value>, policy: Policy) -> Result<Self, Mishap> {
        let mut ipam = ipam.clone();
        ipam.insert("type".to_owned(), json!("kube-ipam"));
        ipam.entry("nodeName").or_insert_with(|| json!("node-1"));
        ipam.retain(|key, _| !matches!(key.as_str(), "etcdConfig" | "dataDir" | "kubeConfig" | "logFile"));
        if ipam.contains_key("kubernetes") {
            // Nobody is asked here, but the section demands that somebody could be.
            ipam.insert("kubeConfig".to_owned(), json!("/absent"));
        }
        let netconf = json!({"cniVersion": "1.1.0", "name": name, "ipam": ipam}).to_string();
        let netconf = NetConf::parse(netconf.as_bytes()).map_err(verbs::Error::from)?;
        let base = Base::read(&netconf).map_err(verbs::Error::from)?;
        let mut network = Network::read(&netconf, &Args::default()).map_err(verbs::Error::from)?;
        (network.policy.shadow, network.policy.record) = (None, None);
        if network.policy.settings != "{}" {
            policy.validate_settings(&network.policy.settings).map_err(verbs::Error::from)?;
        }
        let memory = Memory::default();
        let store = Store::new(memory.clone(), EtcdConfig::DEFAULT_PREFIX, name).with_cooldown(network.cooldown);
        let now = Timestamp::from_second(BEGINNING).unwrap_or_default();
        let policy = policy.with_limits(network.policy.limits).recording();
        Ok(Self { base, network, policy, store, memory, now: Cell::new(now), bystanders: Cell::new(0) })
    }

    /// The ranges.
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

    /// Its settings, a JSON object as text.
    pub fn settings(&self) -> &str {
        &self.network.policy.settings
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Let time pass.
    pub fn advance(&self, by: Duration) {
        let later = self.now.get().checked_add(by).unwrap_or(Timestamp::MAX);
        self.now.set(later);
    }

    /// ADD.
    pub fn allocate(&self, asker: &Asker) -> TrialOutcome {
        let outcome = self.look_at(asker, &[]).and_then(|look| match look.claim {
            Some(claim) => Ok(claim),
            None => self.obtain(asker, look),
        });
        TrialOutcome { outcome, calls: self.policy.take_calls() }
    }

    /// DEL; what was released.
    pub fn release(&self, attachment: &Attachment) -> Result<Option<Claim>, StoreError> {
        at_once(self.store.release(attachment, self.tick()))
    }

    /// Have a bystander hold these addresses; dynamic ones move the cursor, as in production.
    pub fn hold(&self, span: Span, kind: Kind) -> Result<(), Mishap> {
        self.hold_by(None, "eth0", &[span], kind)
    }

    /// Have one pod hold these addresses on an interface of its.
    pub fn hold_by(&self, pod: Option<&PodName>, interface: &str, spans: &[Span], kind: Kind) -> Result<(), Mishap> {
        let mut addresses = spans.iter().flat_map(|span| {
            let next = |address: &IpAddr| address::successor(*address).filter(|next| span.contains(*next));
            std::iter::successors(Some(span.first()), next)
        });
        loop {
            let some: Proposal =
                addresses.by_ref().take(HELD_BY_ONE).map(|address| self.assignment(address, kind)).collect();
            if some.is_empty() {
                return Ok(());
            }
            self.claim_for_bystander(pod, interface, some)?;
        }
    }

    /// Have an address kept, as if its holder had just given it back.
    pub fn keep(&self, address: IpAddr, hold: Hold) -> Result<(), Mishap> {
        self.pass_through(Assignment { hold: Some(hold), ..self.assignment(address, Kind::Fixed) })
    }

    /// Have an address be the one that was claimed last.
    pub fn claim_last(&self, address: IpAddr) -> Result<(), Mishap> {
        self.pass_through(self.assignment(address, Kind::Dynamic))
    }

    /// Everything that is held, in the order of the addresses.
    pub fn held(&self) -> Result<Vec<Allocation>, StoreError> {
        Ok(at_once(self.store.allocations(&Filter::default()).all())?.held)
    }

    /// What nobody holds but is kept, for whom and until when.
    pub fn kept(&self) -> Result<Vec<KeptAddress>, StoreError> {
        at_once(self.store.kept(self.now()))
    }

    /// Write everything that is at rest here into an empty map, for processes to find it.
    pub fn copy_to(&self, map: &impl OrderedMap) -> Result<(), StoreError> {
        let mut entries = self.memory.entries().into_iter();
        // What a change writes twice is looked for in all it writes: many small ones are faster than a large one.
        while entries.len() > 0 {
            let mut change = Change::default();
            for (key, value) in entries.by_ref().take(PAGE) {
                change.put(key, value);
            }
            at_once(map.commit(&[change]))?;
        }
        Ok(())
    }

    pub(super) fn look_at(&self, asker: &Asker, contested: &[IpAddr]) -> Result<Look, verbs::Error> {
        at_once(look_up(&self.store, &asker.requester(), &self.network, contested, self.tick()))
    }

    fn obtain(&self, asker: &Asker, look: Look) -> Result<Claim, verbs::Error> {
        let deadline = Deadline::after(PATIENCE);
        self.with_context(asker, |context| {
            at_once(obtain(context, &self.policy, &self.store, look, &deadline, || self.tick()))
        })
    }

    pub(super) fn with_context<T>(
        &self,
        asker: &Asker,
        ask: impl FnOnce(&AddContext<'_>) -> Result<T, verbs::Error>,
    ) -> Result<T, verbs::Error> {
        let network = match asker.requested.is_empty() {
            true => Cow::Borrowed(&self.network),
            false => {
                let asked = |address: &IpAddr| Requested { address: *address, prefix_length: None };
                let requested = asker.requested.iter().map(asked).collect();
                Cow::Owned(Network { requested, ..self.network.clone() })
            }
        };
        let (requester, asking, hand_overs) = (asker.requester(), asker.asking(), HandOvers::none());
        ask(&AddContext::new(requester, asking, &self.base, &network, hand_overs, &self.policy)?)
    }

    /// Have a bystander hold it and give it back.
    fn pass_through(&self, assignment: Assignment) -> Result<(), Mishap> {
        let holder = self.claim_for_bystander(None, "eth0", vec![assignment])?;
        self.release(&holder).map_err(verbs::Error::from)?;
        Ok(())
    }

    fn claim_for_bystander(&self, pod: Option<&PodName>, interface: &str, of: Proposal) -> Result<Attachment, Mishap> {
        let nth = self.bystanders.replace(self.bystanders.get() + 1);
        let (network, container) = (self.base.network.clone(), format!("{BYSTANDER}{nth}"));
        let attachment = Attachment { network, container, interface: interface.to_owned() };
        let mut requester =
            Requester { attachment, node: "elsewhere".to_owned(), machine: String::new(), pod: pod.cloned() };
        let mut look = at_once(look_up(&self.store, &requester, &self.network, &[], self.tick()))?;
        if look.previous.is_some() {
            // A newer container would take over from the older one; another interface of the pod stands beside it.
            requester.attachment.interface = format!("net{nth}");
            look = at_once(look_up(&self.store, &requester, &self.network, &[], self.tick()))?;
        }
        let addresses: Vec<IpAddr> = of.iter().map(|assignment| assignment.address).collect();
        match at_once(self.store.claim(look, &[of], None, &[])).map_err(verbs::Error::from)? {
            Claimed::Done(claim) => Ok(claim.attachment),
            Claimed::Lost => Err(self.taken_of(&addresses)?),
        }
    }

    /// Why these addresses cannot be held.
    fn taken_of(&self, addresses: &[IpAddr]) -> Result<Mishap, verbs::Error> {
        let held = self.held()?.into_iter().map(|held| held.address);
        let kept = self.kept()?.into_iter().map(|kept| kept.address);
        let taken: BTreeSet<IpAddr> = held.chain(kept).filter(|address| addresses.contains(address)).collect();
        Ok(Mishap::Held(taken.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
    }

    fn assignment(&self, address: IpAddr, kind: Kind) -> Assignment {
        Assignment { kind, ..Assignment::in_range_of(&self.network.range_sets, address) }
    }

    /// No two events are at the same moment.
    fn tick(&self) -> Timestamp {
        self.advance(Duration::from_millis(1));
        self.now()
    }
}

/// The interface `eth0` of a container in the world's network.
pub fn attachment(container: &str) -> Attachment {
    Attachment { network: NETWORK.to_owned(), container: container.to_owned(), interface: "eth0".to_owned() }
}

impl Asker {
    /// A container without a pod on `node-1`.
    pub fn container(container: &str) -> Self {
        Self {
            attachment: attachment(container),
            node: "node-1".to_owned(),
            pod: None,
            annotations: BTreeMap::new(),
            namespace: None,
            node_metadata: None,
            requested: Vec::new(),
        }
    }

    fn requester(&self) -> Requester {
        let pod = self.pod.as_ref().map(|pod| pod.name.clone());
        Requester { attachment: self.attachment.clone(), node: self.node.clone(), machine: String::new(), pod }
    }

    fn asking(&self) -> Asking {
        Asking {
            pod: self.pod.clone(),
            annotations: self.annotations.clone(),
            namespace: self.namespace.clone(),
            node: self.node_metadata.clone(),
            confirmed: false,
        }
    }
}

/// A store in memory never waits: the first poll is the last.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(addresses(&world.allocate(&Asker::container("c1"))), ["10.0.0.5"]);
        assert_eq!(addresses(&world.allocate(&Asker::container("c1"))), ["10.0.0.5"], "an ADD again");
        assert_eq!(addresses(&world.allocate(&Asker::container("c2"))), ["10.0.0.6"]);
        assert!(world.allocate(&Asker::container("c3")).outcome.is_err());
        world.release(&attachment("c1")).unwrap().unwrap();
        assert_eq!(world.kept().unwrap().len(), 1);
        assert!(world.allocate(&Asker::container("c3")).outcome.is_err(), "it cools down");
        world.advance(Duration::from_secs(31));
        assert_eq!(addresses(&world.allocate(&Asker::container("c3"))), ["10.0.0.5"]);
        assert_eq!(world.held().unwrap().len(), 5);
    }

    #[test]
    fn whoever_loses_a_race_decides_again() {
        let world = world(&json!({"subnet": "10.0.0.0/24", "policy": {"settings": {"proposals": 1}}}));
        let askers = ["c1", "c2", "c3"].map(Asker::container);
        let allocations = world.contend(&askers);
        let calls: Vec<usize> = allocations.iter().map(|allocation| allocation.calls.len()).collect();
        let won: Vec<_> = allocations.iter().flat_map(addresses).collect();
        assert_eq!((calls[0], calls[1], won.len()), (1, 2, 3));
        assert!((2..=3).contains(&calls[2]), "the second attempts may meet again: {calls:?}");
        assert_eq!(world.held().unwrap().len(), 3);
    }
}
