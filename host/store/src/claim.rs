//! The first of the two writes: a claim.

use std::time::Duration;

use super::Store;
use super::drafts::Drafts;
use super::error::StoreError;
use super::hold::{self, free, give_back_slot};
use super::look::Look;
use super::ordered::{Change, Commit, Guard, OrderedMap};
use super::record::{Seen, encode};
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
    /// - kept for the identity the proposal names, or kept no longer.
    ///
    /// A slot is free when nobody has it, or that older attachment.
    ///
    /// Each of these is fenced by the records the look saw.
    pub async fn claim(
        &self,
        look: Look,
        proposals: &[Proposal],
        policy: Option<PolicyName>,
        handed_over: &[HandOver],
    ) -> Result<Claimed, StoreError> {
        if let Some(claim) = look.claim {
            return Ok(Claimed::Done(claim));
        }
        let plan = Plan { look: &look, handed_over, cooldown: self.cooldown };
        let mut claims: Vec<Claim> = proposals.iter().map(|proposal| plan.claim(proposal, policy.clone())).collect();
        let mut changes: Vec<Change> = claims.iter().map(|claim| plan.change(claim)).collect();
        // By the way, and by the first alternative alone: it nearly always wins.
        if let Some(first) = changes.first_mut() {
            hold::sweep(&self.keys, &look.expired, first);
        }
        // Nobody should keep reading the past while waiting for the turn to write.
        drop(look);
        match self.map.commit(&changes).await? {
            Commit::Done(index) => Ok(Claimed::Done(claims.swap_remove(index))),
            Commit::Lost => Ok(Claimed::Lost),
        }
    }
}

impl Look {
    /// Whether a claim of this address could succeed, as far as this look knows: nobody has it, or its holder has to
    /// give way.
    pub fn may_be_claimed(&self, assignment: &Assignment) -> bool {
        let address = &assignment.address;
        let held = self.reading.seen.held.get(address).is_some_and(Option::is_some);
        let kept = self.reading.seen.kept.get(address);
        (!held || self.may_take_over(assignment, &[]).is_some())
            && kept.is_none_or(|kept| kept.record.ends_for(assignment, self.reading.now))
    }

    /// The record of an address that is held, where its holder has to give way.
    fn may_take_over<'a>(&'a self, assignment: &Assignment, handed_over: &'a [HandOver]) -> Option<TakeOver<'a>> {
        let seen = self.reading.seen.held.get(&assignment.address)?.as_ref()?;
        let held = &seen.record;
        if !self.others.contains_key(&held.attachment) {
            return None;
        }
        let judged = handed_over.iter().find(|judged| judged.held == *held);
        let replaced = self.previous.as_ref().is_some_and(|previous| previous.attachment == held.attachment);
        // Another interface of the same container is alive: it keeps what it has.
        let older =
            self.is_of_same_pod(held.pod.as_ref()) && held.attachment.container != self.requester.attachment.container;
        let gives_way = replaced || (assignment.kind == Kind::Fixed && older) || judged.is_some();
        gives_way.then_some(TakeOver { seen, judged })
    }
}

/// An address that may be taken from its holder.
struct TakeOver<'a> {
    seen: &'a Seen<Allocation>,
    /// What was found out of the holder; nothing where it is an older container of the same pod.
    judged: Option<&'a HandOver>,
}

/// What is needed to turn a proposal into a change.
struct Plan<'a> {
    look: &'a Look,
    handed_over: &'a [HandOver],
    cooldown: Option<Duration>,
}

impl Plan<'_> {
    fn claim(&self, proposal: &Proposal, policy: Option<PolicyName>) -> Claim {
        let requester = &self.look.requester;
        let former =
            proposal.iter().filter_map(|assignment| Some((assignment.address, self.former_of(assignment)?))).collect();
        Claim {
            attachment: requester.attachment.clone(),
            node: requester.node.clone(),
            machine: requester.machine.clone(),
            pod: requester.pod.clone(),
            addresses: proposal.clone(),
            ceded: Vec::new(),
            former,
            policy,
            since: self.look.reading.now,
        }
    }

    /// Who lives, still uses this address, and gets it back later.
    fn former_of(&self, assignment: &Assignment) -> Option<Party> {
        let TakeOver { seen, judged } = self.look.may_take_over(assignment, self.handed_over)?;
        let former = match judged {
            Some(judged) => judged.former.as_ref(),
            None => seen.record.former.as_deref(),
        }?;
        let holder = &seen.record.attachment;
        let drafts = Drafts::new(&self.look.reading.keys, &self.look.others);
        // A mark without a claim behind it names somebody who is gone.
        let lives = former.attachment == *holder || drafts.has_ceded(&former.attachment, assignment.address, holder);
        lives.then(|| former.clone())
    }

    fn change(&self, claim: &Claim) -> Change {
        let keys = &self.look.reading.keys;
        let mut change = Change::default();
        let mut drafts = Drafts::new(keys, &self.look.others);
        change.require(Guard::Absent(keys.attachment(&claim.attachment)));
        for assignment in &claim.addresses {
            match self.look.may_take_over(assignment, self.handed_over) {
                Some(take_over) => {
                    change.require(take_over.seen.guard());
                    self.take(&take_over.seen.record, claim, &mut drafts, &mut change);
                }
                None => drop(change.require(Guard::Absent(keys.address(assignment.address)))),
            }
            self.end_hold(assignment, &mut change);
            self.require_slot(assignment, &mut change);
        }
        if let Some(previous) = &self.look.previous {
            self.replace(previous, claim, &mut drafts, &mut change);
        }
        drafts.write(&mut change);
        self.write(claim, &mut change);
        change
    }

    /// Take an address from its holder, and tell whoever ceded it to that holder.
    fn take(&self, held: &Allocation, claim: &Claim, drafts: &mut Drafts<'_>, change: &mut Change) {
        let address = held.address;
        let former = claim.former.get(&address);
        if let Some(earlier) = held.former.as_ref().filter(|earlier| earlier.attachment != held.attachment) {
            match former {
                Some(former) if former.attachment == earlier.attachment => {
                    drafts.cede_on(&earlier.attachment, address, &claim.party());
                }
                _ => drafts.forget_ceded(&earlier.attachment, address, change),
            }
        }
        // The claim of an older attachment of the same pod ends as a whole.
        if self.look.previous.as_ref().is_some_and(|previous| previous.attachment == held.attachment) {
            return;
        }
        let party = claim.party();
        let cedes_to = former.filter(|former| former.attachment == held.attachment).map(|_| &party);
        drafts.take(&held.attachment, address, cedes_to, change);
    }

    /// An address is free of holds, or its hold is over, or it is kept for this very identity.
    fn end_hold(&self, assignment: &Assignment, change: &mut Change) {
        let keys = &self.look.reading.keys;
        let address = assignment.address;
        let kept = self.look.reading.seen.kept.get(&address);
        let Some(kept) = kept.filter(|kept| kept.record.ends_for(assignment, self.look.reading.now)) else {
            change.require(Guard::Absent(keys.hold(address)));
            return;
        };
        change.require(kept.guard_at(keys.hold(address)));
        hold::end_hold(keys, &kept.record, change);
    }

    /// A slot of the older attachment is fenced by the record of its claim.
    fn require_slot(&self, assignment: &Assignment, change: &mut Change) {
        let Some(slot) = &assignment.slot else { return };
        let replaced = self.look.previous.as_ref().is_some_and(|previous| previous.slots().any(|own| own == slot));
        if !replaced {
            change.require(Guard::Absent(self.look.reading.keys.slot(slot)));
        }
    }

    /// Release the older attachment; the addresses the claim takes over are written after this.
    fn replace(&self, previous: &Claim, claim: &Claim, drafts: &mut Drafts<'_>, change: &mut Change) {
        let keys = &self.look.reading.keys;
        change.require(self.look.others[&previous.attachment].claim.guard());
        change.delete(keys.attachment(&previous.attachment));
        change.delete(keys.node_of(previous));
        for assignment in &previous.addresses {
            let address = assignment.address;
            let seen = self.look.reading.seen.held.get(&address).and_then(Option::as_ref);
            let Some(seen) = seen.filter(|seen| seen.record.attachment == previous.attachment) else { continue };
            change.require(seen.guard());
            if claim.addresses.iter().any(|new| new.address == address) {
                give_back_slot(keys, assignment, change);
                continue;
            }
            let former = seen.record.former.as_deref();
            if former.is_some_and(|former| drafts.give_back(former, address, &previous.attachment, change)) {
                give_back_slot(keys, assignment, change);
            } else {
                free(keys, assignment, self.look.reading.now, self.cooldown, change);
            }
        }
        for ceded in &previous.ceded {
            drafts.forget_former(ceded, &previous.attachment, change);
        }
    }

    /// The claim and its indexes. Comes last: where an older attachment had the same index entry, it is replaced.
    fn write(&self, claim: &Claim, change: &mut Change) {
        let keys = &self.look.reading.keys;
        for held in claim.held_addresses() {
            change.put(keys.address(held.address), encode(&held));
            if let Some(slot) = &held.slot {
                change.put(keys.slot(slot), held.address.to_string());
            }
        }
        change.put(keys.attachment(&claim.attachment), encode(claim));
        change.put(keys.node_of(claim), "");
        if let Some(pod) = &claim.pod {
            change.put(keys.pod(pod, &claim.attachment), claim.attachment.container.as_str());
        }
        if let Some(registering) = &self.look.registering {
            registering.write(change);
        }
        let range_sets = self.look.snapshot.range_sets();
        for assignment in claim.addresses.iter().filter(|assignment| assignment.kind == Kind::Dynamic) {
            if let Some(set) = range_sets.offering(assignment.address).and_then(|index| range_sets.get(index)) {
                change.put(keys.cursor(set), assignment.address.to_string());
            }
        }
    }
}
