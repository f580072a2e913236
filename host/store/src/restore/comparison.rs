//! An occupant beside what the store has of it, and the change that brings the two together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Occupant, Restoration, Rival};
use crate::Store;
use crate::hold::end_hold;
use crate::keys::Keys;
use crate::ordered::{Change, Entry, Guard};
use crate::record::{Hold, Keyed, Seen, encode};
use ipam::{Allocation, Assignment, Attachment, Ceded, Claim};

/// What lies under a key, understood or not.
pub(super) enum Found<T> {
    Readable(Seen<T>),
    Damaged(Entry),
}

impl<T: Keyed> Found<T> {
    pub(super) fn parse(keys: &Keys, entry: Entry) -> Self {
        match Seen::parse(keys, entry.clone()) {
            Ok(seen) => Self::Readable(seen),
            Err(_) => Self::Damaged(entry),
        }
    }

    pub(super) fn readable(&self) -> Option<&Seen<T>> {
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
pub(super) struct Place {
    pub(super) held: Option<Found<Allocation>>,
    pub(super) hold: Option<Found<Hold>>,
}

impl Place {
    fn reservation(&self) -> Option<&Hold> {
        let hold = &self.hold.as_ref()?.readable()?.record;
        hold.reservation.is_some().then_some(hold)
    }
}

/// An occupant beside what the store has of it.
pub(super) struct Comparison<'a> {
    pub(super) occupant: &'a Occupant,
    pub(super) claim: Option<Found<Claim>>,
    /// Whether its pod's index points at anybody: whoever that is, it is newer than a claim that is only written again.
    pub(super) has_index: bool,
    /// One for each address of the occupant, in its order.
    pub(super) places: Vec<Place>,
}

impl Comparison<'_> {
    /// Work out what puts the store right. `taken` has the addresses that occupants before this one get, and gains this
    /// one's.
    pub(super) fn plan_restoration(
        self,
        store: &Store,
        rivals: &BTreeMap<Attachment, Seen<Claim>>,
        taken: &mut BTreeMap<IpAddr, Allocation>,
        judge: &impl Fn(&Occupant, &Allocation) -> Rival,
        now: Timestamp,
    ) -> Restoration {
        let occupant = self.occupant;
        let mut found = Restoration::empty(occupant);
        let mut claim = self.claim_so_far(now);
        let mut claimed: Vec<(&Assignment, &Place)> = Vec::new();
        for (assignment, place) in occupant.addresses.iter().zip(&self.places) {
            let address = assignment.address;
            // Another occupant of the same plan gets it; the store cannot say so yet, as nothing was written.
            if let Some(first) = taken.get(&address) {
                if judge(occupant, first) != Rival::Succeeds {
                    found.shared.push(first.clone());
                }
                continue;
            }
            let listed = claim.addresses().any(|listed| listed == address);
            if let Some(hold) = place.reservation()
                && place.held.is_none()
            {
                found.reserved.push(hold.clone());
                continue;
            }
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
            taken.insert(assignment.address, claim.allocation(assignment));
        }
        // An index alone that is missing is for the other half of fsck, which knows every record.
        if !claimed.is_empty() {
            self.write(store, rivals, &claimed, claim, &mut found);
        }
        found.ended.retain(|hold| hold.is_standing(now));
        found
    }

    /// The claim as the store has it; where it has none, an empty one with what the records of its addresses say.
    fn claim_so_far(&self, now: Timestamp) -> Claim {
        if let Some(seen) = self.claim.as_ref().and_then(Found::readable) {
            return seen.record.clone();
        }
        let Occupant { attachment, node, machine, pod, .. } = self.occupant;
        match self.places.iter().find_map(|place| self.own(place)) {
            Some(own) => Claim::empty_like(own),
            None => Claim::empty(attachment.clone(), node, machine, pod.clone(), now),
        }
    }

    /// The record of an address, where it is the occupant's.
    fn own<'p>(&self, place: &'p Place) -> Option<&'p Allocation> {
        let seen = place.held.as_ref()?.readable()?;
        (seen.record.attachment == self.occupant.attachment).then_some(&seen.record)
    }

    /// The assignment as the container was told it, with what only its record knows.
    fn known(&self, assignment: &Assignment, place: &Place) -> Assignment {
        let mut known = assignment.clone();
        if let Some(own) = self.own(place) {
            known.kind = own.kind;
            known.hold = own.hold.clone();
            known.slot = own.slot.clone();
            known.why = own.why;
        }
        known
    }

    fn unused(&self, claim: &Claim) -> Vec<IpAddr> {
        let told: BTreeSet<IpAddr> = self.occupant.addresses.iter().map(|assignment| assignment.address).collect();
        claim.addresses().filter(|address| !told.contains(address)).collect()
    }

    fn write(
        &self,
        store: &Store,
        rivals: &BTreeMap<Attachment, Seen<Claim>>,
        claimed: &[(&Assignment, &Place)],
        mut claim: Claim,
        found: &mut Restoration,
    ) {
        let keys = &store.keys;
        let key = keys.attachment(&claim.attachment);
        let change = &mut found.change;
        change.require(guard_of(self.claim.as_ref(), &key));
        for held in &found.moved {
            claim.former.insert(held.address, held.party());
        }
        cede_moved(keys, rivals, &found.moved, &claim, change);
        for (assignment, place) in claimed {
            let key = keys.address(assignment.address);
            // What is damaged is compared as well, to the byte: somebody may be repairing it at this moment.
            change.require(guard_of(place.held.as_ref(), &key));
            if let Some(listed) = claim.addresses.iter().find(|listed| listed.address == assignment.address) {
                change.put(key, encode(&claim.allocation(listed)));
            }
            found.ended.extend(end_hold_of(keys, assignment.address, place, change));
        }
        change.put(key, encode(&claim)).put(keys.node_of(&claim), "");
        // Whatever the pod's index points at is newer than a claim that is only written again.
        if let Some(pod) = &claim.pod
            && !self.has_index
            && claim.pod == self.occupant.pod
        {
            let index = keys.pod(pod, &claim.attachment);
            change.require(Guard::Absent(index.clone())).put(index, claim.attachment.container.as_str());
        }
    }
}

/// Let the claims of those who give way go on naming the addresses that move, so that each is free only when both are
/// released.
fn cede_moved(
    keys: &Keys,
    rivals: &BTreeMap<Attachment, Seen<Claim>>,
    moved: &[Allocation],
    to: &Claim,
    change: &mut Change,
) {
    // One claim may cede several, and is written once.
    let mut edited: BTreeMap<&Attachment, Claim> = BTreeMap::new();
    for held in moved {
        let Some(rival) = rivals.get(&held.attachment) else { continue };
        change.require(rival.guard());
        let ceding = edited.entry(&held.attachment).or_insert_with(|| rival.record.clone());
        cede(ceding, held.address, to);
    }
    for (holder, ceding) in edited {
        change.put(keys.attachment(holder), encode(&ceding));
    }
}

/// End the hold of an address that a container uses, whatever it says: no address is held and on hold at once. Returns the
/// hold, where it can be read.
fn end_hold_of(keys: &Keys, address: IpAddr, place: &Place, change: &mut Change) -> Option<Hold> {
    let key = keys.hold(address);
    change.require(guard_of(place.hold.as_ref(), &key));
    match &place.hold {
        Some(Found::Readable(hold)) => {
            end_hold(keys, &hold.record, change);
            Some(hold.record.clone())
        }
        Some(Found::Damaged(_)) => {
            change.delete(key);
            None
        }
        None => None,
    }
}

/// What lies under a key is as it was found, or still absent.
fn guard_of<T: Keyed>(found: Option<&Found<T>>, key: &str) -> Guard {
    match found {
        Some(found) => found.guard(),
        None => Guard::Absent(key.to_owned()),
    }
}

/// Whether an address is with another because the claim ceded it.
fn is_ceded(claim: &Claim, held: &Allocation) -> bool {
    let is_former = held.former.as_ref().is_some_and(|former| former.attachment == claim.attachment);
    is_former || claim.ceded.iter().any(|ceded| ceded.assignment.address == held.address)
}

/// Whether a holder's claim can go on naming an address that moves. An address has room for one former holder.
fn can_cede(rivals: &BTreeMap<Attachment, Seen<Claim>>, held: &Allocation) -> bool {
    let claim = rivals.get(&held.attachment).map(|seen| &seen.record);
    held.former.is_none() && claim.is_some_and(|claim| claim.addresses().any(|address| address == held.address))
}

fn cede(claim: &mut Claim, address: IpAddr, to: &Claim) {
    if let Some(at) = claim.addresses.iter().position(|assignment| assignment.address == address) {
        let assignment = claim.addresses.remove(at);
        claim.ceded.push(Ceded { assignment, to: to.party() });
    }
}
