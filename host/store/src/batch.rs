//! Reads that go to a view together, and a ticket for each of them.
//!
//! ```text
//!   let mut batch = store.batch();
//!   let claim  = batch.claim(&attachment);            Ticket<Claim>
//!   let window = batch.window(span);                  BlockTicket
//!   let mut answers = batch.read(&mut view).await?;     one round trip for all of them
//!   let claim  = answers.record(claim)?;                Option<Seen<Claim>>, checked against its key
//!   let window = answers.block(window);                 Block
//! ```
//!
//! A ticket says which read it stands for and what lies there, and is spent when it is exchanged. So a read that is added,
//! left out or moved shifts no other answer, and an allocation cannot be taken for a hold.
//!
//! Reads go out in the order in which they were asked for. That order is part of the contract with etcd: its first range is
//! the one that the cluster has to agree on (`etcd/moment.rs`).

use std::marker::PhantomData;
use std::net::IpAddr;

use jiff::Timestamp;

use super::error::StoreError;
use super::keys::Keys;
use super::map::MapView;
use super::ordered::{Entry, KeyRange, Page, Read, View};
use super::record::{Hold, Keyed, Seen};
use ipam::{Allocation, Attachment, Claim, Holder, PodName, RangeSet, Slot, Span};
use limits::store::{EXPIRED_AT_ONCE, PAGE};

/// Reads that go out together.
pub(crate) struct Batch {
    keys: Keys,
    reads: Vec<Read>,
}

/// Stands for one key, with a record of this type under it, or with an [`Entry`] that is no record but an index.
#[must_use]
pub(crate) struct Ticket<T> {
    place: usize,
    lies_there: PhantomData<fn() -> T>,
}

/// Stands for the first entries of a range.
#[must_use]
pub(crate) struct ScanTicket {
    place: usize,
}

/// Stands for the number of entries in a range.
#[must_use]
pub(crate) struct CountTicket {
    place: usize,
}

/// Stands for both records that there may be about one address.
#[must_use]
pub(crate) struct AddressTicket {
    address: IpAddr,
    allocation: Ticket<Allocation>,
    hold: Ticket<Hold>,
}

/// Stands for the allocations and the holds in a block of neighbouring addresses.
#[must_use]
pub(crate) struct BlockTicket {
    span: Span,
    addresses: ScanTicket,
    holds: ScanTicket,
}

/// The answers to a batch, each taken out with its ticket.
pub(crate) struct Answers {
    keys: Keys,
    pages: Vec<Page>,
}

/// What lies under one address.
pub(crate) struct AtAddress {
    pub(crate) address: IpAddr,
    pub(crate) allocation: Option<Seen<Allocation>>,
    pub(crate) hold: Option<Seen<Hold>>,
}

/// What was read of a block: perhaps only its beginning.
pub(crate) struct Block {
    pub(crate) span: Span,
    pub(crate) addresses: Page,
    pub(crate) holds: Page,
}

impl Batch {
    pub(crate) fn new(keys: &Keys) -> Self {
        Self { keys: keys.clone(), reads: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    pub(crate) fn claim(&mut self, attachment: &Attachment) -> Ticket<Claim> {
        self.get(self.keys.attachment(attachment))
    }

    pub(crate) fn allocation(&mut self, address: IpAddr) -> Ticket<Allocation> {
        self.get(self.keys.address(address))
    }

    pub(crate) fn hold(&mut self, address: IpAddr) -> Ticket<Hold> {
        self.get(self.keys.hold(address))
    }

    /// Both records that there may be about an address.
    pub(crate) fn address(&mut self, address: IpAddr) -> AddressTicket {
        AddressTicket { address, allocation: self.allocation(address), hold: self.hold(address) }
    }

    /// Which attachment of a pod's interface is the newest.
    pub(crate) fn newest(&mut self, pod: &PodName, attachment: &Attachment) -> Ticket<Entry> {
        self.get(self.keys.pod(pod, attachment))
    }

    pub(crate) fn slot(&mut self, slot: &Slot) -> Ticket<Entry> {
        self.get(self.keys.slot(slot))
    }

    pub(crate) fn cursor(&mut self, set: &RangeSet) -> Ticket<Entry> {
        self.get(self.keys.cursor(set))
    }

    pub(crate) fn registration(&mut self, network: &str) -> Ticket<Entry> {
        self.get(self.keys.registration(network))
    }

    /// Any key, also one that is not ours.
    pub(crate) fn entry(&mut self, key: String) -> Ticket<Entry> {
        self.get(key)
    }

    /// A window: the keys of its addresses, and its holds.
    pub(crate) fn window(&mut self, window: Span) -> BlockTicket {
        // Twice the window, so that a stray key in between hides no address.
        self.block(window, usize::try_from(window.size().saturating_mul(2)).unwrap_or(usize::MAX))
    }

    /// A block of any width: the keys of its addresses and its holds, at most `limit` of either.
    pub(crate) fn block(&mut self, span: Span, limit: usize) -> BlockTicket {
        let addresses = self.first_keys(self.keys.addresses_in(span), limit);
        let holds = self.scan(self.keys.holds_in(span), limit);
        BlockTicket { span, addresses, holds }
    }

    /// A block with the records of its addresses and its holds, at most `limit` of either.
    pub(crate) fn holders(&mut self, span: Span, limit: usize) -> BlockTicket {
        let addresses = self.scan(self.keys.addresses_in(span), limit);
        let holds = self.scan(self.keys.holds_in(span), limit);
        BlockTicket { span, addresses, holds }
    }

    /// The marks of the blocks of so many bits that a span touches.
    pub(crate) fn full_blocks(&mut self, span: Span, bits: u32) -> ScanTicket {
        self.scan(self.keys.full_in(bits, span), PAGE)
    }

    /// The first holds that are over: the index of expiries has them in front.
    pub(crate) fn expired(&mut self, now: Timestamp) -> ScanTicket {
        self.scan(self.keys.expired(now), EXPIRED_AT_ONCE)
    }

    /// How many addresses of a span are held by attachments.
    pub(crate) fn count_held(&mut self, span: Span) -> CountTicket {
        self.count(self.keys.addresses_in(span))
    }

    pub(crate) fn scan(&mut self, range: KeyRange, limit: usize) -> ScanTicket {
        ScanTicket { place: self.add(Read::scan(range, limit)) }
    }

    pub(crate) fn first_keys(&mut self, range: KeyRange, limit: usize) -> ScanTicket {
        ScanTicket { place: self.add(Read::keys(range, limit)) }
    }

    pub(crate) fn count(&mut self, range: KeyRange) -> CountTicket {
        CountTicket { place: self.add(Read::Count(range)) }
    }

    fn get<T>(&mut self, key: String) -> Ticket<T> {
        Ticket { place: self.add(Read::Get(key)), lies_there: PhantomData }
    }

    fn add(&mut self, read: Read) -> usize {
        self.reads.push(read);
        self.reads.len() - 1
    }

    /// Read all of it at the moment of this view. A batch that asks for nothing costs nothing.
    pub(crate) async fn read(self, view: &mut MapView) -> Result<Answers, StoreError> {
        let pages = if self.is_empty() { Vec::new() } else { view.read(&self.reads).await? };
        Ok(Answers { keys: self.keys, pages })
    }
}

impl Answers {
    /// The answers to a batch that asked for nothing.
    pub(crate) fn none(keys: &Keys) -> Self {
        Self { keys: keys.clone(), pages: Vec::new() }
    }

    /// A record; an error where it is damaged.
    pub(crate) fn record<T: Keyed>(&mut self, ticket: Ticket<T>) -> Result<Option<Seen<T>>, StoreError> {
        self.entry(ticket).map(|entry| Seen::parse(&self.keys, entry)).transpose()
    }

    /// A record; where it is damaged `None`, and a line in the log: for reads that go on without it.
    pub(crate) fn readable<T: Keyed>(&mut self, ticket: Ticket<T>) -> Option<Seen<T>> {
        self.entry(ticket).and_then(|entry| Seen::readable(&self.keys, entry))
    }

    /// What lies under a key, understood or not.
    pub(crate) fn entry<T>(&mut self, ticket: Ticket<T>) -> Option<Entry> {
        self.take(ticket.place).into_entry()
    }

    pub(crate) fn address(&mut self, ticket: AddressTicket) -> Result<AtAddress, StoreError> {
        let AddressTicket { address, allocation, hold } = ticket;
        Ok(AtAddress { address, allocation: self.record(allocation)?, hold: self.record(hold)? })
    }

    pub(crate) fn block(&mut self, ticket: BlockTicket) -> Block {
        let BlockTicket { span, addresses, holds } = ticket;
        Block { span, addresses: self.scan(addresses), holds: self.scan(holds) }
    }

    pub(crate) fn scan(&mut self, ticket: ScanTicket) -> Page {
        self.take(ticket.place)
    }

    /// The records of a range; a line in the log for each that is damaged.
    pub(crate) fn all_readable<T: Keyed>(&mut self, ticket: ScanTicket) -> Vec<Seen<T>> {
        let entries = self.scan(ticket).entries;
        entries.into_iter().filter_map(|entry| Seen::readable(&self.keys, entry)).collect()
    }

    pub(crate) fn count(&mut self, ticket: CountTicket) -> u64 {
        self.take(ticket.place).count
    }

    fn take(&mut self, place: usize) -> Page {
        // Views answer every read, one page each. If one did not, the key would count as absent: a claim that believes it
        // requires just that, and loses.
        self.pages.get_mut(place).map(std::mem::take).unwrap_or_default()
    }
}

impl AtAddress {
    /// Who has the address. A hold that is over keeps it from nobody, and one beside an allocation says less than that.
    pub(crate) fn holder(&self, now: Timestamp) -> Option<Holder> {
        match (&self.allocation, &self.hold) {
            (Some(seen), _) => Some(Holder::Attachment(Box::new(seen.record.clone()))),
            (None, Some(hold)) => hold.record.holder(now),
            (None, None) => None,
        }
    }
}
