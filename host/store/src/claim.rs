//! The first of the two writes: a claim.
//!
//! ```text
//!   proposals, best first      each becomes one change; the store applies the first whose guards all hold
//!     10.0.0.7 + fd00::7  ──►  guards   no claim of this attachment          writes   the claim, by attachment
//!                                       per address: it is not in use,                 the record of each address
//!                                         or its holder as the look saw it            the indexes: node, pod, slots
//!                                       per address: no hold,                         what a replaced one leaves
//!                                         or the hold as the look saw it              the cursor, the registration
//!     10.0.0.9 + fd00::9  ──►  …
//! ```
//!
//! Nothing is locked between the look and the claim; the guards are what makes the look true for one more moment. They name
//! exactly what the decision rests on and no more: two pods that want different addresses never meet in a guard. The cursor
//! is written without one, for that reason, and so is whatever else may be overwritten without harm.

use std::time::Duration;

use futures_util::future::join;
use jiff::Timestamp;

use super::Store;
use super::cursors::write_meanwhile;
use super::drafts::Drafts;
use super::error::StoreError;
use super::hold::{self, free, give_back_slot};
use super::keys::Keys;
use super::look::{Look, Requester};
use super::marks;
use super::ordered::{Change, Commit, Guard, OrderedMap};
use super::record::{Seen, encode};
use super::registry::Registering;
use ipam::{Allocation, Assignment, Claim, HandOver, Kind, Party, PolicyName, Proposal};

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one per invocation")]
pub enum Claimed {
    /// The attachment holds this now, durably.
    Done(Claim),
    /// Of every proposal, some address was taken meanwhile, or the attachment's own claim changed. Look again.
    Lost,
}

impl Store {
    /// Claim the first proposal whose every address is free, in one transaction. Proposals come best first.
    ///
    /// An address counts as free, too, when it is
    /// - held by the older attachment the look found (`previous`): taken over, and the rest of it released;
    /// - fixed in the proposal, and held by another container of the same pod: taken over, the rest stays;
    /// - among those `handed_over`, by holders that are gone or cede it: taken over, the rest stays;
    /// - on hold for the identity the proposal names, or no longer on hold.
    ///
    /// A slot is free when nobody has it, or that older attachment.
    ///
    /// Each of these is fenced by the records the look saw.
    pub async fn claim(
        &self,
        mut look: Look,
        proposals: &[Proposal],
        policy: Option<PolicyName>,
        handed_over: &[HandOver],
    ) -> Result<Claimed, StoreError> {
        if let Some(claim) = look.claim {
            return Ok(Claimed::Done(claim));
        }
        // The network moves here from another domain. What others claim there meanwhile is not seen by this look, and compares a
        // registration that is still theirs: it is changed first, and then there is another look.
        if let Some(leaving) = look.evidence.registering.as_ref().and_then(Registering::leaving) {
            self.map.commit(&[leaving]).await?;
            // In a rehearsal the registration stays as it is, so that another look would find the same.
            if !self.map.is_rehearsing() {
                return Ok(Claimed::Lost);
            }
        }
        // Every proposal becomes a change before anything is sent: the store tries them in one transaction, on which no other
        // claim can come between.
        let writer = ClaimWriter { keys: &self.keys, look: &look, handed_over, cooldown: self.cooldown };
        let mut claims: Vec<Claim> = proposals.iter().map(|proposal| writer.claim(proposal, policy.clone())).collect();
        let mut changes: Vec<Change> = claims.iter().map(|claim| writer.change(claim)).collect();
        // By the way, and by the first alternative alone: it nearly always wins.
        if let Some(first) = changes.first_mut() {
            hold::sweep(&self.keys, &look.evidence.expired, first);
            if let Some(claim) = claims.first() {
                marks::mark(&self.keys, &look, claim, first);
            }
        }
        let mut each = 1;
        if let Some(registering) = &look.evidence.registering {
            changes = changes.into_iter().flat_map(|change| registering.alternatives(change)).collect();
            each = (changes.len() / claims.len().max(1)).max(1);
        }
        // Nobody should keep reading the past while waiting for the turn to write.
        let cursors = look.cursors.take();
        drop(look);
        let (committed, ()) = join(self.map.commit(&changes), write_meanwhile(cursors)).await;
        match committed? {
            Commit::Done(index) => Ok(Claimed::Done(claims.swap_remove(index / each))),
            Commit::Lost => Ok(Claimed::Lost),
        }
    }
}

impl Look {
    /// Whether a claim of this address could succeed, as far as this look knows: nobody has it, or its holder has to
    /// give way.
    pub fn may_be_claimed(&self, assignment: &Assignment) -> bool {
        let is_held = self.evidence.holder(assignment.address).is_some();
        if is_held && self.may_take_over(assignment, &[]).is_none() {
            return false;
        }
        let hold = self.evidence.hold(assignment.address);
        hold.is_none_or(|hold| hold.record.ends_for(assignment, self.at()))
    }

    /// The record of an address that is held, where its holder has to give way.
    fn may_take_over<'a>(&'a self, assignment: &Assignment, handed_over: &'a [HandOver]) -> Option<TakeOver<'a>> {
        let seen = self.evidence.holder(assignment.address)?;
        let held = &seen.record;
        // The holder's own claim has to lose the address in the same transaction, so it has to have been read.
        self.evidence.other(&held.attachment)?;
        let judged = handed_over.iter().find(|judged| judged.held == *held);
        // Another interface of the same container is alive: it keeps what it has.
        let is_older =
            self.is_of_same_pod(held.pod.as_ref()) && held.attachment.container != self.requester.attachment.container;
        // Only a fixed address has to be this very one: a dynamic one can be another, and the older container may still run.
        if self.is_replaced(held) || judged.is_some() || (is_older && assignment.kind == Kind::Fixed) {
            return Some(TakeOver { seen, judged });
        }
        None
    }

    /// Whether an address is held by the older attachment, which ends with this claim.
    fn is_replaced(&self, held: &Allocation) -> bool {
        self.previous.as_ref().is_some_and(|previous| previous.attachment == held.attachment)
    }
}

/// An address that may be taken from its holder.
struct TakeOver<'a> {
    seen: &'a Seen<Allocation>,
    /// The API server's judgement of the holder; `None` where it is an older container of the same pod.
    judged: Option<&'a HandOver>,
}

/// What is needed to turn a proposal into a change.
struct ClaimWriter<'a> {
    keys: &'a Keys,
    look: &'a Look,
    handed_over: &'a [HandOver],
    cooldown: Option<Duration>,
}

impl ClaimWriter<'_> {
    fn now(&self) -> Timestamp {
        self.look.at()
    }

    fn claim(&self, proposal: &Proposal, policy: Option<PolicyName>) -> Claim {
        let Requester { attachment, node, machine, pod } = &self.look.requester;
        let empty = Claim::empty(attachment.clone(), node, machine, pod.clone(), self.now());
        let mut claim = Claim { policy, addresses: proposal.clone(), ..empty };
        for assignment in proposal {
            if let Some(former) = self.former_of(assignment) {
                claim.former.insert(assignment.address, former);
            }
        }
        claim
    }

    /// The party that lives, still uses this address, and gets it back later.
    fn former_of(&self, assignment: &Assignment) -> Option<Party> {
        let TakeOver { seen, judged } = self.look.may_take_over(assignment, self.handed_over)?;
        let former = match judged {
            Some(judged) => judged.former.as_ref()?,
            None => seen.record.former.as_deref()?,
        };
        let holder = &seen.record.attachment;
        let drafts = Drafts::new(self.keys, &self.look.evidence.others);
        // A mark without a claim behind it names a pod that is gone.
        if former.attachment == *holder || drafts.has_ceded(&former.attachment, assignment.address, holder) {
            return Some(former.clone());
        }
        None
    }

    fn change(&self, claim: &Claim) -> Change {
        let mut change = Change::default();
        let mut drafts = Drafts::new(self.keys, &self.look.evidence.others);
        // The claim comes first: it is the change's subject, by which etcd is asked how an unheard commit ended.
        change.require(Guard::Absent(self.keys.attachment(&claim.attachment)));
        for assignment in &claim.addresses {
            if let Some(take_over) = self.look.may_take_over(assignment, self.handed_over) {
                change.require(take_over.seen.guard());
                self.take(&take_over.seen.record, claim, &mut drafts, &mut change);
            } else {
                change.require(Guard::Absent(self.keys.address(assignment.address)));
            }
            self.end_hold(assignment, &mut change);
            self.require_slot(assignment, &mut change);
        }
        if let Some(previous) = &self.look.previous {
            self.replace(previous, claim, &mut drafts, &mut change);
        }
        // Only now: a claim that both lost an address and got one back is written once, with both.
        drafts.write(&mut change);
        self.write(claim, &mut change);
        change
    }

    /// Take an address from its holder. A claim that had ceded it to that holder learns who has it now, or forgets it.
    fn take(&self, held: &Allocation, claim: &Claim, drafts: &mut Drafts<'_>, change: &mut Change) {
        let address = held.address;
        let former = claim.former.get(&address);
        if let Some(earlier) = &held.former
            && earlier.attachment != held.attachment
        {
            match former {
                Some(former) if former.attachment == earlier.attachment => {
                    drafts.cede_on(&earlier.attachment, address, &claim.party());
                }
                _ => drafts.forget_ceded(&earlier.attachment, address, change),
            }
        }
        // The claim of an older attachment of the same pod ends as a whole.
        if self.look.is_replaced(held) {
            return;
        }
        let party = claim.party();
        let cedes_to = former.filter(|former| former.attachment == held.attachment).map(|_| &party);
        drafts.take(&held.attachment, address, cedes_to, change);
    }

    /// Require that an address has no hold, or end the one it has: it is over, or for this very identity.
    fn end_hold(&self, assignment: &Assignment, change: &mut Change) {
        let address = assignment.address;
        // A hold that stands and is for another makes this proposal lose, as one that was not seen would.
        let over = self.look.evidence.hold(address).filter(|hold| hold.record.ends_for(assignment, self.now()));
        // It may have been read from the index of identities, whose bytes are those under the address.
        hold::clear_hold(self.keys, address, over, change);
    }

    /// Require that nobody has the slot. One of the older attachment is fenced by the record of its claim.
    fn require_slot(&self, assignment: &Assignment, change: &mut Change) {
        let Some(slot) = &assignment.slot else { return };
        let replaced = self.look.previous.as_ref().is_some_and(|previous| previous.slots().any(|own| own == slot));
        if !replaced {
            change.require(Guard::Absent(self.keys.slot(slot)));
        }
    }

    /// Release the older attachment; the addresses the claim takes over are written after this.
    fn replace(&self, previous: &Claim, claim: &Claim, drafts: &mut Drafts<'_>, change: &mut Change) {
        let (keys, evidence) = (self.keys, &self.look.evidence);
        change.require(evidence.others[&previous.attachment].claim.guard());
        change.delete(keys.attachment(&previous.attachment));
        change.delete(keys.node_of(previous));
        for assignment in &previous.addresses {
            let address = assignment.address;
            // Its claim may list what is somebody else's by now, or nobody's: that is not touched.
            let Some(seen) = evidence.holder(address) else { continue };
            if seen.record.attachment != previous.attachment {
                continue;
            }
            change.require(seen.guard());
            if claim.addresses.iter().any(|new| new.address == address) {
                give_back_slot(keys, assignment, change);
                continue;
            }
            let former = seen.record.former.as_deref();
            if former.is_some_and(|former| drafts.give_back(former, address, &previous.attachment, change)) {
                give_back_slot(keys, assignment, change);
            } else {
                free(keys, assignment, self.now(), self.cooldown, change);
            }
        }
        for ceded in &previous.ceded {
            drafts.forget_former(ceded, &previous.attachment, change);
        }
    }

    /// Write the claim and its indexes. Comes last: where an older attachment had the same index entry, it is replaced.
    fn write(&self, claim: &Claim, change: &mut Change) {
        let keys = self.keys;
        for allocation in claim.allocations() {
            change.put(keys.address(allocation.address), encode(&allocation));
            if let Some(slot) = &allocation.slot {
                change.put(keys.slot(slot), allocation.address.to_string());
            }
        }
        change.put(keys.attachment(&claim.attachment), encode(claim));
        change.put(keys.node_of(claim), "");
        if let Some(pod) = &claim.pod {
            change.put(keys.pod(pod, &claim.attachment), claim.attachment.container.as_str());
        }
        if let Some(registering) = &self.look.evidence.registering {
            registering.write(change);
        }
        // A fixed address says nothing of where the next search should begin.
        let range_sets = self.look.snapshot.range_sets();
        for assignment in claim.addresses.iter().filter(|assignment| assignment.kind == Kind::Dynamic) {
            if let Some(set) = range_sets.offering(assignment.address).and_then(|index| range_sets.get(index)) {
                change.put(keys.cursor(set), assignment.address.to_string());
            }
        }
    }
}
