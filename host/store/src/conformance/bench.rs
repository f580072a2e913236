//! What the cases work with: a store over a map that counts its reads, and short words for what they do.

use crate::map::{Map, MapView};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::StoreError;
use crate::inspect::Everything;
use crate::keys::Named;
use crate::ordered::{Change, Commit, Entry, Guard, OrderedMap, Page, Read, View};
use crate::record::encode;
use crate::{Claimed, Look, Requester, Store};
use ipam::{
    Allocation, Assignment, Attachment, Claim, Family, HoldTerms, Kind, PodName, Proposal, RangeSets, RangeSpec, Slot,
    Span,
};

/// The machine of every requester.
pub(crate) const MACHINE: &str = "m1";

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) struct Bench {
    pub(crate) store: Store,
    /// How often its views were read: round trips, where the map is far away.
    pub(crate) reads: Rc<Cell<u32>>,
    /// How many keys a store that walks its ranges would have touched, while that is counted.
    pub(crate) walked: Rc<Cell<Option<u64>>>,
    pub(crate) prefix: String,
    pub(crate) sets: RangeSets,
    pub(crate) now: Cell<Timestamp>,
}

/// A map that counts the reads of its views: round trips, where the map is far away.
struct Counting {
    inner: Map,
    reads: Rc<Cell<u32>>,
    /// How many keys the ranges had that were read, where that is counted. It takes reads of its own.
    walked: Rc<Cell<Option<u64>>>,
}

struct CountingView {
    inner: MapView,
    reads: Rc<Cell<u32>>,
    walked: Rc<Cell<Option<u64>>>,
}

impl OrderedMap for Counting {
    type View = CountingView;

    async fn view(&self) -> Result<Self::View, StoreError> {
        let inner = self.inner.view().await?;
        Ok(CountingView { inner, reads: self.reads.clone(), walked: self.walked.clone() })
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        self.inner.commit(alternatives).await
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        self.inner.confirm_absent(key).await
    }

    async fn ping(&self, key: &str) -> Result<(), StoreError> {
        self.inner.ping(key).await
    }

    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        self.inner.rehearse(keys).await
    }
}

impl View for CountingView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        self.reads.set(self.reads.get() + 1);
        if let Some(walked) = self.walked.get() {
            let mut more = 0;
            for read in reads {
                more += match read {
                    Read::Get(_) => 1,
                    // Whatever the limit, and whether keys are asked for or their number: etcd walks them all.
                    Read::Scan { range, .. } | Read::Count(range) => {
                        self.inner.read(&[Read::Count(range.clone())]).await?.iter().map(|page| page.count).sum()
                    }
                };
            }
            self.walked.set(Some(walked + more));
        }
        self.inner.read(reads).await
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn range_sets(subnets: &[&str]) -> RangeSets {
    let specs = subnets.iter().map(|subnet| vec![RangeSpec::of_subnet(subnet.parse().unwrap())]).collect();
    RangeSets::new(specs, &[]).unwrap()
}

pub(crate) fn pod(name: &str, uid: &str) -> PodName {
    let uid = (!uid.is_empty()).then(|| uid.to_owned());
    PodName { namespace: "default".into(), name: name.into(), uid, cluster: None }
}

/// The first interface of a container of a pod, on one node, in network "blue".
pub(crate) fn requester(container: &str, pod_name: &str) -> Requester {
    Requester {
        attachment: Attachment { network: "blue".into(), container: container.into(), interface: "eth0".into() },
        node: "node-1".into(),
        machine: MACHINE.into(),
        pod: (!pod_name.is_empty()).then(|| pod(pod_name, "")),
    }
}

pub(crate) fn dynamic(address: &str) -> Assignment {
    assignment(ip(address), Kind::Dynamic)
}

pub(crate) fn fixed(address: &str) -> Assignment {
    assignment(ip(address), Kind::Fixed)
}

pub(crate) fn held_for(identity: &str, seconds: u64, assignment: Assignment) -> Assignment {
    Assignment { hold: Some(HoldTerms { identity: identity.into(), seconds }), ..assignment }
}

pub(crate) fn with_slot(name: &str, number: u32, assignment: Assignment) -> Assignment {
    Assignment { slot: Some(Slot { name: name.into(), number }), ..assignment }
}

pub(crate) fn assignment(address: IpAddr, kind: Kind) -> Assignment {
    let prefix_length = if address.is_ipv4() { 24 } else { 64 };
    Assignment { address, prefix_length, gateway: None, kind, hold: None, slot: None, why: None }
}

impl Bench {
    pub(crate) fn new(map: impl Into<Map>, subnets: &[&str]) -> Self {
        // Maps may be shared by many cases: each has its own prefix.
        static CASES: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("/test-{}", CASES.fetch_add(1, Ordering::Relaxed));
        Self::with_prefix(map, subnets, prefix)
    }

    pub(crate) fn with_prefix(map: impl Into<Map>, subnets: &[&str], prefix: String) -> Self {
        let (reads, walked) = (Rc::default(), Rc::default());
        let map = Counting { inner: map.into(), reads: Rc::clone(&reads), walked: Rc::clone(&walked) };
        Self {
            store: Store::new(Map::other(map), &prefix, "blue"),
            reads,
            walked,
            prefix,
            sets: range_sets(subnets),
            now: Cell::new("2026-01-01T00:00:00.000001Z".parse().unwrap()),
        }
    }

    /// A moment later than any before.
    pub(crate) fn tick(&self) -> Timestamp {
        self.pass(Duration::from_micros(1))
    }

    pub(crate) fn pass(&self, time: Duration) -> Timestamp {
        self.now.set(self.now.get() + time);
        self.now.get()
    }

    pub(crate) async fn look(&self, requester: &Requester, contested: &[&str]) -> Look {
        let contested: Vec<IpAddr> = contested.iter().map(|text| ip(text)).collect();
        self.store.look_up(requester, &self.sets, &contested, self.tick()).await.unwrap()
    }

    /// Look and claim one proposal.
    pub(crate) async fn claim(&self, requester: &Requester, proposal: &[Assignment]) -> Claimed {
        let look = self.look(requester, &[]).await;
        self.store.claim(look, &[proposal.to_vec()], None, &[]).await.unwrap()
    }

    /// Claim one proposal, which has to succeed.
    pub(crate) async fn hold(&self, requester: &Requester, proposal: &[Assignment]) -> Claim {
        match self.claim(requester, proposal).await {
            Claimed::Done(claim) => claim,
            Claimed::Lost => panic!("{} lost", requester.attachment),
        }
    }

    /// Look at the contested addresses first, and claim.
    pub(crate) async fn contest(&self, requester: &Requester, proposal: &[Assignment]) -> Claimed {
        let addresses: Vec<IpAddr> = proposal.iter().map(|assignment| assignment.address).collect();
        let look = self.store.look_up(requester, &self.sets, &addresses, self.tick()).await.unwrap();
        self.store.claim(look, &[proposal.to_vec()], None, &[]).await.unwrap()
    }

    /// Claim the lowest free address of each range set after `after`.
    pub(crate) async fn hold_next(&self, requester: &Requester, after: Option<IpAddr>) -> Option<Claim> {
        let mut look = self.look(requester, &[]).await;
        let mut proposal = Proposal::new();
        for set in 0..self.sets.len() {
            proposal.push(assignment(self.next_free(&mut look, set, after).await?, Kind::Dynamic));
        }
        match self.store.claim(look, &[proposal], None, &[]).await.unwrap() {
            Claimed::Done(claim) => Some(claim),
            Claimed::Lost => None,
        }
    }

    /// Claim the lowest free address of each range set for a container.
    pub(crate) async fn hold_next_as(&self, container: &str) -> Claim {
        self.hold_next(&requester(container, ""), None).await.unwrap()
    }

    /// The keys of all marks of full blocks.
    pub(crate) async fn marks(&self) -> Vec<String> {
        let entries = self.entries().await.into_iter();
        entries.map(|entry| entry.key).filter(|key| self.store.keys.named(key) == Some(Named::Full)).collect()
    }

    /// What a policy does: ask the snapshot, and run again once the store has answered.
    pub(crate) async fn next_free(&self, look: &mut Look, set: usize, after: Option<IpAddr>) -> Option<IpAddr> {
        // More questions than any search may need: one that learns nothing from an answer would ask forever.
        for _ in 0..64 {
            match look.snapshot.next_free(set, after) {
                Ok(address) => return address,
                Err(question) => look.answer(question).await.unwrap(),
            }
        }
        panic!("the search makes no progress");
    }

    /// The slots of a list as a policy is told them.
    pub(crate) async fn taken_slots(&self, requester: &Requester, name: &str) -> Vec<u32> {
        let mut look = self.look(requester, &[]).await;
        let question = look.snapshot.taken_slots(name).unwrap_err();
        look.answer(question).await.unwrap();
        look.snapshot.taken_slots(name).unwrap().to_vec()
    }

    pub(crate) async fn holder_of(&self, address: &str) -> Option<String> {
        let holder = self.store.holders(&[ip(address)], self.now.get()).await.unwrap().remove(0)?;
        Some(match holder {
            ipam::Holder::Attachment(held) => held.attachment.container,
            ipam::Holder::Hold { identity, .. } => format!("kept for {identity}"),
            ipam::Holder::Reservation(reservation) => format!("reserved: {}", reservation.reason),
        })
    }

    pub(crate) async fn release(&self, requester: &Requester) -> Option<Claim> {
        self.store.release(&requester.attachment, self.tick()).await.unwrap()
    }

    /// Have a whole span held, sixty addresses a claim, without asking for each.
    pub(crate) async fn fill(&self, span: Span) {
        let first = ipam::address::number(span.first());
        let numbers: Vec<u128> = (0..span.size()).map(|offset| first + offset).collect();
        for (nth, chunk) in numbers.chunks(60).enumerate() {
            let Requester { attachment, node, machine, pod } = requester(&format!("bulk-{first:x}-{nth}"), "");
            let addresses = chunk.iter().map(|n| assignment(span.family().address(*n), Kind::Dynamic)).collect();
            let claim = Claim {
                attachment,
                node,
                machine,
                pod,
                addresses,
                ceded: Vec::new(),
                former: BTreeMap::new(),
                policy: None,
                since: self.tick(),
            };
            // What a claim would write, without the looks: the cases that need this are about tens of thousands.
            let keys = &self.store.keys;
            let mut change = Change::default();
            change.put(keys.attachment(&claim.attachment), encode(&claim));
            change.put(keys.node_of(&claim), "");
            for held in claim.allocations() {
                change.require(Guard::Absent(keys.address(held.address)));
                change.put(keys.address(held.address), encode(&held));
            }
            assert_eq!(self.store.map.commit(&[change]).await.unwrap(), Commit::Done(0));
        }
    }

    /// Write whatever, past all rules.
    pub(crate) async fn scribble(&self, key: &str, value: &[u8]) {
        let mut change = Change::default();
        change.put(key.to_owned(), value);
        assert_eq!(self.store.map.commit(&[change]).await.unwrap(), Commit::Done(0));
    }

    /// Delete a key, past all rules.
    pub(crate) async fn delete(&self, key: &str) {
        let mut change = Change::default();
        change.delete(key.to_owned());
        assert_eq!(self.store.map.commit(&[change]).await.unwrap(), Commit::Done(0));
    }

    /// Every key of the domain with its value.
    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.store.scan_all(self.store.keys.everything()).await.unwrap()
    }

    /// Everything that is at rest, whether it agrees or not.
    pub(crate) async fn everything(&self) -> Everything {
        Everything::of(&self.store.keys, self.entries().await).0
    }

    /// How many keys the domain has.
    pub(crate) async fn keys_at_rest(&self) -> usize {
        self.store.scan_all(self.store.keys.everything()).await.unwrap().len()
    }

    /// What somebody asks: how many reads it takes, and how many keys a store that walks its ranges touches for it.
    pub(crate) async fn cost<T>(&self, ask: impl Future<Output = T>) -> (T, u32, u64) {
        self.reads();
        self.walked.set(Some(0));
        let answer = ask.await;
        (answer, self.reads(), self.walked.take().unwrap_or_default())
    }

    pub(crate) fn reads(&self) -> u32 {
        self.reads.replace(0)
    }

    /// Every case ends here.
    pub(crate) async fn agrees(&self) {
        assert_eq!(self.store.inspect().await.unwrap(), []);
    }
}

/// Who was seen holding an address, as a claim would compare it.
pub(crate) fn holder_in<'a>(look: &'a Look, address: &str) -> Option<&'a Allocation> {
    look.evidence.holder(ip(address)).map(|seen| &seen.record)
}

pub(crate) fn span(first: &str, last: &str) -> Span {
    Span::new(ip(first), ip(last)).unwrap()
}

pub(crate) fn addresses(claim: &Claim) -> Vec<String> {
    claim.addresses.iter().map(|assignment| assignment.address.to_string()).collect()
}

/// The family of the only range set of a bench.
pub(crate) fn family(bench: &Bench) -> Family {
    bench.sets.get(0).unwrap().family()
}
