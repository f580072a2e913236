//! The half of a move that writes: claims and holds as they arrive in these books, or why they do not.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{MoveOutcome, MovingClaim};
use crate::Store;
use crate::batch::{AddressTicket, AtAddress, Batch, Ticket};
use crate::error::StoreError;
use crate::hold::{clear_hold, write_hold};
use crate::ordered::{Change, Entry, Guard, OrderedMap};
use crate::record::{Hold, encode};
use ipam::{Allocation, Attachment, Claim, Holder, Slot};

/// Where claims move to, and the name the network has there.
pub(super) struct Here<'a> {
    pub(super) store: &'a Store,
    pub(super) network: &'a str,
    /// Whether the former books are the same domain of the same map: the addresses stay where they are.
    pub(super) same: bool,
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
    /// The change that writes claims into these books, or why they cannot be written.
    pub(super) async fn enter(
        &self,
        claims: &[MovingClaim],
        now: Timestamp,
    ) -> Result<Result<Change, MoveOutcome>, StoreError> {
        let mut view = self.store.map.view().await?;
        let leaving: BTreeSet<&Attachment> = claims.iter().map(|MovingClaim(seen)| &seen.record.attachment).collect();
        let mut change = Change::default();
        for MovingClaim(seen) in claims {
            let claim = renamed(&seen.record, self.network);
            // One read for each claim: a group is nearly always a single one.
            let mut batch = self.store.batch();
            let tickets = ArrivalTickets::of(&claim, &mut batch);
            let mut answers = batch.read(&mut view).await?;
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
            self.enter_pod(&claim, newest.is_some(), &mut change);
            let slots = tickets.slots.into_iter().map(|slot| answers.entry(slot).is_some()).collect();
            if let Some(slot) = self.enter_slots(&claim, slots, &mut change) {
                return Ok(Err(MoveOutcome::Differs(format!("{slot} is taken here"))));
            }
            for (allocation, address) in claim.allocations().zip(tickets.addresses) {
                if let Some(other) =
                    self.enter_address(&allocation, answers.address(address)?, &leaving, now, &mut change)
                {
                    return Ok(Err(MoveOutcome::Taken(allocation.address, Box::new(other))));
                }
            }
            change.put(self.store.keys.attachment(&claim.attachment), encode(&claim));
            change.put(self.store.keys.node_of(&claim), "");
        }
        Ok(Ok(change))
    }

    /// Let the pod's index point at the claim, unless it points at a newer attachment already.
    fn enter_pod(&self, claim: &Claim, has_newest: bool, change: &mut Change) {
        if let Some(pod) = &claim.pod
            && !has_newest
        {
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

    pub(super) async fn enter_hold(
        &self,
        hold: &Hold,
        now: Timestamp,
    ) -> Result<Result<Change, MoveOutcome>, StoreError> {
        let keys = &self.store.keys;
        let mut batch = self.store.batch();
        let address = batch.address(hold.address);
        let at = self.store.read_now(batch).await?.address(address)?;
        let mut change = Change::default();
        if let Some(holder) = at.holder(now) {
            if at.hold.is_some_and(|found| found.record == *hold) {
                return Ok(Ok(change));
            }
            return Ok(Err(MoveOutcome::Taken(hold.address, Box::new(holder))));
        }
        clear_hold(keys, hold.address, at.hold.as_ref(), &mut change);
        change.require(Guard::Absent(keys.address(hold.address)));
        write_hold(keys, hold, &mut change);
        Ok(Ok(change))
    }
}

/// The claim as it is where its network has this name.
fn renamed(claim: &Claim, network: &str) -> Claim {
    let former = claim.attachment.network.as_str();
    let mut claim = claim.clone();
    let parties = claim.former.values_mut().chain(claim.ceded.iter_mut().map(|ceded| &mut ceded.to));
    for party in parties.filter(|party| party.attachment.network == former) {
        party.attachment.network = network.to_owned();
    }
    claim.attachment.network = network.to_owned();
    claim
}
