//! Everything that keeps an address from a new pod, in the order of addresses: what attachments hold, and what is on hold.
//!
//! Each kind has its own part of the keys, in the same order. They are read side by side, a page of each, and merged.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::Store;
use crate::error::StoreError;
use crate::keys::Keys;
use crate::ordered::{Entry, KeyRange};
use crate::pages::Pages;
use crate::record::{Hold, Seen};
use ipam::{Allocation, Span};
use limits::store::PAGE;

/// What the store has about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressRecord {
    Allocation(Box<Allocation>),
    /// Whether its time is over, [`Hold::is_standing`] says: the record waits to be replaced then.
    Hold(Hold),
}

impl AddressRecord {
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Allocation(held) => held.address,
            Self::Hold(hold) => hold.address,
        }
    }
}

/// Which records are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFilter {
    /// Whether what attachments hold is wanted.
    pub allocations: bool,
    pub holds: bool,
    /// Only addresses of these, lowest first and apart from each other; all where there are none.
    pub spans: Vec<Span>,
}

/// A page of records.
#[derive(Debug, Default)]
pub struct AddressListing {
    pub records: Vec<AddressRecord>,
    /// Records that could not be read. They hide no others.
    pub damaged: Vec<StoreError>,
}

/// The records of addresses, page by page, however many there are. Each page is of its own moment, as with
/// [`super::Allocations`]: an address that is released between two reads, and kept from then on, may be there twice.
pub struct AddressRecords<'a> {
    store: &'a Store,
    lanes: Vec<Lane>,
}

/// One kind of record.
struct Lane {
    parse: fn(&Keys, Entry) -> Result<AddressRecord, StoreError>,
    ranges: VecDeque<Pages>,
    /// What was read and not handed on.
    waiting: VecDeque<AddressRecord>,
}

fn parse_allocation(keys: &Keys, entry: Entry) -> Result<AddressRecord, StoreError> {
    Ok(AddressRecord::Allocation(Box::new(Seen::<Allocation>::parse(keys, entry)?.record)))
}

fn parse_hold(keys: &Keys, entry: Entry) -> Result<AddressRecord, StoreError> {
    Ok(AddressRecord::Hold(Seen::<Hold>::parse(keys, entry)?.record))
}

impl Store {
    /// What keeps addresses from new pods, lowest address first.
    pub fn address_records(&self, filter: &RecordFilter) -> AddressRecords<'_> {
        let mut lanes = Vec::new();
        if filter.allocations {
            let ranges = self.ranges_of(filter, self.keys.addresses(), |span| self.keys.addresses_in(span));
            lanes.push(Lane { parse: parse_allocation, ranges, waiting: VecDeque::new() });
        }
        if filter.holds {
            let ranges = self.ranges_of(filter, self.keys.holds(), |span| self.keys.holds_in(span));
            lanes.push(Lane { parse: parse_hold, ranges, waiting: VecDeque::new() });
        }
        AddressRecords { store: self, lanes }
    }

    fn ranges_of(&self, filter: &RecordFilter, all: KeyRange, of_span: impl Fn(Span) -> KeyRange) -> VecDeque<Pages> {
        if filter.spans.is_empty() {
            return VecDeque::from([self.pages(all)]);
        }
        filter.spans.iter().map(|span| self.pages(of_span(*span))).collect()
    }

    /// The records of some addresses as they are now, in the order of the addresses. One read.
    pub async fn records_of(&self, addresses: &[IpAddr]) -> Result<AddressListing, StoreError> {
        let mut batch = self.batch();
        let mut tickets = Vec::with_capacity(addresses.len());
        for address in addresses {
            tickets.push((batch.allocation(*address), batch.hold(*address)));
        }
        let mut answers = self.read_now(batch).await?;
        let mut listing = AddressListing::default();
        for (allocation, hold) in tickets {
            // A hold beside an allocation says less than that.
            match (answers.entry(allocation), answers.entry(hold)) {
                (Some(entry), _) => listing.add(parse_allocation(&self.keys, entry)),
                (None, Some(entry)) => listing.add(parse_hold(&self.keys, entry)),
                (None, None) => {}
            }
        }
        Ok(listing)
    }
}

impl AddressRecords<'_> {
    /// The next page; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<AddressListing>, StoreError> {
        let mut listing = AddressListing::default();
        while listing.records.len() < PAGE {
            for lane in &mut self.lanes {
                lane.fill(self.store, &mut listing.damaged).await?;
            }
            let lowest = self.lanes.iter_mut().filter(|lane| !lane.waiting.is_empty());
            let lowest = lowest.min_by_key(|lane| lane.waiting.front().map(AddressRecord::address));
            let Some(record) = lowest.and_then(|lane| lane.waiting.pop_front()) else { break };
            listing.records.push(record);
        }
        let is_over = listing.records.is_empty() && listing.damaged.is_empty();
        Ok(if is_over { None } else { Some(listing) })
    }
}

impl Lane {
    /// Read on until there is a record to compare with those of the other kinds, or none is left.
    async fn fill(&mut self, store: &Store, damaged: &mut Vec<StoreError>) -> Result<(), StoreError> {
        while self.waiting.is_empty()
            && let Some(pages) = self.ranges.front_mut()
        {
            let Some(entries) = store.next_of(pages).await? else {
                self.ranges.pop_front();
                continue;
            };
            for entry in entries {
                match (self.parse)(&store.keys, entry) {
                    Ok(record) => self.waiting.push_back(record),
                    Err(error) => damaged.push(error),
                }
            }
        }
        Ok(())
    }
}

impl AddressListing {
    fn add(&mut self, record: Result<AddressRecord, StoreError>) {
        match record {
            Ok(record) => self.records.push(record),
            Err(error) => self.damaged.push(error),
        }
    }
}
