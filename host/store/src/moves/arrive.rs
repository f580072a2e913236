//! The half of a move that writes: claims and holds as they arrive in these books, or why they do not.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::MoveOutcome;
use crate::Store;
use crate::batch::{AddressTicket, Answers, AtAddress, Batch, Ticket};
use crate::error::StoreError;
use crate::hold::{clear_hold, write_hold};
use crate::ordered::{Change, Entry, Guard};
use crate::record::{Hold, encode};
use ipam::{Allocation, Attachment, Claim, Holder, Slot};

/// A claim that comes into these books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub claim: Claim,
    /// Whether the index of pods may point at it. Of several containers of one pod that is the newest alone.
    pub is_newest: bool,
}

impl Arrival {
    /// The claim as it is where its network has this name.
    pub(super) fn renamed(claim: &Claim, network: &str, is_newest: bool) -> Self {
        let former = claim.attachment.network.as_str();
        let mut claim = claim.clone();
        let parties = claim.former.values_mut().chain(claim.ceded.iter_mut().map(|ceded| &mut ceded.to));
        for party in parties.filter(|party| party.attachment.network == former) {
            party.attachment.network = network.to_owned();
        }
        claim.attachment.network = network.to_owned();
        Self { claim, is_newest }
    }
}

/// Where claims move to.
pub(crate) struct Here<'a> {
    pub(crate) store: &'a Store,
    /// Whether the former books are the same domain of the same map: the addresses stay where they are.
    pub(crate) same: bool,
}

/// What is asked of these books about a claim that comes.
struct ArrivalTickets {
    claim: Ticket<Claim>,
    newest: Option<Ticket<Entry>>,
    slots: Vec<Ticket<Entry>>,
    addresses: Vec<AddressTicket>,
}

impl ArrivalTickets {
    fn of(claim: &Claim, batch: &mut Batch) -> Self {
        Self {
            claim: batch.claim(&claim.attachment),
            newest: claim.pod.as_ref().map(|pod| batch.newest(pod, &claim.attachment)),
            slots: claim.slots().map(|slot| batch.slot(slot)).collect(),
            addresses: claim.addresses().map(|address| batch.address(address)).collect(),
        }
    }
}

impl Here<'_> {
    /// For each group of claims that have to come at once, the change that writes them into these books, or why they cannot
    /// be written. One read for all of them.
    pub(crate) async fn enter(
        &self,
        groups: &[Vec<Arrival>],
        leaving: &BTreeSet<&Attachment>,
        now: Timestamp,
    ) -> Result<Vec<Result<Change, MoveOutcome>>, StoreError> {
        let mut batch = self.store.batch();
        let mut tickets = Vec::new();
        for arrival in groups.iter().flatten() {
            tickets.push(ArrivalTickets::of(&arrival.claim, &mut batch));
        }
        let mut answers = self.store.read_now(batch).await?;
        let mut tickets = tickets.into_iter();
        let mut changes = Vec::with_capacity(groups.len());
        for group in groups {
            let tickets: Vec<ArrivalTickets> = tickets.by_ref().take(group.len()).collect();
            changes.push(self.enter_group(group, tickets, &mut answers, leaving, now)?);
        }
        Ok(changes)
    }

    fn enter_group(
        &self,
        group: &[Arrival],
        tickets: Vec<ArrivalTickets>,
        answers: &mut Answers,
        leaving: &BTreeSet<&Attachment>,
        now: Timestamp,
    ) -> Result<Result<Change, MoveOutcome>, StoreError> {
        let mut change = Change::default();
        for (Arrival { claim, is_newest }, tickets) in group.iter().zip(tickets) {
            if let Some(own) = answers.record(tickets.claim)? {
                // A move that was cut off after its first half: what is here already is right.
                if own.record.addresses().eq(claim.addresses()) {
                    continue;
                }
                return Ok(Err(MoveOutcome::Differs("it holds other addresses here".to_owned())));
            }
            // First of all guards: it is the change's subject.
            change.require(Guard::Absent(self.store.keys.attachment(&claim.attachment)));
            let newest = tickets.newest.and_then(|newest| answers.entry(newest));
            if *is_newest && newest.is_none() {
                self.enter_pod(claim, &mut change);
            }
            let slots = tickets.slots.into_iter().map(|slot| answers.entry(slot).is_some()).collect();
            if let Some(slot) = self.enter_slots(claim, slots, &mut change) {
                return Ok(Err(MoveOutcome::Differs(format!("{slot} is taken here"))));
            }
            for (allocation, address) in claim.allocations().zip(tickets.addresses) {
                if let Some(other) =
                    self.enter_address(&allocation, answers.address(address)?, leaving, now, &mut change)
                {
                    return Ok(Err(MoveOutcome::Taken(allocation.address, Box::new(other))));
                }
            }
            change.put(self.store.keys.attachment(&claim.attachment), encode(claim));
            change.put(self.store.keys.node_of(claim), "");
        }
        Ok(Ok(change))
    }

    /// Let the pod's index, which points at nobody here, point at the claim.
    fn enter_pod(&self, claim: &Claim, change: &mut Change) {
        if let Some(pod) = &claim.pod {
            let newest = self.store.keys.pod(pod, &claim.attachment);
            change.require(Guard::Absent(newest.clone())).put(newest, claim.attachment.container.as_str());
        }
    }

    /// Take the slots of the addresses, and of those that are ceded. Returns one that another has.
    fn enter_slots(&self, claim: &Claim, taken: Vec<bool>, change: &mut Change) -> Option<Slot> {
        let slots = claim.assignments().filter_map(|one| Some((one.slot.as_ref()?, one.address)));
        for ((slot, address), taken) in slots.zip(taken) {
            let key = self.store.keys.slot(slot);
            if !self.same {
                if taken {
                    return Some(slot.clone());
                }
                change.require(Guard::Absent(key.clone()));
            }
            change.put(key, address.to_string());
        }
        None
    }

    /// Write one address of a claim that comes. Returns its holder where that is somebody else.
    fn enter_address(
        &self,
        allocation: &Allocation,
        at: AtAddress,
        leaving: &BTreeSet<&Attachment>,
        now: Timestamp,
        change: &mut Change,
    ) -> Option<Holder> {
        let keys = &self.store.keys;
        match at.holder(now) {
            // In the same domain the address stays where it is; only the network's name in its record changes.
            Some(Holder::Attachment(other)) if self.same && leaving.contains(&other.attachment) => {}
            Some(holder) => return Some(holder),
            None => clear_hold(keys, at.address, at.hold.as_ref(), change),
        }
        if !self.same {
            change.require(Guard::Absent(keys.address(at.address)));
        }
        change.put(keys.address(at.address), encode(allocation));
        None
    }

    /// For each hold the change that writes it into these books, or why it cannot be written. One read for all of them.
    pub(crate) async fn enter_holds(
        &self,
        holds: &[Hold],
        now: Timestamp,
    ) -> Result<Vec<Result<Change, MoveOutcome>>, StoreError> {
        let mut batch = self.store.batch();
        let tickets: Vec<_> = holds.iter().map(|hold| batch.address(hold.address)).collect();
        let mut answers = self.store.read_now(batch).await?;
        let mut changes = Vec::with_capacity(holds.len());
        for (hold, ticket) in holds.iter().zip(tickets) {
            changes.push(self.enter_hold(hold, answers.address(ticket)?, now));
        }
        Ok(changes)
    }

    fn enter_hold(&self, hold: &Hold, at: AtAddress, now: Timestamp) -> Result<Change, MoveOutcome> {
        let keys = &self.store.keys;
        let mut change = Change::default();
        if let Some(holder) = at.holder(now) {
            // Of two reservations of one address the one that is here stays: nobody gets the address either way.
            let is_reserved = matches!(holder, Holder::Reservation(_)) && hold.reservation.is_some();
            if is_reserved || at.hold.is_some_and(|found| found.record == *hold) {
                return Ok(change);
            }
            return Err(MoveOutcome::Taken(hold.address, Box::new(holder)));
        }
        clear_hold(keys, hold.address, at.hold.as_ref(), &mut change);
        change.require(Guard::Absent(keys.address(hold.address)));
        write_hold(keys, hold, &mut change);
        Ok(change)
    }
}
