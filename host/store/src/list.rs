//! What operators read: who holds what, and what is kept for whom.

use crate::map::MapView;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::keys::{Keys, Named, address_in};
use super::ordered::{Entry, KeyRange, OrderedMap, Page, Read, View};
use super::record::{Hold, Keyed, Seen};
use ipam::address::successor;
use ipam::{Allocation, Attachment, Claim, Family, Span};
use limits::store::PAGE;

/// Which allocations. Every field that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The network's name.
    pub network: Option<String>,
    /// The pod's namespace and name.
    pub pod: Option<(String, String)>,
    /// The container's ID, or how it begins.
    pub container: Option<String>,
    /// One address.
    pub address: Option<IpAddr>,
}

/// A page of allocations.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of the addresses; of a container, in the order of its claims.
    pub held: Vec<Allocation>,
    /// Records that could not be read. They hide no others.
    pub damaged: Vec<StoreError>,
    /// Where the next page begins: pass it as `after`.
    pub next: Option<IpAddr>,
}

impl Filter {
    fn fits(&self, held: &Allocation) -> bool {
        let Attachment { network, container, .. } = &held.attachment;
        let pod = held.pod.as_ref();
        self.network.as_ref().is_none_or(|wanted| wanted == network)
            && self.container.as_ref().is_none_or(|wanted| container.starts_with(wanted))
            && self.address.is_none_or(|wanted| wanted == held.address)
            && self
                .pod
                .as_ref()
                .is_none_or(|(namespace, name)| pod.is_some_and(|pod| pod.namespace == *namespace && pod.name == *name))
    }
}

impl Store {
    /// Allocations above `after` that fit the filter, at most `limit` addresses looked at. A container or an address
    /// is found by its own key and comes on one page.
    pub async fn allocations(
        &self,
        filter: &Filter,
        after: Option<IpAddr>,
        limit: usize,
    ) -> Result<Listing, StoreError> {
        let listing = self.at_one_moment(async |mut view| self.list(&mut view, filter, after, limit).await);
        let mut listing = listing.await?;
        listing.held.retain(|held| filter.fits(held));
        Ok(listing)
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
        let keys = view.read(&[Read::keys(self.keys.attachments_on(node, machine, network), most)]).await?;
        let page = keys.into_iter().next().unwrap_or_default();
        let mut reads = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            if let Some(Named::Node { attachment, .. }) = self.keys.named(&entry.key) {
                reads.push(Read::Get(self.keys.attachment(&attachment)));
            }
        }
        if reads.is_empty() {
            return Ok((0, false));
        }
        let claims = view.read(&reads).await?.into_iter().filter_map(Page::into_entry);
        let older = claims.filter_map(|entry| Seen::<Claim>::readable(&self.keys, entry));
        Ok((older.filter(|seen| seen.record.since < moment).count(), page.more))
    }

    /// What is kept now, and for whom.
    pub async fn kept(&self, now: Timestamp) -> Result<Vec<Hold>, StoreError> {
        let entries = self.scan_all(self.keys.holds(), false).await?;
        let readable = entries.into_iter().filter_map(|entry| Seen::<Hold>::readable(&self.keys, entry));
        Ok(readable.map(|seen| seen.record).filter(|kept| kept.is_standing(now)).collect())
    }

    async fn list(
        &self,
        view: &mut MapView,
        filter: &Filter,
        after: Option<IpAddr>,
        limit: usize,
    ) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        match (filter.address, &filter.container) {
            (Some(address), _) => {
                let pages = view.read(&[Read::Get(self.keys.address(address))]).await?;
                listing.add(&self.keys, pages.into_iter().flat_map(|page| page.entries), Option::Some::<Allocation>);
            }
            (None, Some(container)) => {
                let entries = scan_all(view, self.keys.attachments_beginning(container), false).await?;
                listing.add(&self.keys, entries, |claim: Claim| claim.allocations().collect::<Vec<_>>());
            }
            (None, None) => self.read_addresses(view, after, limit, &mut listing).await?,
        }
        Ok(listing)
    }

    async fn read_addresses(
        &self,
        view: &mut MapView,
        after: Option<IpAddr>,
        limit: usize,
        listing: &mut Listing,
    ) -> Result<(), StoreError> {
        let mut missing = limit.clamp(1, PAGE);
        let mut last = after;
        for family in [Family::V4, Family::V6] {
            let Some(range) = self.range_after(family, after) else { continue };
            if missing == 0 {
                listing.next = last;
                break;
            }
            let page = view.read(&[Read::scan(range, missing)]).await?.into_iter().next().unwrap_or_default();
            missing -= page.entries.len().min(missing);
            last = page.entries.iter().rev().find_map(|entry| address_in(&entry.key)).or(last);
            listing.add(&self.keys, page.entries, Option::Some::<Allocation>);
            if page.more {
                listing.next = last;
                break;
            }
        }
        Ok(())
    }

    fn range_after(&self, family: Family, after: Option<IpAddr>) -> Option<KeyRange> {
        let all = self.keys.addresses_of(family);
        let Some(after) = after else { return Some(all) };
        match (Family::of(after), family) {
            (Family::V6, Family::V4) => None,
            (Family::V4, Family::V6) => Some(all),
            _ => successor(after).map(|next| KeyRange { from: self.keys.addresses_in(Span::single(next)).from, ..all }),
        }
    }

    /// Every entry of a range at one moment.
    pub(super) async fn scan_all(&self, range: KeyRange, keys_only: bool) -> Result<Vec<Entry>, StoreError> {
        self.at_one_moment(async |mut view| scan_all(&mut view, range.clone(), keys_only).await).await
    }
}

impl Listing {
    fn add<T: Keyed, I: IntoIterator<Item = Allocation>>(
        &mut self,
        keys: &Keys,
        entries: impl IntoIterator<Item = Entry>,
        addresses: impl Fn(T) -> I,
    ) {
        for entry in entries {
            match Seen::<T>::parse(keys, entry) {
                Ok(seen) => self.held.extend(addresses(seen.record)),
                Err(error) => self.damaged.push(error),
            }
        }
    }
}

/// Every entry of a range, page by page, at one moment.
pub(super) async fn scan_all(
    view: &mut MapView,
    mut range: KeyRange,
    keys_only: bool,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let read = Read::Scan { range: range.clone(), limit: PAGE, keys_only };
        let page = view.read(&[read]).await?.into_iter().next().unwrap_or_default();
        entries.extend(page.entries);
        match entries.last() {
            Some(last) if page.more => range.from = format!("{}\0", last.key),
            _ => return Ok(entries),
        }
    }
}
