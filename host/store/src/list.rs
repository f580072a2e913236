//! What operators read: which attachment holds which address, and what is on hold for which identity.

mod pods;
mod records;

use std::collections::VecDeque;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::keys::{Keys, Named};
use super::ordered::{Entry, KeyRange, OrderedMap};
use super::pages::Pages;
use super::record::{Hold, Keyed, Seen};
use ipam::{Allocation, Attachment, Claim, Party, PodName, Span};
use limits::store::PAGE;

pub use records::{AddressListing, AddressRecord, AddressRecords, RecordFilter};

/// Which allocations are wanted. Every field that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationFilter {
    pub network: Option<String>,
    /// The pod's namespace and name.
    pub pod: Option<(String, String)>,
    /// The container's ID, or how it begins.
    pub container: Option<String>,
    pub address: Option<IpAddr>,
}

/// Allocations that fit a filter: a page of them, or all.
#[derive(Debug, Default)]
pub struct AllocationListing {
    /// In the order of the addresses; of a container or a pod, in the order of its claims.
    pub held: Vec<Allocation>,
    /// What the pod or container that was asked for has ceded, and another holds for the time being.
    pub lent: Vec<Allocation>,
    /// Records that could not be read. They hide no others.
    pub damaged: Vec<StoreError>,
}

/// Allocations that fit a filter, page by page, however many there are.
///
/// Each page is of its own moment: a command that prints them may be stopped for an hour, and neither store keeps the past
/// for so long. An address has one place in the order, so that none comes twice, and none that is held all the while is left out.
pub struct Allocations<'a> {
    store: &'a Store,
    filter: AllocationFilter,
    limit: usize,
    /// How many claims are read of a container's, where there may be any number that begin alike.
    claims: usize,
    sources: VecDeque<Source>,
}

enum Source {
    /// The keys that the filter names: one page.
    Named,
    /// Every record of a range of addresses.
    Range(Pages),
}

impl AllocationFilter {
    fn fits(&self, held: &Allocation) -> bool {
        let Attachment { network, container, .. } = &held.attachment;
        self.network.as_ref().is_none_or(|wanted| wanted == network)
            && self.container.as_ref().is_none_or(|wanted| container.starts_with(wanted))
            && self.address.is_none_or(|wanted| wanted == held.address)
            && (self.pod.is_none() || self.names_pod(held.pod.as_ref()))
    }

    /// Whether the pod or the container that is asked for has lent the address to its holder.
    fn fits_lender(&self, held: &Allocation) -> bool {
        let Some(Party { attachment, pod, .. }) = held.former.as_deref() else { return false };
        let is_container = self.container.as_ref().is_some_and(|id| attachment.container.starts_with(id));
        is_container || self.names_pod(pod.as_ref())
    }

    fn names_pod(&self, pod: Option<&PodName>) -> bool {
        let (Some((namespace, name)), Some(pod)) = (&self.pod, pod) else { return false };
        pod.namespace == *namespace && pod.name == *name
    }

    fn names_keys(&self) -> bool {
        self.address.is_some() || self.container.is_some() || self.pod.is_some()
    }
}

impl Store {
    /// Allocations that fit. An address, a container or a pod is found by its own keys: a pod's are those of the newest
    /// container of each of its interfaces, and an older one that still holds an address is found by [`Self::search`] alone.
    pub fn allocations(&self, filter: &AllocationFilter) -> Allocations<'_> {
        if !filter.names_keys() {
            return self.search(filter);
        }
        let sources = VecDeque::from([Source::Named]);
        Allocations { store: self, filter: filter.clone(), limit: PAGE, claims: usize::MAX, sources }
    }

    /// Allocations that fit, by reading every record.
    pub fn search(&self, filter: &AllocationFilter) -> Allocations<'_> {
        self.search_in(filter, [self.keys.addresses()])
    }

    /// Allocations that fit, by reading every record of these addresses.
    pub fn search_spans(&self, filter: &AllocationFilter, spans: &[Span]) -> Allocations<'_> {
        self.search_in(filter, spans.iter().map(|span| self.keys.addresses_in(*span)))
    }

    fn search_in(&self, filter: &AllocationFilter, ranges: impl IntoIterator<Item = KeyRange>) -> Allocations<'_> {
        let sources = ranges.into_iter().map(|range| Source::Range(self.pages(range))).collect();
        Allocations { store: self, filter: filter.clone(), limit: PAGE, claims: usize::MAX, sources }
    }

    /// How many claims of a node and machine in one network were made before a moment. Looks at `most` claims at most, and
    /// says whether there are others.
    pub async fn count_older(
        &self,
        node: &str,
        machine: &str,
        network: &str,
        moment: Timestamp,
        most: usize,
    ) -> Result<(usize, bool), StoreError> {
        let mut view = self.map.view().await?;
        let mut index = self.batch();
        let listed = index.first_keys(self.keys.attachments_on(node, machine, network), most);
        let page = index.read(&mut view).await?.scan(listed);
        let mut batch = self.batch();
        let mut tickets = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            if let Some(Named::Node { attachment, .. }) = self.keys.named(&entry.key) {
                tickets.push(batch.claim(&attachment));
            }
        }
        if tickets.is_empty() {
            return Ok((0, false));
        }
        let mut answers = batch.read(&mut view).await?;
        let mut older = 0;
        for ticket in tickets {
            older += usize::from(answers.readable(ticket).is_some_and(|seen| seen.record.since < moment));
        }
        Ok((older, page.more))
    }

    /// The holds that stand now. One that cannot be read is logged and left out.
    pub async fn standing_holds(&self, now: Timestamp) -> Result<Vec<Hold>, StoreError> {
        let entries = self.scan_all(self.keys.holds()).await?;
        let readable = entries.into_iter().filter_map(|entry| Seen::<Hold>::readable(&self.keys, entry));
        Ok(readable.map(|seen| seen.record).filter(|hold| hold.is_standing(now)).collect())
    }

    /// The allocations under the keys that a filter names: those of one address, of a container or of a pod.
    async fn read_named(&self, filter: &AllocationFilter, most: usize) -> Result<AllocationListing, StoreError> {
        self.at_one_moment(async |mut view| {
            let mut listing = AllocationListing::default();
            if let Some(address) = filter.address {
                let mut batch = self.batch();
                let ticket = batch.allocation(address);
                let entry = batch.read(&mut view).await?.entry(ticket);
                listing.add_records(&self.keys, filter, entry);
                return Ok(listing);
            }
            let claims = match (&filter.container, &filter.pod) {
                (Some(container), _) => {
                    let mut pages = Pages::of(self.keys.attachments_beginning(container)).limited(most);
                    if most > PAGE {
                        pages.all(&mut view).await?
                    } else {
                        pages.next(&mut view).await?.unwrap_or_default()
                    }
                }
                (None, Some((namespace, name))) => self.claims_of_pod(&mut view, namespace, name).await?,
                (None, None) => Vec::new(),
            };
            let ceded = listing.add_claims(&self.keys, filter, claims);
            // A claim says that it ceded an address; who has it, and since when, is in the record of the address.
            let mut batch = self.batch();
            let tickets: Vec<_> = ceded.into_iter().map(|address| batch.allocation(address)).collect();
            let mut answers = batch.read(&mut view).await?;
            let records = tickets.into_iter().filter_map(|ticket| answers.entry(ticket));
            listing.add_lent(&self.keys, filter, records);
            Ok(listing)
        })
        .await
    }

    /// Every entry of a range at one moment, from the beginning where etcd forgets the moment meanwhile.
    pub(super) async fn scan_all(&self, range: KeyRange) -> Result<Vec<Entry>, StoreError> {
        self.at_one_moment(async |mut view| Pages::of(range.clone()).all(&mut view).await).await
    }
}

impl Allocations<'_> {
    /// Read at most so many records for a page.
    pub fn in_pages_of(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// Of a container that is named by its beginning, read at most so many claims.
    pub fn of_claims(self, most: usize) -> Self {
        Self { claims: most, ..self }
    }

    /// The next page, which may be empty where little fits; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<AllocationListing>, StoreError> {
        while let Some(source) = self.sources.pop_front() {
            let mut pages = match source {
                Source::Named => return Ok(Some(self.store.read_named(&self.filter, self.claims).await?)),
                Source::Range(pages) => pages.limited(self.limit),
            };
            let Some(entries) = self.store.next_of(&mut pages).await? else { continue };
            self.sources.push_front(Source::Range(pages));
            let mut listing = AllocationListing::default();
            listing.add_records(&self.store.keys, &self.filter, entries);
            return Ok(Some(listing));
        }
        Ok(None)
    }

    /// All pages in one.
    pub async fn all(mut self) -> Result<AllocationListing, StoreError> {
        let mut all = AllocationListing::default();
        while let Some(page) = self.next().await? {
            all.held.extend(page.held);
            all.lent.extend(page.lent);
            all.damaged.extend(page.damaged);
        }
        Ok(all)
    }
}

impl Store {
    /// The next page of a range, as it is now.
    async fn next_of(&self, pages: &mut Pages) -> Result<Option<Vec<Entry>>, StoreError> {
        loop {
            match pages.next(&mut self.map.view().await?).await {
                // A page may take several answers, where keys are rare, and etcd forget the moment of the first. What was
                // found empty stays behind: the next view goes on, and its first answer is of a moment that is known.
                Err(StoreError::Compacted) => {}
                page => return page,
            }
        }
    }
}

impl AllocationListing {
    fn add_records(&mut self, keys: &Keys, filter: &AllocationFilter, entries: impl IntoIterator<Item = Entry>) {
        for held in self.readable::<Allocation>(keys, entries) {
            if filter.fits(&held) {
                self.held.push(held);
            } else if filter.fits_lender(&held) {
                self.lent.push(held);
            }
        }
    }

    /// Add what claims hold, and return the addresses that they ceded.
    fn add_claims(&mut self, keys: &Keys, filter: &AllocationFilter, entries: Vec<Entry>) -> Vec<IpAddr> {
        let mut ceded = Vec::new();
        for claim in self.readable::<Claim>(keys, entries) {
            self.held.extend(claim.allocations().filter(|held| filter.fits(held)));
            ceded.extend(claim.ceded.iter().map(|ceded| ceded.assignment.address));
        }
        ceded
    }

    fn add_lent(&mut self, keys: &Keys, filter: &AllocationFilter, entries: impl IntoIterator<Item = Entry>) {
        let records = self.readable::<Allocation>(keys, entries);
        self.lent.extend(records.into_iter().filter(|held| filter.fits_lender(held) && !filter.fits(held)));
    }

    fn readable<T: Keyed>(&mut self, keys: &Keys, entries: impl IntoIterator<Item = Entry>) -> Vec<T> {
        let mut records = Vec::new();
        for entry in entries {
            match Seen::<T>::parse(keys, entry) {
                Ok(seen) => records.push(seen.record),
                Err(error) => self.damaged.push(error),
            }
        }
        records
    }
}
