//! The second of the two writes: a release.

use crate::map::MapView;
use jiff::Timestamp;

use super::Store;
use super::drafts::{Drafts, Other, Others};
use super::error::StoreError;
use super::hold::{self, free, give_back_slot};
use super::ordered::{Change, Commit, Entry, Guard, OrderedMap, Page, Read, View};
use super::record::{KeptAddress, Seen, encode};
use ipam::{Allocation, Attachment, Ceded, Claim};
use limits::store::RELEASE_ATTEMPTS;

impl Store {
    /// Release all that an attachment holds; returns what that was. Holding nothing is success.
    ///
    /// One read and one write. It is fenced by the claim that was read and by the record under each address: what
    /// somebody else holds by now stays theirs. Addresses are kept where their assignment or the cool-down says so;
    /// a store too full for that still frees them. What a living pod ceded goes back to it in the same transaction.
    pub async fn release(&self, attachment: &Attachment, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        self.release_if(attachment, |_| true, now).await
    }

    /// The same for what was claimed before this moment of the same node's clock. A later claim stays as it is.
    pub async fn release_older(
        &self,
        attachment: &Attachment,
        moment: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        self.release_if(attachment, |claim| claim.since < moment, now).await
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
                if self.map.confirm_absent(&self.keys.attachment(attachment)).await? {
                    return Ok(None);
                }
                continue;
            };
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
        let mut entries = self.scan_all(self.keys.attachments_on(node, machine, network), true).await?;
        let attachments = entries.drain(..).filter_map(|entry| match self.keys.named(&entry.key) {
            Some(super::keys::Named::Node { attachment, .. }) => Some(attachment),
            _ => None,
        });
        Ok(attachments.collect())
    }

    async fn read_ending(
        &self,
        attachment: &Attachment,
        fence: Fence,
        now: Timestamp,
    ) -> Result<Option<Ending>, StoreError> {
        let reads = [Read::Get(self.keys.attachment(attachment)), hold::expired_read(&self.keys, now)];
        let ending = self.at_one_moment(async |mut view| {
            let mut pages = view.read(&reads).await?.into_iter();
            let Some(entry) = pages.next().and_then(Page::into_entry) else { return Ok(None) };
            let claim = Seen::<Claim>::parse(&self.keys, entry)?;
            let expired = hold::expired(&self.keys, pages.next().unwrap_or_default());
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
        expired: Vec<Seen<KeptAddress>>,
    ) -> Result<Ending, StoreError> {
        let held: Vec<Allocation> = claim.record.held_addresses().collect();
        let counterparts: Vec<Attachment> = claim.record.counterparts().cloned().collect();
        let mut reads: Vec<Read> = Vec::new();
        for counterpart in &counterparts {
            reads.push(Read::Get(self.keys.attachment(counterpart)));
        }
        if fence == Fence::Read {
            for held in &held {
                reads.push(Read::Get(self.keys.address(held.address)));
            }
            for ceded in &claim.record.ceded {
                reads.push(Read::Get(self.keys.address(ceded.assignment.address)));
            }
        }
        let pages = if reads.is_empty() { Vec::new() } else { view.read(&reads).await? };
        let mut entries = pages.into_iter().map(Page::into_entry);
        let mut others = Others::new();
        for counterpart in counterparts {
            let entry = entries.next().flatten();
            if let Some(claim) = entry.and_then(|entry| Seen::readable(&self.keys, entry)) {
                others.insert(counterpart, Other { claim, newest: None });
            }
        }
        let mut guards = Vec::with_capacity(held.len());
        for held in &held {
            guards.push(match fence {
                Fence::Expected => AddressGuard::Ours(Guard::Is(self.keys.address(held.address), encode(held))),
                Fence::Read => self.guard_as_read(entries.next().flatten(), &claim.record.attachment),
            });
        }
        let mut clearable = Vec::with_capacity(claim.record.ceded.len());
        for ceded in &claim.record.ceded {
            clearable.push(match fence {
                Fence::Expected => true,
                Fence::Read => follows_from(&others, ceded, entries.next().flatten()),
            });
        }
        Ok(Ending { claim, guards, others, expired, clearable })
    }

    fn guard_as_read(&self, entry: Option<Entry>, attachment: &Attachment) -> AddressGuard {
        let seen = entry.and_then(|entry| Seen::<Allocation>::parse(&self.keys, entry).ok());
        match seen.filter(|seen| seen.record.attachment == *attachment) {
            Some(seen) => AddressGuard::Ours(seen.guard()),
            None => AddressGuard::NotOurs,
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

    /// `keep`: whether there is room to write. Without it nothing is kept for anybody, and marks of a former holder stay
    /// where they are; but an address that a living pod ceded is never freed, it has to be given back.
    fn release_change(&self, ending: &Ending, now: Timestamp, keep: bool) -> Change {
        let claim = &ending.claim.record;
        let mut change = Change::default();
        let mut drafts = Drafts::new(&self.keys, &ending.others);
        change.require(ending.claim.guard());
        for (assignment, guard) in claim.addresses.iter().zip(&ending.guards) {
            let AddressGuard::Ours(guard) = guard else { continue };
            change.require(guard.clone());
            let address = assignment.address;
            let former = claim.former.get(&address);
            if former.is_some_and(|former| drafts.give_back(former, address, &claim.attachment, &mut change)) {
                give_back_slot(&self.keys, assignment, &mut change);
            } else if keep {
                free(&self.keys, assignment, now, self.cooldown, &mut change);
            } else {
                change.delete(self.keys.address(address));
                give_back_slot(&self.keys, assignment, &mut change);
            }
        }
        for (ceded, clearable) in claim.ceded.iter().zip(&ending.clearable) {
            if keep && *clearable {
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
    /// One for each address of the claim.
    guards: Vec<AddressGuard>,
    /// Those that ceded one of its addresses, or have one that it ceded.
    others: Others,
    /// Holds that are over, found by the way.
    expired: Vec<Seen<KeptAddress>>,
    /// One for each address it ceded: whether the mark of it can be cleared.
    clearable: Vec<bool>,
}

/// Whether the record of a ceded address is what the claim of its holder says.
fn follows_from(others: &Others, ceded: &Ceded, entry: Option<Entry>) -> bool {
    let (Some(holder), Some(entry)) = (others.get(&ceded.to.attachment), entry) else { return false };
    let claim = &holder.claim.record;
    let held = claim.addresses.iter().find(|held| held.address == ceded.assignment.address);
    held.is_some_and(|held| encode(&claim.held_address(held)) == entry.value)
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
    /// Somebody else's by now, nobody's, or unreadable: not to be touched.
    NotOurs,
}
