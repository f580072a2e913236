//! The second of the two writes: a release.

use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::drafts::{Drafts, Other, Others};
use super::error::StoreError;
use super::hold::{self, free, give_back_slot};
use super::keys::Named;
use super::map::MapView;
use super::marks::unmark;
use super::ordered::{Change, Commit, Entry, Guard, OrderedMap};
use super::pages::Pages;
use super::record::{Hold, Seen, encode};
use ipam::{Allocation, Attachment, Ceded, Claim, to_microseconds};
use limits::store::{CLOCK_AHEAD, RELEASE_ATTEMPTS};

impl Store {
    /// Release all that an attachment holds; returns what that was. Holding nothing is success.
    ///
    /// One read and one write. It is fenced by the claim that was read and by the record under each address: what
    /// somebody else holds by now stays theirs. Addresses go on hold where their assignment or the cool-down says so;
    /// a store too full for that still frees them. What a living pod ceded goes back to it in the same transaction.
    pub async fn release(&self, attachment: &Attachment, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        self.release_if(attachment, |_| true, now).await
    }

    /// Release all that an attachment holds if it was claimed before this moment of the same node's clock. A later claim stays
    /// as it is, unless it is of a future that this clock is far from: then the clock has been set back since.
    pub async fn release_older(
        &self,
        attachment: &Attachment,
        moment: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let moment = to_microseconds(moment);
        let impossible = now.checked_add(CLOCK_AHEAD).unwrap_or(Timestamp::MAX);
        self.release_if(attachment, |claim| claim.since < moment || claim.since > impossible, now).await
    }

    async fn release_if(
        &self,
        attachment: &Attachment,
        releasable: impl Fn(&Claim) -> bool,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let mut fence = Fence::Expected;
        for _ in 0..RELEASE_ATTEMPTS {
            let Some(ending) = self.read_ending(attachment, fence, now).await? else {
                // The claim of an ADD that was cut off may be on its way still, and nobody would release it later.
                if self.map.confirm_absent(&self.keys.attachment(attachment)).await? {
                    return Ok(None);
                }
                continue;
            };
            // Asked of each record by itself: what another ADD claimed meanwhile may be newer than what is to be released.
            if !releasable(&ending.claim.record) {
                return Ok(None);
            }
            if self.commit_release(&ending, now).await? != Commit::Lost {
                return Ok(Some(ending.claim.record));
            }
            // Another version of this program, or somebody's hand, may have written a record that does not follow from
            // the claim: it is compared as it is from now on.
            fence = Fence::Read;
        }
        Err(StoreError::Contended { object: attachment.to_string(), attempts: RELEASE_ATTEMPTS })
    }

    /// The attachments of one node and machine in one network: what GC chooses from. Proportional to the node.
    pub async fn attachments_on(
        &self,
        node: &str,
        machine: &str,
        network: &str,
    ) -> Result<Vec<Attachment>, StoreError> {
        let range = self.keys.attachments_on(node, machine, network);
        let entries = self.at_one_moment(async |mut view| Pages::keys_of(range.clone()).all(&mut view).await).await?;
        let mut attachments = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(Named::Node { attachment, .. }) = self.keys.named(&entry.key) {
                attachments.push(attachment);
            }
        }
        Ok(attachments)
    }

    async fn read_ending(
        &self,
        attachment: &Attachment,
        fence: Fence,
        now: Timestamp,
    ) -> Result<Option<Ending>, StoreError> {
        let ending = self.at_one_moment(async |mut view| {
            let mut batch = self.batch();
            let claim = batch.claim(attachment);
            let expired = batch.expired(now);
            let mut answers = batch.read(&mut view).await?;
            let Some(claim) = answers.record(claim)? else { return Ok(None) };
            let expired = answers.all_readable(expired);
            self.ending_of(&mut view, claim, fence, expired).await.map(Some)
        });
        ending.await
    }

    /// What the end of a claim rests on and touches. Nothing more is read where nothing was ceded and the records of its
    /// addresses are what the claim says.
    pub(super) async fn ending_of(
        &self,
        view: &mut MapView,
        claim: Seen<Claim>,
        fence: Fence,
        expired: Vec<Seen<Hold>>,
    ) -> Result<Ending, StoreError> {
        let Claim { ceded, .. } = &claim.record;
        let mut batch = self.batch();
        let mut counterparts = Vec::new();
        for counterpart in claim.record.counterparts() {
            counterparts.push((counterpart.clone(), batch.claim(counterpart)));
        }
        let (mut addresses, mut ceded_addresses) = (Vec::new(), Vec::new());
        if fence == Fence::Read {
            addresses.extend(claim.record.addresses().map(|address| batch.allocation(address)));
            ceded_addresses.extend(ceded.iter().map(|ceded| batch.allocation(ceded.assignment.address)));
        }
        let mut answers = batch.read(view).await?;
        let mut others = Others::new();
        for (counterpart, ticket) in counterparts {
            if let Some(claim) = answers.readable(ticket) {
                others.insert(counterpart, Other { claim, newest: None });
            }
        }
        let (guards, clearable) = match fence {
            // Every record under an address follows from the claim, and is written in its transactions: comparing it with
            // what it should be saves a DEL the read, and is as sound.
            Fence::Expected => {
                let guards = claim.record.allocations().map(|held| AddressGuard::Ours(self.guard_as_expected(&held)));
                (guards.collect(), vec![true; ceded.len()])
            }
            Fence::Read => {
                let mut guards = Vec::with_capacity(addresses.len());
                for (address, ticket) in claim.record.addresses().zip(addresses) {
                    guards.push(self.guard_as_read(address, answers.entry(ticket), &claim.record.attachment));
                }
                let mut clearable = Vec::with_capacity(ceded.len());
                for (ceded, ticket) in ceded.iter().zip(ceded_addresses) {
                    clearable.push(follows_from(&others, ceded, answers.entry(ticket)));
                }
                (guards, clearable)
            }
        };
        Ok(Ending { claim, guards, others, expired, clearable })
    }

    fn guard_as_expected(&self, held: &Allocation) -> Guard {
        Guard::Is(self.keys.address(held.address), encode(held))
    }

    /// Whoever has the address has to have it still: a claim may be newer than what this view shows of its addresses, and would
    /// end without them.
    fn guard_as_read(&self, address: IpAddr, entry: Option<Entry>, attachment: &Attachment) -> AddressGuard {
        let Some(entry) = entry else { return AddressGuard::NotOurs(Guard::Absent(self.keys.address(address))) };
        let guard = Guard::Is(entry.key.clone(), entry.value.clone());
        // A record that cannot be read is not ours to free: it may be about somebody else.
        match Seen::<Allocation>::parse(&self.keys, entry) {
            Ok(seen) if seen.record.attachment == *attachment => AddressGuard::Ours(guard),
            _ => AddressGuard::NotOurs(guard),
        }
    }

    pub(super) async fn commit_release(&self, ending: &Ending, now: Timestamp) -> Result<Commit, StoreError> {
        let change = self.release_change(ending, now, true);
        match self.map.commit(&self.with_pod_index(ending, change.clone())).await {
            // Nothing may be written any more, but deleting still passes: better no hold than no release.
            Err(StoreError::Full { .. } | StoreError::DiskFull { .. }) if !change.only_deletes() => {
                let change = self.release_change(ending, now, false);
                self.map.commit(&self.with_pod_index(ending, change)).await
            }
            ended => ended,
        }
    }

    /// The change that ends a claim. `has_room`: whether anything may be written. Without room no address goes on hold, and
    /// marks of a former holder stay where they are; but an address that a living pod ceded is never freed, it has to be
    /// given back.
    fn release_change(&self, ending: &Ending, now: Timestamp, has_room: bool) -> Change {
        let claim = &ending.claim.record;
        let mut change = Change::default();
        let mut drafts = Drafts::new(&self.keys, &ending.others);
        change.require(ending.claim.guard());
        for (assignment, guard) in claim.addresses.iter().zip(&ending.guards) {
            let (AddressGuard::Ours(as_seen) | AddressGuard::NotOurs(as_seen)) = guard;
            change.require(as_seen.clone());
            if let AddressGuard::NotOurs(_) = guard {
                continue;
            }
            let address = assignment.address;
            let former = claim.former.get(&address);
            // The address is a living pod's, and goes back to it however full the disk is: freed, it could be given to a third.
            if former.is_some_and(|former| drafts.give_back(former, address, &claim.attachment, &mut change)) {
                give_back_slot(&self.keys, assignment, &mut change);
            } else if has_room {
                free(&self.keys, assignment, now, self.cooldown, &mut change);
            } else {
                change.delete(self.keys.address(address));
                unmark(&self.keys, address, &mut change);
                give_back_slot(&self.keys, assignment, &mut change);
            }
        }
        for (ceded, clearable) in claim.ceded.iter().zip(&ending.clearable) {
            if has_room && *clearable {
                drafts.forget_former(ceded, &claim.attachment, &mut change);
            } else {
                // The mark that stays names a claim that is over, and so nobody.
                give_back_slot(&self.keys, &ceded.assignment, &mut change);
            }
        }
        drafts.write(&mut change);
        change.delete(self.keys.attachment(&claim.attachment)).delete(self.keys.node_of(claim));
        change
    }

    /// The pod's index goes too if it points here; it stays if it points at a newer attachment.
    fn with_pod_index(&self, ending: &Ending, change: Change) -> Vec<Change> {
        let claim = &ending.claim.record;
        let mut first = change.clone();
        // Two alternatives instead of a read: the second one is taken where the index points at a newer attachment.
        if let Some(pod) = &claim.pod {
            let key = self.keys.pod(pod, &claim.attachment);
            first.require(Guard::Is(key.clone(), claim.attachment.container.clone().into())).delete(key);
        }
        hold::sweep(&self.keys, &ending.expired, &mut first);
        if claim.pod.is_some() { vec![first, change] } else { vec![first] }
    }
}

/// A claim that is about to end.
pub(super) struct Ending {
    claim: Seen<Claim>,
    /// How the address is fenced, for each address of the claim.
    guards: Vec<AddressGuard>,
    /// The claims that ceded one of its addresses, or have one that it ceded.
    others: Others,
    /// Holds that are over, found by the way.
    expired: Vec<Seen<Hold>>,
    /// Whether the mark on its record can be cleared, for each address that the claim ceded.
    clearable: Vec<bool>,
}

/// Whether the record of a ceded address is what the claim of its holder says.
fn follows_from(others: &Others, ceded: &Ceded, entry: Option<Entry>) -> bool {
    let (Some(holder), Some(entry)) = (others.get(&ceded.to.attachment), entry) else { return false };
    let claim = &holder.claim.record;
    let held = claim.addresses.iter().find(|held| held.address == ceded.assignment.address);
    held.is_some_and(|held| encode(&claim.allocation(held)) == entry.value)
}

/// How the addresses of a claim are fenced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// By the records that follow from the claim: no read, and nearly always right.
    Expected,
    /// By the records as they are: for those written by another version, or by hand.
    Read,
}

pub(super) enum AddressGuard {
    /// This attachment holds it as long as the guard holds.
    Ours(Guard),
    /// Somebody else's by now, nobody's, or unreadable, as long as the guard holds: not to be touched.
    NotOurs(Guard),
}
