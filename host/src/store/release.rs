//! The second of the two writes: a release.

use jiff::Timestamp;

use super::Store;
use super::claim::{free, give_back_slot};
use super::error::StoreError;
use super::ordered::{Change, Commit, Guard, OrderedMap, Page, Read, View};
use super::record::{Seen, encode};
use crate::ipam::{Attachment, Claim, HeldAddress};
use crate::limits::store::RELEASE_ATTEMPTS;

impl<M: OrderedMap> Store<M> {
    /// Release all that an attachment holds; returns what that was. Holding nothing is success.
    ///
    /// One read and one write. It is fenced by the claim that was read and by the record under each address: what
    /// somebody else holds by now stays theirs. Addresses are kept where their assignment or the cool-down says so;
    /// a store too full for that still frees them.
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
            let Some((claim, guards)) = self.read_claim(attachment, fence).await? else {
                if self.map.confirm_absent(&self.keys.attachment(attachment)).await? {
                    return Ok(None);
                }
                continue;
            };
            if !releasable(&claim.record) {
                return Ok(None);
            }
            let ended = self.commit_release(&claim, &guards, now).await?;
            if ended != Commit::Lost {
                return Ok(Some(claim.record));
            }
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

    async fn read_claim(
        &self,
        attachment: &Attachment,
        fence: Fence,
    ) -> Result<Option<(Seen<Claim>, Vec<AddressGuard>)>, StoreError> {
        let mut reading = self.reading(Timestamp::UNIX_EPOCH).await?;
        let pages = reading.read(&[Read::Get(self.keys.attachment(attachment))]).await?;
        let Some(entry) = pages.into_iter().next().and_then(Page::into_entry) else { return Ok(None) };
        let claim = Seen::<Claim>::parse(&self.keys, entry)?;
        let guards = self.address_guards(&claim, fence).await?;
        Ok(Some((claim, guards)))
    }

    pub(super) async fn address_guards(
        &self,
        claim: &Seen<Claim>,
        fence: Fence,
    ) -> Result<Vec<AddressGuard>, StoreError> {
        let held: Vec<HeldAddress> = claim.record.held_addresses().collect();
        if fence == Fence::Expected {
            let expected = |held: &HeldAddress| Guard::Is(self.keys.address(held.address), encode(held));
            return Ok(held.iter().map(|held| AddressGuard::Ours(expected(held))).collect());
        }
        let reads: Vec<Read> = held.iter().map(|held| Read::Get(self.keys.address(held.address))).collect();
        let pages = self.map.view().await?.read(&reads).await?.into_iter().map(Page::into_entry);
        let ours = |seen: &Seen<HeldAddress>| seen.record.attachment == claim.record.attachment;
        let seen = pages.map(|entry| Seen::<HeldAddress>::parse(&self.keys, entry?).ok().filter(ours));
        Ok(seen.map(|seen| seen.map_or(AddressGuard::NotOurs, |seen| AddressGuard::Ours(seen.guard()))).collect())
    }

    pub(super) async fn commit_release(
        &self,
        claim: &Seen<Claim>,
        guards: &[AddressGuard],
        now: Timestamp,
    ) -> Result<Commit, StoreError> {
        let change = self.release_change(claim, guards, now, true);
        match self.map.commit(&self.with_pod_index(&claim.record, change.clone())).await {
            // Nothing may be written any more, but deleting still passes: better no hold than no release.
            Err(StoreError::Full { .. }) if !change.only_deletes() => {
                let change = self.release_change(claim, guards, now, false);
                self.map.commit(&self.with_pod_index(&claim.record, change)).await
            }
            ended => ended,
        }
    }

    fn release_change(&self, claim: &Seen<Claim>, guards: &[AddressGuard], now: Timestamp, keep: bool) -> Change {
        let mut change = Change::default();
        change.require(claim.guard());
        for (assignment, guard) in claim.record.addresses.iter().zip(guards) {
            let AddressGuard::Ours(guard) = guard else { continue };
            change.require(guard.clone());
            if keep {
                free(&self.keys, assignment, now, self.cooldown, &mut change);
            } else {
                change.delete(self.keys.address(assignment.address));
                give_back_slot(&self.keys, assignment, &mut change);
            }
        }
        let attachment = &claim.record.attachment;
        change.delete(self.keys.attachment(attachment)).delete(self.keys.node_of(&claim.record));
        change
    }

    /// The pod's index goes too if it points here; it stays if it points at a newer attachment.
    fn with_pod_index(&self, claim: &Claim, change: Change) -> Vec<Change> {
        let Some(pod) = &claim.pod else { return vec![change] };
        let key = self.keys.pod(pod, &claim.attachment);
        let mut newest = change.clone();
        newest.require(Guard::Is(key.clone(), claim.attachment.container.clone().into())).delete(key);
        vec![newest, change]
    }
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
