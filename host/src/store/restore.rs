//! Claims of containers that live and that the store has forgotten: worked out, shown, and then written again.
//!
//! What is written is a claim like any other, fenced by everything it was judged by. It takes nothing from anybody who may
//! live: an address that another holds stays there, and both are named. From a holder that is known to be gone, or that is an
//! older container of the same pod, the address moves, and the holder **cedes** it: its claim goes on naming the
//! address, so that nothing is free before both are released. A hold does not live: it ends.
//!
//! | the address of a living container | what becomes of it |
//! |---|---|
//! | its record is missing or damaged, whatever its claim says | it is written, and the claim with its indexes |
//! | its record is the container's, but no claim lists it | the claim lists it |
//! | held by a newer container of the same pod, or ceded to another | nothing: the store knows |
//! | held by a container that is gone, or by an older one of the same pod | it moves, its holder cedes it |
//! | held by anybody else | nothing is written for it: two share it, and both are named |

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::holds::end_hold;
use super::ordered::{Change, Commit, Entry, Guard, OrderedMap, Page, Read, View};
use super::record::{KeptAddress, Seen, encode};
use crate::ipam::{Assignment, Attachment, Ceded, Claim, HeldAddress, PodName};

/// A container that lives, with the addresses it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its interface in a network.
    pub attachment: Attachment,
    /// The node it runs on.
    pub node: String,
    /// The machine of this name; empty when unknown.
    pub machine: String,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
    /// At least one.
    pub addresses: Vec<Assignment>,
}

/// What is known of somebody who holds the address of an occupant by the store's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// It is gone, or an older container of the occupant's pod.
    GivesWay,
    /// A newer container of the occupant's pod: the address is where it should be.
    Succeeds,
    /// It may live.
    Stays,
}

/// How the store differs from what an occupant has, and what puts that right.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// Whose claim it is about.
    pub occupant: Occupant,
    /// Addresses that the store does not give to the occupant, nor to anybody else: they are claimed.
    pub missing: Vec<IpAddr>,
    /// Addresses that move to the occupant from holders that are gone.
    pub moved: Vec<HeldAddress>,
    /// Addresses that somebody else holds: they stay there, and two containers share each.
    pub shared: Vec<HeldAddress>,
    /// Addresses that the store gives to the occupant and that it does not have.
    pub unused: Vec<IpAddr>,
    /// Holds that end, because the occupant has their address.
    pub ended: Vec<KeptAddress>,
    change: Change,
}

impl Restoration {
    /// Whether there is anything to write.
    pub fn is_needed(&self) -> bool {
        !self.change.writes().is_empty()
    }

    /// Whether the store and the occupant agree.
    pub fn is_void(&self) -> bool {
        !self.is_needed() && self.shared.is_empty() && self.unused.is_empty()
    }
}

impl<M: OrderedMap> Store<M> {
    /// Compare what these occupants have with the store as it is at one moment, and work out what would put it right.
    /// Writes nothing. `judge` says what is known of a holder that stands in an occupant's way.
    pub async fn plan_restorations(
        &self,
        occupants: &[Occupant],
        judge: impl Fn(&Occupant, &HeldAddress) -> Rival,
        now: Timestamp,
    ) -> Result<Vec<Restoration>, StoreError> {
        let mut view = self.map.view().await?;
        let reads: Vec<Read> = occupants.iter().flat_map(|occupant| self.reads_of(occupant)).collect();
        let pages = if reads.is_empty() { Vec::new() } else { view.read(&reads).await? };
        let mut entries = pages.into_iter().map(Page::into_entry);
        let mut plans = Vec::with_capacity(occupants.len());
        for occupant in occupants {
            plans.push(self.parse(occupant, &mut entries));
        }
        let rivals = self.rivals(&mut view, &plans).await?;
        let mut restorations = Vec::with_capacity(plans.len());
        // Of two occupants of one address that the store has forgotten, the first gets it, and is in the other's way.
        let mut taken: BTreeMap<IpAddr, HeldAddress> = BTreeMap::new();
        for plan in plans {
            restorations.push(plan.restoration(self, &rivals, &mut taken, &judge, now));
        }
        Ok(restorations)
    }

    /// Write what was worked out. False where a record it was judged by has changed; nothing was written then.
    pub async fn restore(&self, restoration: &Restoration) -> Result<bool, StoreError> {
        if !restoration.is_needed() {
            return Ok(true);
        }
        Ok(self.map.commit(std::slice::from_ref(&restoration.change)).await? != Commit::Lost)
    }

    fn reads_of(&self, occupant: &Occupant) -> Vec<Read> {
        let mut reads = vec![Read::Get(self.keys.attachment(&occupant.attachment))];
        if let Some(pod) = &occupant.pod {
            reads.push(Read::Get(self.keys.pod(pod, &occupant.attachment)));
        }
        for assignment in &occupant.addresses {
            reads.push(Read::Get(self.keys.address(assignment.address)));
            reads.push(Read::Get(self.keys.hold(assignment.address)));
        }
        reads
    }

    /// The entries in the order of [`Self::reads_of`].
    fn parse<'a>(&self, occupant: &'a Occupant, entries: &mut impl Iterator<Item = Option<Entry>>) -> Plan<'a> {
        let mut next = || entries.next().flatten();
        let claim = next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry)));
        let index = occupant.pod.as_ref().and_then(|_| next());
        let mut places = Vec::with_capacity(occupant.addresses.len());
        for _ in &occupant.addresses {
            places.push(Place {
                held: next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry))),
                kept: next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry))),
            });
        }
        Plan { occupant, claim, has_index: index.is_some(), places }
    }

    /// The claims of everybody who holds an address of an occupant.
    async fn rivals(
        &self,
        view: &mut M::View,
        plans: &[Plan<'_>],
    ) -> Result<BTreeMap<Attachment, Seen<Claim>>, StoreError> {
        let mut holders: Vec<&Attachment> = Vec::new();
        for plan in plans {
            let held = plan.places.iter().filter_map(|place| place.held.as_ref()?.readable());
            holders
                .extend(held.map(|seen| &seen.record.attachment).filter(|holder| **holder != plan.occupant.attachment));
        }
        holders.sort();
        holders.dedup();
        if holders.is_empty() {
            return Ok(BTreeMap::new());
        }
        let reads: Vec<Read> = holders.iter().map(|holder| Read::Get(self.keys.attachment(holder))).collect();
        let mut rivals = BTreeMap::new();
        for (holder, page) in holders.into_iter().zip(view.read(&reads).await?) {
            let claim = page.into_entry().and_then(|entry| Seen::<Claim>::parse(&self.keys, entry).ok());
            rivals.extend(claim.map(|claim| (holder.clone(), claim)));
        }
        Ok(rivals)
    }
}

/// What lies under a key, understood or not.
enum Found<T> {
    Readable(Seen<T>),
    Damaged(Entry),
}

impl<T> Found<T> {
    fn parse(entry: Entry, parse: impl Fn(Entry) -> Result<Seen<T>, StoreError>) -> Self {
        match parse(entry.clone()) {
            Ok(seen) => Self::Readable(seen),
            Err(_) => Self::Damaged(entry),
        }
    }

    fn readable(&self) -> Option<&Seen<T>> {
        match self {
            Self::Readable(seen) => Some(seen),
            Self::Damaged(_) => None,
        }
    }

    fn guard(&self) -> Guard {
        match self {
            Self::Readable(seen) => seen.guard(),
            Self::Damaged(entry) => Guard::Is(entry.key.clone(), entry.value.clone()),
        }
    }
}

/// What the store has under one address of an occupant.
struct Place {
    held: Option<Found<HeldAddress>>,
    kept: Option<Found<KeptAddress>>,
}

/// An occupant beside what the store has of it.
struct Plan<'a> {
    occupant: &'a Occupant,
    claim: Option<Found<Claim>>,
    /// Whether its pod's index points at anybody: whoever that is, it is newer than a claim that is only written again.
    has_index: bool,
    /// One for each address.
    places: Vec<Place>,
}

impl Plan<'_> {
    fn restoration<M: OrderedMap>(
        self,
        store: &Store<M>,
        rivals: &BTreeMap<Attachment, Seen<Claim>>,
        taken: &mut BTreeMap<IpAddr, HeldAddress>,
        judge: &impl Fn(&Occupant, &HeldAddress) -> Rival,
        now: Timestamp,
    ) -> Restoration {
        let occupant = self.occupant;
        let mut found = Restoration {
            occupant: occupant.clone(),
            missing: Vec::new(),
            moved: Vec::new(),
            shared: Vec::new(),
            unused: Vec::new(),
            ended: Vec::new(),
            change: Change::default(),
        };
        let mut claim = self.claim_so_far(now);
        let mut claimed: Vec<(&Assignment, &Place)> = Vec::new();
        for (assignment, place) in occupant.addresses.iter().zip(&self.places) {
            let address = assignment.address;
            if let Some(first) = taken.get(&address) {
                if judge(occupant, first) != Rival::Succeeds {
                    found.shared.push(first.clone());
                }
                continue;
            }
            let listed = claim.addresses().any(|listed| listed == address);
            match place.held.as_ref().and_then(Found::readable).map(|seen| &seen.record) {
                Some(held) if held.attachment == occupant.attachment && listed => continue,
                // Its claim, read or put together from its records, says what happened to the address.
                Some(held) if is_ceded(&claim, held) => continue,
                Some(held) if held.attachment != occupant.attachment => match judge(occupant, held) {
                    Rival::Succeeds => continue,
                    Rival::GivesWay if can_cede(rivals, held) => found.moved.push(held.clone()),
                    Rival::GivesWay | Rival::Stays => {
                        found.shared.push(held.clone());
                        continue;
                    }
                },
                _ => found.missing.push(address),
            }
            if !listed {
                claim.addresses.push(self.known(assignment, place));
            }
            claimed.push((assignment, place));
        }
        found.unused = self.unused(&claim);
        for (assignment, _) in &claimed {
            taken.insert(assignment.address, claim.held_address(assignment));
        }
        if !claimed.is_empty() {
            self.write(store, rivals, &claimed, claim, &mut found);
        }
        found
    }

    /// The claim as the store has it; where it has none, an empty one with what the records of its addresses say.
    fn claim_so_far(&self, now: Timestamp) -> Claim {
        if let Some(seen) = self.claim.as_ref().and_then(Found::readable) {
            return seen.record.clone();
        }
        let Occupant { attachment, node, machine, pod, .. } = self.occupant;
        let mut claim = Claim {
            attachment: attachment.clone(),
            node: node.clone(),
            machine: machine.clone(),
            pod: pod.clone(),
            addresses: Vec::new(),
            ceded: Vec::new(),
            former: BTreeMap::new(),
            policy: None,
            since: now,
        };
        if let Some(own) = self.places.iter().find_map(|place| self.own(place)) {
            claim = Claim {
                node: own.node.clone(),
                machine: own.machine.clone(),
                pod: own.pod.clone(),
                policy: own.policy.clone(),
                since: own.since,
                ..claim
            };
        }
        claim
    }

    /// The record of an address, where it is the occupant's.
    fn own<'p>(&self, place: &'p Place) -> Option<&'p HeldAddress> {
        let seen = place.held.as_ref()?.readable()?;
        (seen.record.attachment == self.occupant.attachment).then_some(&seen.record)
    }

    /// The assignment as the container was told it, with what only its record knows.
    fn known(&self, assignment: &Assignment, place: &Place) -> Assignment {
        match self.own(place) {
            Some(own) => {
                Assignment { kind: own.kind, hold: own.hold.clone(), slot: own.slot.clone(), ..assignment.clone() }
            }
            None => assignment.clone(),
        }
    }

    fn unused(&self, claim: &Claim) -> Vec<IpAddr> {
        let has = |address: &IpAddr| self.occupant.addresses.iter().any(|assignment| assignment.address == *address);
        claim.addresses().filter(|address| !has(address)).collect()
    }

    fn write<M: OrderedMap>(
        &self,
        store: &Store<M>,
        rivals: &BTreeMap<Attachment, Seen<Claim>>,
        claimed: &[(&Assignment, &Place)],
        mut claim: Claim,
        found: &mut Restoration,
    ) {
        let keys = &store.keys;
        let key = keys.attachment(&claim.attachment);
        let change = &mut found.change;
        change.require(self.claim.as_ref().map_or_else(|| Guard::Absent(key.clone()), Found::guard));
        for held in &found.moved {
            claim.former.insert(held.address, held.party());
        }
        let mut ceding: BTreeMap<&Attachment, Claim> = BTreeMap::new();
        for held in &found.moved {
            let Some(rival) = rivals.get(&held.attachment) else { continue };
            change.require(rival.guard());
            let ceding = ceding.entry(&held.attachment).or_insert_with(|| rival.record.clone());
            cede(ceding, held.address, &claim);
        }
        for (holder, ceding) in ceding {
            change.put(keys.attachment(holder), encode(&ceding));
        }
        for (assignment, place) in claimed {
            let (key, hold) = (keys.address(assignment.address), keys.hold(assignment.address));
            change.require(place.held.as_ref().map_or_else(|| Guard::Absent(key.clone()), Found::guard));
            if let Some(listed) = claim.addresses.iter().find(|listed| listed.address == assignment.address) {
                change.put(key, encode(&claim.held_address(listed)));
            }
            change.require(place.kept.as_ref().map_or_else(|| Guard::Absent(hold.clone()), Found::guard));
            match &place.kept {
                Some(Found::Readable(kept)) => {
                    end_hold(keys, &kept.record, change);
                    found.ended.push(kept.record.clone());
                }
                Some(Found::Damaged(_)) => drop(change.delete(hold)),
                None => {}
            }
        }
        change.put(key, encode(&claim)).put(keys.node_of(&claim), "");
        let index = claim.pod.as_ref().map(|pod| keys.pod(pod, &claim.attachment));
        if let Some(index) = index.filter(|_| !self.has_index && claim.pod == self.occupant.pod) {
            change.require(Guard::Absent(index.clone())).put(index, claim.attachment.container.as_str());
        }
    }
}

/// Whether an address is with another because the claim ceded it.
fn is_ceded(claim: &Claim, held: &HeldAddress) -> bool {
    let is_former = held.former.as_ref().is_some_and(|former| former.attachment == claim.attachment);
    is_former || claim.ceded.iter().any(|ceded| ceded.assignment.address == held.address)
}

/// Whether a holder's claim can go on naming an address that moves. An address has room for one former holder.
fn can_cede(rivals: &BTreeMap<Attachment, Seen<Claim>>, held: &HeldAddress) -> bool {
    let claim = rivals.get(&held.attachment).map(|seen| &seen.record);
    held.former.is_none() && claim.is_some_and(|claim| claim.addresses().any(|address| address == held.address))
}

fn cede(claim: &mut Claim, address: IpAddr, to: &Claim) {
    if let Some(at) = claim.addresses.iter().position(|assignment| assignment.address == address) {
        let assignment = claim.addresses.remove(at);
        claim.ceded.push(Ceded { assignment, to: to.party() });
    }
}
