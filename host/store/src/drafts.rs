//! Other claims as a change will leave them. A change may touch the claim of another attachment more than once: take
//! one address from it, give another back. Each is edited here, and written once.
//!
//! ```text
//!   A holds X ── B takes X, A cedes ──►  A: ceded X to B      record of X: B, former A      B: X, former A
//!   B is released ─────────────────────►  A: X                 record of X: A
//!   A is released, while B has X ──────►                       record of X: B                B: X
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::hold::give_back_slot;
use super::keys::Keys;
use super::ordered::{Change, Entry, Guard};
use super::record::{Seen, encode};
use ipam::{Attachment, Ceded, Claim, Party};

/// Another attachment, some of whose addresses a change may touch.
pub(crate) struct Other {
    pub(crate) claim: Seen<Claim>,
    /// The entry of its pod's index, which may point at a newer attachment.
    pub(crate) newest: Option<Entry>,
}

/// Claims that were read beside the one a change is about.
pub(crate) type Others = BTreeMap<Attachment, Other>;

/// Edits of other claims, to be written together.
pub(super) struct Drafts<'a> {
    keys: &'a Keys,
    others: &'a Others,
    edited: BTreeMap<Attachment, Claim>,
}

impl<'a> Drafts<'a> {
    pub(super) fn new(keys: &'a Keys, others: &'a Others) -> Self {
        Self { keys, others, edited: BTreeMap::new() }
    }

    /// A claim as it stands in this change; `None` where it was not read or cannot be.
    fn get(&self, attachment: &Attachment) -> Option<&Claim> {
        if let Some(edited) = self.edited.get(attachment) {
            return Some(edited);
        }
        self.others.get(attachment).map(|other| &other.claim.record)
    }

    /// Whether `former` has ceded the address to this holder.
    pub(super) fn has_ceded(&self, former: &Attachment, address: IpAddr, holder: &Attachment) -> bool {
        let Some(claim) = self.get(former) else { return false };
        claim.ceded.iter().any(|ceded| ceded.assignment.address == address && ceded.to.attachment == *holder)
    }

    /// Take an address from its holder, whose claim either forgets it or lists it as ceded.
    pub(super) fn take(&mut self, holder: &Attachment, address: IpAddr, cedes_to: Option<&Party>, change: &mut Change) {
        let Some(mut claim) = self.get(holder).cloned() else { return };
        let Some(at) = claim.addresses.iter().position(|assignment| assignment.address == address) else { return };
        let assignment = claim.addresses.remove(at);
        claim.former.remove(&address);
        match cedes_to {
            // The pod lives and counts: its slot stays taken.
            Some(to) => claim.ceded.push(Ceded { assignment, to: to.clone() }),
            None => give_back_slot(self.keys, &assignment, change),
        }
        self.edited.insert(holder.clone(), claim);
    }

    /// What a former holder ceded has moved on to another attachment.
    pub(super) fn cede_on(&mut self, former: &Attachment, address: IpAddr, to: &Party) {
        let Some(mut claim) = self.get(former).cloned() else { return };
        for ceded in claim.ceded.iter_mut().filter(|ceded| ceded.assignment.address == address) {
            ceded.to = to.clone();
        }
        self.edited.insert(former.clone(), claim);
    }

    /// A former holder is gone: its claim forgets what it ceded.
    pub(super) fn forget_ceded(&mut self, former: &Attachment, address: IpAddr, change: &mut Change) {
        let Some(mut claim) = self.get(former).cloned() else { return };
        for ceded in claim.ceded.iter().filter(|ceded| ceded.assignment.address == address) {
            give_back_slot(self.keys, &ceded.assignment, change);
        }
        claim.ceded.retain(|ceded| ceded.assignment.address != address);
        self.edited.insert(former.clone(), claim);
    }

    /// The holder lets go of an address: it returns to the attachment that ceded it. False where none did.
    pub(super) fn give_back(
        &mut self,
        former: &Party,
        address: IpAddr,
        holder: &Attachment,
        change: &mut Change,
    ) -> bool {
        if !self.has_ceded(&former.attachment, address, holder) {
            return false;
        }
        let Some(mut claim) = self.get(&former.attachment).cloned() else { return false };
        let Some(at) = claim.ceded.iter().position(|ceded| ceded.assignment.address == address) else { return false };
        let assignment = claim.ceded.remove(at).assignment;
        change.put(self.keys.address(address), encode(&claim.allocation(&assignment)));
        claim.addresses.push(assignment);
        self.edited.insert(former.attachment.clone(), claim);
        true
    }

    /// A former holder ends: the record of what it ceded, and the claim of who has it, no longer name it.
    pub(super) fn forget_former(&mut self, ceded: &Ceded, former: &Attachment, change: &mut Change) {
        let address = ceded.assignment.address;
        give_back_slot(self.keys, &ceded.assignment, change);
        let Some(mut claim) = self.get(&ceded.to.attachment).cloned() else { return };
        let Some(assignment) = claim.addresses.iter().find(|held| held.address == address).cloned() else { return };
        if claim.former.get(&address).is_none_or(|party| party.attachment != *former) {
            return;
        }
        // The record was not read: what it is follows from the holder's claim, which was.
        let key = self.keys.address(address);
        change.require(Guard::Is(key.clone(), encode(&claim.allocation(&assignment))));
        claim.former.remove(&address);
        change.put(key, encode(&claim.allocation(&assignment)));
        self.edited.insert(ceded.to.attachment.clone(), claim);
    }

    /// Write every edited claim, fenced by what was read of it. One that is over ends with its indexes.
    pub(super) fn write(self, change: &mut Change) {
        for (attachment, claim) in &self.edited {
            let Some(other) = self.others.get(attachment) else { continue };
            change.require(other.claim.guard());
            let key = self.keys.attachment(attachment);
            if !claim.is_over() {
                change.put(key, encode(claim));
                continue;
            }
            change.delete(key).delete(self.keys.node_of(claim));
            // Compared and not only deleted: by now it may point at a newer container of that pod.
            if let Some(newest) = &other.newest
                && newest.value == attachment.container.as_bytes()
            {
                change.require(Guard::Is(newest.key.clone(), newest.value.clone())).delete(newest.key.clone());
            }
        }
    }
}
