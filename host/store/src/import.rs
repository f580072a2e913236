//! Addresses that containers hold by somebody else's books: claimed for them, so that nobody else gets them.
//!
//! A claim is imported like any other is written: an address that is held or kept goes to nobody, and all of it
//! happens in one transaction. Where the books are keys of the same map (the predecessor's, below), the same
//! transaction moves each entry aside, so that nothing is imported twice, nor after its container is gone:
//!
//! ```text
//! /etcd-cni/networks/<network>/used/<address>      = container ID       →  imported/<address>
//!                                                  what cannot be       →  set-aside/<whatever>
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::hold::end_hold;
use super::ordered::{Change, Commit, Entry, Guard, KeyRange, OrderedMap, Page, Read, View};
use super::record::{KeptAddress, Seen, encode};
use ipam::{Assignment, Attachment, Claim, Holder};

/// The root of the predecessor's keys.
const PREDECESSOR: &str = "/etcd-cni/networks";

/// An entry in somebody else's books, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Not necessarily an address.
    pub address: String,
    /// Whatever is said to hold it.
    pub container: String,
    /// Where the books know it.
    pub interface: Option<String>,
}

/// An address that somebody holds by other books than ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Who holds it.
    pub attachment: Attachment,
    /// The node of the container, or [`Import::UNKNOWN_NODE`].
    pub node: String,
    /// The machine of the container; empty when unknown.
    pub machine: String,
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
        let entries = self.scan_all(range.clone(), false).await?;
        let booking = |entry: Entry| Booking {
            address: entry.key.strip_prefix(&range.from).unwrap_or(&entry.key).to_owned(),
            container: String::from_utf8_lossy(&entry.value).into_owned(),
            interface: None,
        };
        Ok(entries.into_iter().map(booking).collect())
    }

    /// Whether the predecessor has booked an address in this network. etcd walks what is left of its bookings for it:
    /// nothing, once they are imported.
    pub async fn has_predecessor_bookings(&self, network: &str) -> Result<bool, StoreError> {
        let pages = self.map.view().await?.read(&[Read::keys(used(network), 1)]).await?;
        Ok(pages.iter().any(|page| !page.entries.is_empty()))
    }

    /// How many addresses the predecessor has booked in this network. One read of a number.
    pub async fn count_predecessor_bookings(&self, network: &str) -> Result<u64, StoreError> {
        let pages = self.map.view().await?.read(&[Read::Count(used(network))]).await?;
        Ok(pages.iter().map(|page| page.count).sum())
    }

    /// Move an entry of the predecessor's that nothing can be made of to where nobody counts it. False where it is not
    /// there any more as it was read.
    pub async fn set_aside(&self, network: &str, booking: &Booking) -> Result<bool, StoreError> {
        let key = format!("{}{}", used(network).from, booking.address);
        let pages = self.map.view().await?.read(&[Read::Get(key.clone())]).await?;
        // As it stands there, which need not be text.
        let Some(entry) = pages.into_iter().next().and_then(Page::into_entry) else { return Ok(false) };
        let mut change = Change::default();
        change.require(Guard::Is(key.clone(), entry.value.clone())).delete(key);
        change.put(format!("{PREDECESSOR}/{network}/set-aside/{}", booking.address), entry.value);
        Ok(self.map.commit(&[change]).await? != Commit::Lost)
    }

    /// Claim an address for who holds it. One read and, unless it is a rehearsal, one write.
    pub async fn import(&self, import: &Import, now: Timestamp, rehearse: bool) -> Result<Imported, StoreError> {
        let address = import.assignment.address;
        let mut reading = self.reading(now).await?;
        let mut reads = vec![Read::Get(self.keys.attachment(&import.attachment))];
        reads.extend(reading.holder_reads(address));
        let mut pages = reading.read(&reads).await?.into_iter();
        let claim = pages.next().and_then(Page::into_entry);
        let claim = claim.map(|entry| Seen::<Claim>::parse(&self.keys, entry)).transpose()?;
        let change = match reading.learn_holder(address, pages)? {
            Some(Holder::Attachment(held)) if held.attachment == import.attachment => Change::default(),
            Some(holder) => return Ok(Imported::Taken(holder)),
            None => self.import_change(import, claim.as_ref(), reading.seen.kept.get(&address), now),
        };
        self.commit_import(import, change, rehearse).await
    }

    fn import_change(
        &self,
        import: &Import,
        claim: Option<&Seen<Claim>>,
        over: Option<&Seen<KeptAddress>>,
        now: Timestamp,
    ) -> Change {
        let Import { attachment, node, machine, assignment, .. } = import;
        let mut change = Change::default();
        change.require(claim.map_or_else(|| Guard::Absent(self.keys.attachment(attachment)), Seen::guard));
        let mut claim = claim.map_or_else(|| empty_claim(attachment, node, machine, now), |claim| claim.record.clone());
        claim.addresses.push(assignment.clone());
        let held = claim.held_addresses().filter(|held| held.address == assignment.address);
        for held in held {
            change.require(Guard::Absent(self.keys.address(held.address)));
            change.put(self.keys.address(held.address), encode(&held));
        }
        let hold = self.keys.hold(assignment.address);
        match over {
            Some(over) => {
                change.require(over.guard_at(hold));
                end_hold(&self.keys, &over.record, &mut change);
            }
            None => drop(change.require(Guard::Absent(hold))),
        }
        change.put(self.keys.attachment(attachment), encode(&claim));
        change.put(self.keys.node_of(&claim), "");
        change
    }

    async fn commit_import(&self, import: &Import, mut change: Change, rehearse: bool) -> Result<Imported, StoreError> {
        let done = if change.writes().is_empty() { Imported::Already } else { Imported::Done };
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

fn empty_claim(attachment: &Attachment, node: &str, machine: &str, now: Timestamp) -> Claim {
    Claim {
        attachment: attachment.clone(),
        node: node.to_owned(),
        machine: machine.to_owned(),
        pod: None,
        addresses: Vec::new(),
        ceded: Vec::new(),
        former: BTreeMap::new(),
        policy: None,
        since: now,
    }
}

/// Where the predecessor kept what it had given out in this network.
pub fn predecessors_keys(network: &str) -> String {
    used(network).from
}

fn used(network: &str) -> KeyRange {
    let root = format!("{PREDECESSOR}/{network}/used");
    // '0' is the character after '/'.
    KeyRange { from: format!("{root}/"), to: format!("{root}0") }
}
