//! How a snapshot is read: little at first, more where a policy asks. All of it in one view.
//!
//! A *window* is a few hundred neighbouring addresses, read as keys. Where a whole window is held, what follows is
//! counted in parts that double, then the first part that is not full is counted in smaller parts, until one is small
//! enough to be a window again: a handful of reads for 65,000 held addresses, and nothing to transfer for them.

use super::map::MapView;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::error::StoreError;
use super::keys::{Keys, address_in, slot_number_in};
use super::list;
use super::nearby::{Nearby, part_in_pages};
use super::ordered::{Entry, KeyRange, Page, Read, View};
use super::record::{KeptAddress, Seen};
use ipam::address::number;
use ipam::{Allocation, Family, Holder, Question, RangeSet, Snapshot, Span};
use limits::store::{COUNTED_PARTS, HELD_FOR, TAKEN_SLOTS, WIDEST_WINDOW, WINDOW, WINDOW_GAP, WINDOW_SPANS};

/// A view, and the records seen in it that a claim may have to guard.
pub(crate) struct Reading {
    view: MapView,
    pub(crate) keys: Keys,
    pub(crate) now: Timestamp,
    pub(crate) seen: Seens,
    reach: u128,
    /// Whether the last window was full.
    dense: bool,
    pub(super) nearby: Nearby,
}

/// Records as they were read.
#[derive(Default)]
pub(crate) struct Seens {
    pub(crate) held: BTreeMap<IpAddr, Option<Seen<Allocation>>>,
    pub(crate) kept: BTreeMap<IpAddr, Seen<KeptAddress>>,
}

impl Reading {
    pub(crate) fn new(view: MapView, keys: Keys, now: Timestamp) -> Self {
        Self { view, keys, now, seen: Seens::default(), reach: WINDOW, dense: false, nearby: Nearby::default() }
    }

    pub(crate) async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        if reads.is_empty() { Ok(Vec::new()) } else { self.view.read(reads).await }
    }

    pub(crate) async fn scan_all(&mut self, range: KeyRange, keys_only: bool) -> Result<Vec<Entry>, StoreError> {
        list::scan_all(&mut self.view, range, keys_only).await
    }

    /// Read what a question asks for and teach it to the snapshot.
    pub(crate) async fn answer(&mut self, question: Question, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        match question {
            Question::FirstFree(span) if span.size() < WINDOW => self.first_free_of_few(span, snapshot).await,
            Question::FirstFree(span) => self.first_free(span, snapshot).await,
            Question::HolderOf(address) => self.holder_and_neighbours(address, snapshot).await,
            Question::Usage(index) => {
                let Some(set) = snapshot.range_sets().get(index) else { return Ok(()) };
                let held = self.count_held([set]).await?.into_iter().sum();
                snapshot.learn_usage(index, held);
                Ok(())
            }
            Question::HeldFor(identity) => {
                let addresses = self.held_for(&identity).await?;
                snapshot.learn_held_for(identity, addresses);
                Ok(())
            }
            Question::TakenSlots(name) => {
                let taken = self.taken_slots(&name).await?;
                snapshot.learn_slots(name, taken);
                Ok(())
            }
        }
    }

    /// The reads that tell who holds an address; the answer goes to [`Self::learn_holder`].
    pub(crate) fn holder_reads(&self, address: IpAddr) -> [Read; 2] {
        [Read::Get(self.keys.address(address)), Read::Get(self.keys.hold(address))]
    }

    pub(crate) fn learn_holder(
        &mut self,
        address: IpAddr,
        pages: impl IntoIterator<Item = Page>,
    ) -> Result<Option<Holder>, StoreError> {
        let mut pages = pages.into_iter().map(Page::into_entry);
        let mut next = || pages.next().flatten();
        let held = next().map(|entry| Seen::<Allocation>::parse(&self.keys, entry)).transpose()?;
        let kept = next().map(|entry| Seen::<KeptAddress>::parse(&self.keys, entry)).transpose()?;
        let holder = match (&held, &kept) {
            (Some(held), _) => Some(Holder::Attachment(Box::new(held.record.clone()))),
            (None, Some(kept)) => holder_of_kept(&kept.record, self.now),
            (None, None) => None,
        };
        self.seen.held.insert(address, held);
        self.seen.kept.extend(kept.map(|kept| (address, kept)));
        Ok(holder)
    }

    /// The reads of a window; the answer goes to [`Self::learn_window`].
    pub(crate) fn window_reads(&self, window: Span) -> [Read; 2] {
        // Twice the window, so that a stray key in between hides no address.
        let limit = usize::try_from(window.size().saturating_mul(2)).unwrap_or(usize::MAX);
        [Read::keys(self.keys.addresses_in(window), limit), Read::scan(self.keys.holds_in(window), limit)]
    }

    /// Teach a window to the snapshot, or as much of it as the pages have; returns how many of its addresses are not
    /// free.
    pub(crate) fn learn_window(
        &mut self,
        window: Span,
        pages: impl IntoIterator<Item = Page>,
        snapshot: &mut Snapshot,
    ) -> u128 {
        let mut pages = pages.into_iter();
        let (held, kept) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
        let read = part_in_pages(window, [&held, &kept]);
        let mut taken: Vec<IpAddr> = held.entries.iter().filter_map(|entry| address_in(&entry.key)).collect();
        for entry in kept.entries {
            let Some(address) = address_in(&entry.key) else { continue };
            let kept = Seen::<KeptAddress>::readable(&self.keys, entry);
            // A record nobody can read keeps its address from everybody, and disturbs nobody else.
            if kept.as_ref().is_none_or(|kept| kept.record.is_kept(self.now)) {
                taken.push(address);
            }
            self.seen.kept.extend(kept.map(|kept| (address, kept)));
        }
        let count = taken.len() as u128;
        if let Some(read) = read {
            snapshot.learn_span(read, taken);
        }
        count
    }

    async fn first_free(&mut self, span: Span, snapshot: &mut Snapshot) -> Result<(), StoreError> {
        let window = head(span, self.reach);
        self.reach = (self.reach * 2).min(WIDEST_WINDOW);
        let beyond = span.above(window.last()).map(|rest| doubling_parts(rest, window.size())).unwrap_or_default();
        let counts: Vec<Read> = beyond.iter().map(|part| Read::Count(self.keys.addresses_in(*part))).collect();
        let mut reads = self.window_reads(window).to_vec();
        // Counting is not free, etcd walks the keys it counts: not before a window was full.
        if self.dense {
            reads.extend_from_slice(&counts);
        }
        let mut pages = self.read(&reads).await?;
        let counted = pages.split_off(2);
        let taken = self.learn_window(window, pages, snapshot);
        let dense = std::mem::replace(&mut self.dense, taken >= window.size());
        if !self.dense {
            return Ok(());
        }
        let pages = if dense { counted } else { self.read(&counts).await? };
        let mut partial = step_over_full(&beyond, pages, snapshot);
        while let Some(part) = partial.filter(|part| part.size() > 4 * WINDOW) {
            let parts = equal_parts(part);
            let reads: Vec<Read> = parts.iter().map(|part| Read::Count(self.keys.addresses_in(*part))).collect();
            let pages = self.read(&reads).await?;
            partial = step_over_full(&parts, pages, snapshot);
        }
        if let Some(window) = partial {
            let pages = self.read(&self.window_reads(window)).await?;
            self.learn_window(window, pages, snapshot);
        }
        Ok(())
    }

    /// Addresses of each range set held by attachments, in one read; what is only kept does not count.
    pub(crate) async fn count_held<'a>(
        &mut self,
        sets: impl IntoIterator<Item = &'a RangeSet>,
    ) -> Result<Vec<u64>, StoreError> {
        let count = |span| Read::Count(self.keys.addresses_in(span));
        let reads: Vec<Vec<Read>> = sets.into_iter().map(|set| set.offered().map(count).collect()).collect();
        let mut pages = self.read(&reads.concat()).await?.into_iter();
        Ok(reads.iter().map(|reads| pages.by_ref().take(reads.len()).map(|page| page.count).sum()).collect())
    }

    /// A slot is taken whatever its value says: nobody else can take it.
    async fn taken_slots(&mut self, name: &str) -> Result<Vec<u32>, StoreError> {
        let pages = self.read(&[Read::keys(self.keys.slots_of(name), TAKEN_SLOTS)]).await?;
        Ok(pages.iter().flat_map(|page| &page.entries).filter_map(|entry| slot_number_in(&entry.key)).collect())
    }

    async fn held_for(&mut self, identity: &str) -> Result<Vec<IpAddr>, StoreError> {
        let pages = self.read(&[Read::scan(self.keys.addresses_for(identity), HELD_FOR)]).await?;
        let mut addresses = Vec::new();
        for entry in pages.into_iter().flat_map(|page| page.entries) {
            let kept = Seen::<KeptAddress>::parse(&self.keys, entry)?;
            let address = kept.record.address;
            if kept.record.is_kept(self.now) {
                addresses.push(address);
            }
            self.seen.kept.insert(address, kept);
        }
        Ok(addresses)
    }
}

/// An address that is kept has a holder, until it is not kept any more.
pub(crate) fn holder_of_kept(kept: &KeptAddress, now: Timestamp) -> Option<Holder> {
    let identity = kept.identity.clone().unwrap_or_else(|| KeptAddress::COOLING_DOWN.to_owned());
    kept.is_kept(now).then_some(Holder::Hold { identity, until: kept.until })
}

/// What to read first of a range set, or first after an address: some [`WINDOW`] addresses, neighbours together.
pub(crate) fn windows(set: &RangeSet, after: Option<IpAddr>) -> Vec<Span> {
    let mut windows: Vec<Span> = Vec::new();
    let mut room = WINDOW;
    for span in set.offered() {
        let span = match after {
            Some(after) => span.above(after),
            None => Some(span),
        };
        let Some(part) = span.filter(|_| room > 0).map(|span| head(span, room)) else { continue };
        room -= part.size();
        match windows.last().and_then(|last| joined(last, &part)) {
            Some(joined) => windows.splice(windows.len() - 1.., [joined]).for_each(drop),
            None if windows.len() < WINDOW_SPANS => windows.push(part),
            None => break,
        }
    }
    windows
}

fn joined(one: &Span, two: &Span) -> Option<Span> {
    let near = one.family() == two.family()
        && one.last() < two.first()
        && number(two.first()) - number(one.last()) <= WINDOW_GAP;
    near.then(|| Span::new(one.first(), two.last())).flatten()
}

/// The first addresses of a span, at most so many.
pub(super) fn head(span: Span, length: u128) -> Span {
    part(span.family(), number(span.first()), length, number(span.last()))
}

/// `length` addresses from a number on, or fewer where the limit comes first.
fn part(family: Family, first: u128, length: u128, limit: u128) -> Span {
    let last = first.saturating_add(length - 1).min(limit);
    Span::new(family.address(first), family.address(last)).unwrap_or(Span::single(family.address(first)))
}

fn doubling_parts(span: Span, length: u128) -> Vec<Span> {
    cut(span, length, 2)
}

fn equal_parts(span: Span) -> Vec<Span> {
    cut(span, span.size().div_ceil(COUNTED_PARTS), 1)
}

fn cut(span: Span, mut length: u128, growth: u128) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut rest = Some(span);
    while let Some(span) = rest {
        let part = head(span, length);
        parts.push(part);
        rest = span.above(part.last());
        length = length.saturating_mul(growth);
    }
    parts
}

/// Learn the full parts in front; returns the first that is not full.
fn step_over_full(parts: &[Span], pages: impl IntoIterator<Item = Page>, snapshot: &mut Snapshot) -> Option<Span> {
    let counts = pages.into_iter().map(|page| page.count);
    let full = parts.iter().zip(counts).take_while(|(part, count)| u128::from(*count) >= part.size()).count();
    if let Some(all) = full.checked_sub(1).and_then(|last| Span::new(parts[0].first(), parts[last].last())) {
        snapshot.learn_full(all);
    }
    parts.get(full).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{Gateway, RangeSets, RangeSpec};

    fn span(first: &str, last: &str) -> Span {
        Span::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    fn text(spans: &[Span]) -> Vec<String> {
        spans.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_windows_take_near_neighbours_together() {
        let mut spec = RangeSpec::of_subnet("10.0.0.0/16".parse().unwrap());
        spec.gateway = Gateway::At("10.0.0.10".parse().unwrap());
        let excluded = ["10.0.0.64/26".parse().unwrap()];
        let sets = RangeSets::new(vec![vec![spec]], &excluded).unwrap();
        let set = sets.get(0).unwrap();
        assert_eq!(text(&windows(set, None)), ["10.0.0.2-10.0.0.63", "10.0.0.128-10.0.1.66"]);
        assert_eq!(text(&windows(set, Some("10.0.255.200".parse().unwrap()))), ["10.0.255.201-10.0.255.254"]);
        assert_eq!(windows(set, Some("10.0.255.254".parse().unwrap())), []);
    }

    #[test]
    fn parts_cover_a_span_without_gap_or_overlap() {
        for span in [span("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), span("10.0.0.7", "10.3.9.1")] {
            for parts in [doubling_parts(span, 256), equal_parts(span)] {
                assert!(parts.len() <= 128, "{}", parts.len());
                assert_eq!((parts[0].first(), parts[parts.len() - 1].last()), (span.first(), span.last()));
                assert!(parts.windows(2).all(|pair| number(pair[0].last()) + 1 == number(pair[1].first())));
            }
        }
    }
}
