//! The first of the two writes: a claim.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::keys::Keys;
use super::look::{Look, Other};
use super::ordered::{Change, Commit, Guard, OrderedMap, View};
use super::record::{KeptAddress, Seen, encode};
use crate::ipam::{Assignment, Attachment, Claim, HandOver, HeldAddress, Kind, PolicyName, Proposal};
use crate::limits::store::KEY_BYTES;

/// How a claim ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one per invocation")]
pub enum Claimed {
    /// The attachment holds this now, durably.
    Done(Claim),
    /// Of every proposal, some address was taken meanwhile, or the attachment's own claim changed. Look again.
    Lost,
}

impl<M: OrderedMap> Store<M> {
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
        look: Look<M::View>,
        proposals: &[Proposal],
        policy: Option<PolicyName>,
        handed_over: &[HandOver],
    ) -> Result<Claimed, StoreError> {
        if let Some(claim) = look.claim {
            return Ok(Claimed::Done(claim));
        }
        let plan = Plan { look: &look, handed_over, cooldown: self.cooldown };
        let mut claims: Vec<Claim> = proposals.iter().map(|proposal| plan.claim(proposal, policy.clone())).collect();
        let changes: Vec<Change> = claims.iter().map(|claim| plan.change(claim)).collect();
        // Nobody should keep reading the past while waiting for the turn to write.
        drop(look);
        match self.map.commit(&changes).await? {
            Commit::Done(index) => Ok(Claimed::Done(claims.swap_remove(index))),
            Commit::Lost => Ok(Claimed::Lost),
        }
    }
}

impl<V: View> Look<V> {
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
    fn may_take_over(
        &self,
        assignment: &Assignment,
        handed_over: &[HandOver],
    ) -> Option<(&Seen<HeldAddress>, &Attachment)> {
        let seen = self.reading.seen.held.get(&assignment.address)?.as_ref()?;
        let held = &seen.record;
        let (from, _) = self.others.get_key_value(&held.attachment)?;
        let replaced = self.previous.as_ref().is_some_and(|previous| previous.attachment == *from);
        // Another interface of the same container is alive: it keeps what it has.
        let older =
            self.is_of_same_pod(held.pod.as_ref()) && held.attachment.container != self.claimant.attachment.container;
        let gives_way = replaced
            || (assignment.kind == Kind::Fixed && older)
            || handed_over.iter().any(|judged| judged.held == *held);
        gives_way.then_some((seen, from))
    }
}

/// What is needed to turn a proposal into a change.
struct Plan<'a, V> {
    look: &'a Look<V>,
    handed_over: &'a [HandOver],
    cooldown: Option<Duration>,
}

impl<V: View> Plan<'_, V> {
    fn claim(&self, proposal: &Proposal, policy: Option<PolicyName>) -> Claim {
        let claimant = &self.look.claimant;
        Claim {
            attachment: claimant.attachment.clone(),
            node: claimant.node.clone(),
            machine: claimant.machine.clone(),
            pod: claimant.pod.clone(),
            addresses: proposal.clone(),
            ceded: Vec::new(),
            former: BTreeMap::new(),
            policy,
            since: self.look.reading.now,
        }
    }

    fn change(&self, claim: &Claim) -> Change {
        let keys = &self.look.reading.keys;
        let mut change = Change::default();
        change.require(Guard::Absent(keys.attachment(&claim.attachment)));
        let mut taken: BTreeMap<&Attachment, Vec<IpAddr>> = BTreeMap::new();
        for assignment in &claim.addresses {
            match self.look.may_take_over(assignment, self.handed_over) {
                Some((held, from)) => {
                    change.require(held.guard());
                    taken.entry(from).or_default().push(assignment.address);
                }
                None => drop(change.require(Guard::Absent(keys.address(assignment.address)))),
            }
            self.end_hold(assignment, &mut change);
            self.require_slot(assignment, &mut change);
        }
        if let Some(previous) = &self.look.previous {
            taken.remove(&previous.attachment);
            self.replace(previous, claim, &mut change);
        }
        for (attachment, addresses) in taken {
            self.shrink(&self.look.others[attachment], &addresses, &mut change);
        }
        self.write(claim, &mut change);
        change
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
        change.require(kept.guard_at(keys.hold(address))).delete(keys.hold(address));
        if let Some(identity) = &kept.record.identity {
            change.delete(keys.identity(identity, address));
        }
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
    fn replace(&self, previous: &Claim, claim: &Claim, change: &mut Change) {
        let keys = &self.look.reading.keys;
        change.require(self.look.others[&previous.attachment].claim.guard());
        change.delete(keys.attachment(&previous.attachment));
        change.delete(keys.node_of(previous));
        for assignment in &previous.addresses {
            let seen = self.look.reading.seen.held.get(&assignment.address).and_then(Option::as_ref);
            let Some(seen) = seen.filter(|seen| seen.record.attachment == previous.attachment) else { continue };
            change.require(seen.guard());
            let taken_over = claim.addresses.iter().any(|new| new.address == assignment.address);
            if taken_over {
                give_back_slot(keys, assignment, change);
            } else {
                free(keys, assignment, self.look.reading.now, self.cooldown, change);
            }
        }
    }

    /// Take addresses from a claim; without any left it ends.
    fn shrink(&self, other: &Other, addresses: &[IpAddr], change: &mut Change) {
        let keys = &self.look.reading.keys;
        let mut claim = other.claim.record.clone();
        change.require(other.claim.guard());
        let is_taken = |assignment: &Assignment| addresses.contains(&assignment.address);
        let (taken, left): (Proposal, Proposal) = claim.addresses.into_iter().partition(is_taken);
        claim.addresses = left;
        taken.iter().for_each(|assignment| give_back_slot(keys, assignment, change));
        let key = keys.attachment(&claim.attachment);
        if !claim.addresses.is_empty() {
            change.put(key, encode(&claim));
            return;
        }
        change.delete(key).delete(keys.node_of(&claim));
        let newest = other.newest.as_ref().filter(|newest| newest.value == claim.attachment.container.as_bytes());
        if let Some(newest) = newest {
            change.require(Guard::Is(newest.key.clone(), newest.value.clone())).delete(newest.key.clone());
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
        let range_sets = self.look.snapshot.range_sets();
        for assignment in claim.addresses.iter().filter(|assignment| assignment.kind == Kind::Dynamic) {
            if let Some(set) = range_sets.offering(assignment.address).and_then(|index| range_sets.get(index)) {
                change.put(keys.cursor(set), assignment.address.to_string());
            }
        }
    }
}

/// Free an address, or keep it for whom its assignment or the cool-down says.
pub(super) fn free(
    keys: &Keys,
    assignment: &Assignment,
    now: Timestamp,
    cooldown: Option<Duration>,
    change: &mut Change,
) {
    let Assignment { address, kind, hold, .. } = assignment;
    change.delete(keys.address(*address));
    give_back_slot(keys, assignment, change);
    let (identity, duration) = match hold {
        Some(hold) => (Some(hold.identity.clone()), Duration::from_secs(hold.seconds)),
        None if *kind == Kind::Dynamic => (None, cooldown.unwrap_or_default()),
        None => return,
    };
    if duration.is_zero() {
        return;
    }
    let until = now.checked_add(duration).unwrap_or(Timestamp::MAX);
    let kept = KeptAddress { address: *address, identity, until };
    if let Some(identity) = &kept.identity {
        let key = keys.identity(identity, *address);
        // No policy of ours names such a one, but a record may: better no hold than no release.
        if key.len() > KEY_BYTES {
            return;
        }
        change.put(key, encode(&kept));
    }
    change.put(keys.hold(*address), encode(&kept));
}

/// The slot goes with its address.
pub(super) fn give_back_slot(keys: &Keys, assignment: &Assignment, change: &mut Change) {
    if let Some(slot) = &assignment.slot {
        change.delete(keys.slot(slot));
    }
}
