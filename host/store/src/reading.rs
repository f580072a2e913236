//! How a snapshot is read: little at first, more where a policy asks. All of it in one view.
//!
//! A *window* is a few hundred neighbouring addresses, read as keys. Where a whole window is held, what follows is
//! passed over where blocks are marked as full (`marks.rs`), and the first blocks without a mark are the next windows. So what a
//! search reads does not grow with what is held.
//!
//! ```text
//!   ████████ ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒ ██░█████ ▒▒▒ █████░░░
//!   window   marked: known to be full, by no name    window       window
//! ```
//!
//! Where marks are missing, what follows is counted in parts that double, then the first part that is not full is counted in
//! smaller parts, until one is small enough to be a window: a handful of reads for 65,000 held addresses, and nothing to
//! transfer for them. The claim that comes of it writes the marks.

mod parts;

use std::net::IpAddr;

use jiff::Timestamp;

use super::batch::{Answers, Batch, Block, BlockTicket};
use super::error::StoreError;
use super::evidence::Evidence;
use super::keys::{Keys, address_in};
use super::map::MapView;
use super::marks::{Marks, MarksTicket, SMALL};
use super::nearby::{Nearby, aligned, part_in_pages};
use super::ordered::Entry;
use super::record::{Hold, Keyed, Seen};
use ipam::address::number;
use ipam::{Question, RangeSet, Snapshot, Span};
use limits::store::{COUNTED_AHEAD, HELD_FOR, UNMARKED_AT_ONCE, UNMARKED_READS, WIDEST_WINDOW, WINDOW};
pub(crate) use parts::windows;
use parts::{doubling_parts, equal_parts, head};

/// A view, and how far it was read for a policy.
pub(crate) struct Reading {
    view: MapView,
    pub(super) keys: Keys,
    pub(crate) now: Timestamp,
    /// How many addresses the next window has.
    reach: u128,
    /// Whether the last window was full.
    dense: bool,
    pub(super) nearby: Nearby,
    pub(super) marks: Marks,
}

impl Reading {
    pub(crate) fn new(view: MapView, keys: Keys, now: Timestamp) -> Self {
        Self { view, keys, now, reach: WINDOW, dense: false, nearby: Nearby::default(), marks: Marks::default() }
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch::new(&self.keys)
    }

    pub(crate) fn cursor_key(&self, set: &RangeSet) -> String {
        self.keys.cursor(set)
    }

    pub(crate) async fn read(&mut self, batch: Batch) -> Result<Answers, StoreError> {
        batch.read(&mut self.view).await
    }

    /// A record, if it can be read; otherwise a line in the log.
    pub(super) fn readable<T: Keyed>(&self, entry: Entry) -> Option<Seen<T>> {
        Seen::readable(&self.keys, entry)
    }

    /// Read what a question asks for and teach it to the snapshot. `own_slots` of the list in question are whose who asks.
    pub(crate) async fn answer(
        &mut self,
        question: Question,
        own_slots: &[u32],
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        match question {
            Question::FirstFree(span) if span.size() < WINDOW => self.first_free_of_few(span, snapshot, evidence).await,
            Question::FirstFree(span) => self.first_free(span, snapshot, evidence).await,
            Question::HolderOf(address) => self.holder_and_neighbours(address, snapshot, evidence).await,
            Question::Usage(index) => {
                if let Some(set) = snapshot.range_sets().get(index) {
                    let held = self.count_held([set]).await?.into_iter().sum();
                    snapshot.learn_usage(index, held);
                }
                Ok(())
            }
            Question::HeldFor(identity) => {
                let addresses = self.held_for(&identity, evidence).await?;
                snapshot.learn_held_for(identity, addresses);
                Ok(())
            }
            Question::TakenSlots(name) => {
                let mut taken = self.taken_slots(&name).await?;
                taken.retain(|number| !own_slots.contains(number));
                snapshot.learn_slots(name, taken);
                Ok(())
            }
            Question::FreeSlots(wanted) => {
                let free = self.free_slots(&wanted, own_slots).await?;
                snapshot.learn_free_slots(wanted, free);
                Ok(())
            }
        }
    }

    /// Teach a window to the snapshot, or as much of it as was read; returns how many of its addresses are not free.
    pub(crate) fn learn_window(&self, window: Block, snapshot: &mut Snapshot, evidence: &mut Evidence) -> u128 {
        let read = part_in_pages(window.span, [&window.addresses, &window.holds]);
        let mut taken = Vec::with_capacity(window.addresses.entries.len());
        taken.extend(window.addresses.entries.iter().filter_map(|entry| address_in(&entry.key)));
        for entry in window.holds.entries {
            let Some(address) = address_in(&entry.key) else { continue };
            let hold = self.readable::<Hold>(entry);
            // A record nobody can read keeps its address from everybody, and disturbs nobody else.
            if hold.as_ref().is_none_or(|hold| hold.record.is_standing(self.now)) {
                taken.push(address);
            }
            // Also one that is over: the claim that takes the address ends it, and compares it.
            if let Some(hold) = hold {
                evidence.saw_hold(address, hold);
            }
        }
        let count = taken.len() as u128;
        if let Some(read) = read {
            snapshot.learn_span(read, taken);
        }
        count
    }

    async fn first_free(
        &mut self,
        span: Span,
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        if self.marks.are_found_at(span.first()) {
            return self.first_unmarked(span, snapshot, evidence).await;
        }
        let window = head(span, self.reach);
        self.reach = (self.reach * 2).min(WIDEST_WINDOW);
        let beyond = span.above(window.last()).map(|rest| doubling_parts(rest, window.size())).unwrap_or_default();
        let mut batch = self.batch();
        let ticket = batch.window(window);
        let marks = self.marks.ask(span, &mut batch);
        let around_last = self.ask_around_last(span, window, snapshot, &mut batch);
        // Counting is not free, etcd walks the keys it counts: not before a window was full, and not while marks are yet to
        // be seen. From then on it goes along with the next window, where the answer nearly always needs it.
        let (near, far) = beyond.split_at(beyond.len().min(COUNTED_AHEAD));
        let counts_along = self.dense && marks.is_empty();
        let counted = if counts_along { near } else { &[] };
        let counts: Vec<_> = counted.iter().map(|part| batch.count_held(*part)).collect();
        let mut answers = self.read(batch).await?;
        let taken = self.learn_window(answers.block(ticket), snapshot, evidence);
        let mut passes = self.marks.learn(marks, &mut answers, snapshot);
        if let Some((block, marks)) = around_last {
            self.learn_window(answers.block(block), snapshot, evidence);
            passes |= self.marks.learn(marks, &mut answers, snapshot);
        }
        self.dense = taken >= window.size();
        if !self.dense {
            return Ok(());
        }
        evidence.crossed.push(window);
        if passes {
            return self.first_unmarked(span, snapshot, evidence).await;
        }
        let partial = if counts_along {
            step_over_full(near, counts.into_iter().map(|count| answers.count(count)), snapshot, evidence)
        } else {
            self.count_parts(near, snapshot, evidence).await?
        };
        self.narrow_down(partial, far, snapshot, evidence).await
    }

    /// What lies around the address that was claimed last, if that is further on: where the lowest address is wanted each
    /// time, and all in front is full, the next one is there.
    fn ask_around_last(
        &mut self,
        span: Span,
        window: Span,
        snapshot: &Snapshot,
        batch: &mut Batch,
    ) -> Option<(BlockTicket, MarksTicket)> {
        // Whoever begins elsewhere, as by a hash, has not come from the front.
        let before = span.family().address(number(span.first()).checked_sub(1)?);
        if !snapshot.is_taken_throughout(Span::single(before), &[]) {
            return None;
        }
        let beyond = span.above(window.last())?;
        let mut claimed = (0..snapshot.range_sets().len()).filter_map(|index| snapshot.last_claimed(index));
        let last = claimed.find(|last| beyond.contains(*last))?;
        let block = aligned(last, SMALL).intersection(&beyond)?;
        Some((batch.window(block), self.marks.ask(Span::new(last, beyond.last())?, batch)))
    }

    /// The first free address in what no mark says is full.
    async fn first_unmarked(
        &mut self,
        span: Span,
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        for _ in 0..UNMARKED_READS {
            let Some(rest) = snapshot.unread_rest(span) else { return Ok(()) };
            let mut batch = self.batch();
            let blocks = self.marks.unmarked(rest, snapshot);
            let tickets: Vec<_> = blocks.iter().map(|block| batch.window(*block)).collect();
            let marks = self.marks.ask(rest, &mut batch);
            let mut answers = self.read(batch).await?;
            let mut is_found = false;
            for (block, ticket) in blocks.iter().zip(tickets) {
                if self.learn_window(answers.block(ticket), snapshot, evidence) < block.size() {
                    is_found = true;
                } else {
                    evidence.crossed.push(*block);
                }
            }
            let passes = self.marks.learn(marks, &mut answers, snapshot);
            if is_found {
                return Ok(());
            }
            // So many blocks that are full and have no mark: there are more of them.
            if !passes && blocks.len() >= UNMARKED_AT_ONCE {
                break;
            }
        }
        let Some(rest) = snapshot.unread_rest(span) else { return Ok(()) };
        let parts = doubling_parts(rest, WINDOW);
        let (near, far) = parts.split_at(parts.len().min(COUNTED_AHEAD));
        let partial = self.count_parts(near, snapshot, evidence).await?;
        self.narrow_down(partial, far, snapshot, evidence).await
    }

    /// From a part that is not full to a window in it that is not; where there is no such part, among those that are further away.
    async fn narrow_down(
        &mut self,
        mut partial: Option<Span>,
        far: &[Span],
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        if partial.is_none() {
            partial = self.count_parts(far, snapshot, evidence).await?;
        }
        while let Some(part) = partial.filter(|part| part.size() > 4 * WINDOW) {
            partial = self.count_parts(&equal_parts(part), snapshot, evidence).await?;
        }
        if let Some(window) = partial {
            let mut batch = self.batch();
            let ticket = batch.window(window);
            let mut answers = self.read(batch).await?;
            self.learn_window(answers.block(ticket), snapshot, evidence);
        }
        Ok(())
    }

    /// Count what is held in each part; returns the first that is not full.
    async fn count_parts(
        &mut self,
        parts: &[Span],
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<Option<Span>, StoreError> {
        let mut batch = self.batch();
        let counts: Vec<_> = parts.iter().map(|part| batch.count_held(*part)).collect();
        let mut answers = self.read(batch).await?;
        Ok(step_over_full(parts, counts.into_iter().map(|count| answers.count(count)), snapshot, evidence))
    }

    /// How many addresses of each range set attachments hold, in one read. Addresses on hold do not count.
    pub(crate) async fn count_held<'a>(
        &mut self,
        sets: impl IntoIterator<Item = &'a RangeSet>,
    ) -> Result<Vec<u64>, StoreError> {
        let mut batch = self.batch();
        let mut counts = Vec::new();
        for set in sets {
            let parts: Vec<_> = set.offered().map(|span| batch.count_held(span)).collect();
            counts.push(parts);
        }
        let mut answers = self.read(batch).await?;
        let mut held = Vec::with_capacity(counts.len());
        for parts in counts {
            held.push(parts.into_iter().map(|count| answers.count(count)).sum());
        }
        Ok(held)
    }

    async fn held_for(&mut self, identity: &str, evidence: &mut Evidence) -> Result<Vec<IpAddr>, StoreError> {
        let mut batch = self.batch();
        let holds = batch.scan(self.keys.addresses_for(identity), HELD_FOR);
        let mut answers = self.read(batch).await?;
        let mut addresses = Vec::new();
        for entry in answers.scan(holds).entries {
            let hold = Seen::<Hold>::parse(&self.keys, entry)?;
            let address = hold.record.address;
            if hold.record.is_standing(self.now) {
                addresses.push(address);
            }
            evidence.saw_hold(address, hold);
        }
        Ok(addresses)
    }
}

/// Teach the full parts in front to the snapshot; returns the first that is not full.
fn step_over_full(
    parts: &[Span],
    counts: impl Iterator<Item = u64>,
    snapshot: &mut Snapshot,
    evidence: &mut Evidence,
) -> Option<Span> {
    let mut full: Option<Span> = None;
    let mut partial = None;
    for (part, count) in parts.iter().zip(counts) {
        if u128::from(count) < part.size() {
            partial = Some(*part);
            break;
        }
        let first = full.map_or(part.first(), |full| full.first());
        full = Span::new(first, part.last());
    }
    if let Some(full) = full {
        snapshot.learn_full(full);
        evidence.crossed.push(full);
    }
    partial
}
