//! Addresses that containers hold by somebody else's books: claimed for them, so that nobody else gets them.
//!
//! A claim is imported like any other is written: an address that is held or on hold goes to nobody, and all of it
//! happens in one transaction. Where the books are keys of the same map (the predecessor's, below), the same
//! transaction moves each entry aside, so that nothing is imported twice, nor after its container is gone:
//!
//! ```text
//! /etcd-cni/networks/<network>/used/<address>      = container ID       →  imported/<address>
//!                                                  what cannot be       →  set-aside/<whatever>
//! ```

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::hold::clear_hold;
use super::ordered::{Change, Commit, Guard, KeyRange, OrderedMap};
use super::record::{Hold, Seen, encode};
use ipam::{Assignment, Attachment, Claim, Holder, PodName};

/// The root of the predecessor's keys.
const PREDECESSOR: &str = "/etcd-cni/networks";

/// An entry in somebody else's books, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Not necessarily an address.
    pub address: String,
    /// The text that names its holder, as a rule a container's ID.
    pub container: String,
    /// The interface, where the books name it.
    pub interface: Option<String>,
    /// The pod, where the books name it.
    pub pod: Option<PodName>,
}

/// An address that somebody holds by other books than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub attachment: Attachment,
    /// The node of the container, or [`Import::UNKNOWN_NODE`].
    pub node: String,
    /// The machine of the container; empty when unknown.
    pub machine: String,
    /// The pod, where it is known: `reclaim` releases only what belongs to one.
    pub pod: Option<PodName>,
    /// The address as its pod sees it.
    pub assignment: Assignment,
    /// The entry of the predecessor's that says so: moved aside with the claim.
    pub predecessor: Option<Booking>,
}

/// What became of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The attachment holds it now; in a rehearsal: would.
    Done,
    /// The attachment held it already.
    Already,
    /// Somebody else has it.
    Taken(Holder),
    /// The attachment's claim, or the address, changed meanwhile.
    Changed,
}

impl Import {
    /// No node has this name, so no node's GC takes a container of another for its own that is gone.
    pub const UNKNOWN_NODE: &str = "(imported)";

    /// What the attachment holds by this import alone, since then.
    pub fn claim(&self, now: Timestamp) -> Claim {
        let Self { attachment, node, machine, pod, assignment, .. } = self.clone();
        Claim { addresses: vec![assignment], ..Claim::empty(attachment, &node, &machine, pod, now) }
    }

    fn move_aside(&self, change: &mut Change) {
        let Some(Booking { address, container, .. }) = &self.predecessor else { return };
        let network = &self.attachment.network;
        let used = format!("{}{address}", used(network).from);
        change.require(Guard::Is(used.clone(), container.clone().into())).delete(used);
        change.put(format!("{PREDECESSOR}/{network}/imported/{address}"), container.as_str());
    }
}

impl Store {
    /// What the predecessor has booked in this network.
    pub async fn predecessor_bookings(&self, network: &str) -> Result<Vec<Booking>, StoreError> {
        let range = used(network);
        let entries = self.scan_all(range.clone()).await?;
        let mut bookings = Vec::with_capacity(entries.len());
        for entry in entries {
            bookings.push(Booking {
                address: entry.key.strip_prefix(&range.from).unwrap_or(&entry.key).to_owned(),
                container: String::from_utf8_lossy(&entry.value).into_owned(),
                interface: None,
                pod: None,
            });
        }
        Ok(bookings)
    }

    /// Whether the predecessor has booked an address in this network. etcd walks what is left of its bookings for it:
    /// nothing, once they are imported.
    pub async fn has_predecessor_bookings(&self, network: &str) -> Result<bool, StoreError> {
        let mut batch = self.batch();
        let first = batch.first_keys(used(network), 1);
        Ok(!self.read_now(batch).await?.scan(first).entries.is_empty())
    }

    /// How many addresses the predecessor has booked in this network. One read of a number.
    pub async fn count_predecessor_bookings(&self, network: &str) -> Result<u64, StoreError> {
        let mut batch = self.batch();
        let count = batch.count(used(network));
        Ok(self.read_now(batch).await?.count(count))
    }

    /// Move an entry of the predecessor's that nothing can be made of to where nobody counts it. False where it is not
    /// there any more as it was read.
    pub async fn set_aside(&self, network: &str, booking: &Booking) -> Result<bool, StoreError> {
        let key = format!("{}{}", used(network).from, booking.address);
        let mut batch = self.batch();
        let entry = batch.entry(key.clone());
        // As it stands there, which need not be text.
        let Some(entry) = self.read_now(batch).await?.entry(entry) else { return Ok(false) };
        let mut change = Change::default();
        change.require(Guard::Is(key.clone(), entry.value.clone())).delete(key);
        change.put(format!("{PREDECESSOR}/{network}/set-aside/{}", booking.address), entry.value);
        Ok(self.map.commit(&[change]).await? != Commit::Lost)
    }

    /// Claim an address for who holds it. One read and, unless it is a rehearsal, one write.
    pub async fn import(&self, import: &Import, now: Timestamp, rehearse: bool) -> Result<Imported, StoreError> {
        let mut batch = self.batch();
        let claim = batch.claim(&import.attachment);
        let address = batch.address(import.assignment.address);
        let newest = import.pod.as_ref().map(|pod| batch.newest(pod, &import.attachment));
        let mut answers = self.read_now(batch).await?;
        let claim = answers.record(claim)?;
        let at = answers.address(address)?;
        let has_newest = newest.is_some_and(|newest| answers.entry(newest).is_some());
        let change = match at.holder(now) {
            Some(Holder::Attachment(held)) if held.attachment == import.attachment => Change::default(),
            Some(holder) => return Ok(Imported::Taken(holder)),
            None => {
                let mut change = self.import_change(import, claim.as_ref(), at.hold.as_ref(), now);
                if !has_newest && let Some(pod) = &import.pod {
                    let newest = self.keys.pod(pod, &import.attachment);
                    change.require(Guard::Absent(newest.clone())).put(newest, import.attachment.container.as_str());
                }
                change
            }
        };
        self.commit_import(import, change, rehearse).await
    }

    fn import_change(
        &self,
        import: &Import,
        claim: Option<&Seen<Claim>>,
        over: Option<&Seen<Hold>>,
        now: Timestamp,
    ) -> Change {
        let Import { attachment, node, machine, pod, assignment, .. } = import;
        let mut change = Change::default();
        // A container may have several addresses in the books: each import adds one to the claim that is there by now.
        let mut claim = if let Some(seen) = claim {
            change.require(seen.guard());
            seen.record.clone()
        } else {
            change.require(Guard::Absent(self.keys.attachment(attachment)));
            Claim::empty(attachment.clone(), node, machine, pod.clone(), now)
        };
        claim.addresses.push(assignment.clone());
        let address = self.keys.address(assignment.address);
        change.require(Guard::Absent(address.clone())).put(address, encode(&claim.allocation(assignment)));
        clear_hold(&self.keys, assignment.address, over, &mut change);
        change.put(self.keys.attachment(attachment), encode(&claim));
        change.put(self.keys.node_of(&claim), "");
        change
    }

    async fn commit_import(&self, import: &Import, mut change: Change, rehearse: bool) -> Result<Imported, StoreError> {
        let done = if change.writes().is_empty() { Imported::Already } else { Imported::Done };
        // Also where the attachment holds the address already: else every later import would come upon the entry again.
        import.move_aside(&mut change);
        if rehearse || change.writes().is_empty() {
            return Ok(done);
        }
        Ok(match self.map.commit(&[change]).await? {
            Commit::Done(_) => done,
            Commit::Lost => Imported::Changed,
        })
    }
}

/// The prefix of the predecessor's keys for what it had given out in this network.
pub fn predecessors_keys(network: &str) -> String {
    used(network).from
}

fn used(network: &str) -> KeyRange {
    let root = format!("{PREDECESSOR}/{network}/used");
    // '0' is the character after '/'.
    KeyRange { from: format!("{root}/"), to: format!("{root}0") }
}
