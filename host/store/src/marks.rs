//! Blocks of which no address is free, marked so that a search passes over them without reading or counting what they hold.
//!
//! ```text
//!   f/16       ██████████████████████████████ 10.0/16   █████████ 10.1/16   ·········  10.2/16 has no mark: its marks of
//!   f/8                                                                     ███ ███·   256 addresses are read, and the
//!   a                                                                              ░   first block without one as a window
//! ```
//!
//! Why not count: etcd walks each key that it counts, so that the first gap behind 500,000 held addresses would cost every ADD
//! what all of them cost. Why not one record of where the lowest free address is: each of a hundred claims and releases at once
//! would write it, and a release does not know what ranges there are.
//!
//! A claim writes the mark of a block that is full once it is made, or that its search found full; it tells nobody and compares
//! nothing, like a cursor. A release deletes the marks of the blocks that its address lies in. So a mark may outlive its truth
//! where an address was released between a claim's look and its commit, or by somebody who knows of no marks: then that
//! address is passed over until the next release in its block. It is never the reason to refuse an address: where a policy
//! refuses after marks were believed, they are forgotten, what they cover is counted, and it is asked again
//! ([`Look::doubt_marks`](super::Look::doubt_marks)).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::batch::{Answers, Batch, ScanTicket};
use super::keys::{Keys, address_in};
use super::look::Look;
use super::nearby::aligned;
use super::ordered::{Change, Entry};
use ipam::address::successor;
use ipam::{Claim, Kind, Snapshot, Span};
use limits::store::{FULL_BLOCKS_AT_ONCE, UNMARKED_AT_ONCE, WINDOW, WRITES_WITH_MARKS};

/// Bits of the addresses in a small block, which is as large as a window, and in a wide one.
pub(crate) const SMALL: u32 = WINDOW.ilog2();
pub(crate) const WIDE: u32 = 2 * SMALL;

/// The marks that one look has read.
#[derive(Default)]
pub(crate) struct Marks {
    /// Once a policy refused, nothing is passed over any more.
    doubted: bool,
    /// The marks there are, by bits and first address of their block, and what they say is full.
    found: BTreeMap<(u32, IpAddr), Span>,
    /// The parts that they say are full.
    believed: Vec<Span>,
    /// The wide blocks whose small blocks were asked about.
    areas: BTreeSet<IpAddr>,
    /// The spans whose wide blocks were.
    spans: Vec<Span>,
}

/// Stands for marks that are read with a batch.
pub(crate) struct MarksTicket(Vec<(u32, ScanTicket)>);

impl MarksTicket {
    /// Whether nothing is asked, as all of it was before.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Marks {
    /// Ask which wide blocks of a span are full, and which small ones of the first wide block. Once is enough.
    pub(crate) fn ask(&mut self, span: Span, batch: &mut Batch) -> MarksTicket {
        let mut scans = Vec::new();
        if self.doubted {
            return MarksTicket(scans);
        }
        let area = aligned(span.first(), WIDE);
        if self.areas.insert(area.first()) {
            scans.push((SMALL, batch.full_blocks(area, SMALL)));
        }
        if !self.spans.iter().any(|asked| asked.contains(span.first()) && asked.contains(span.last())) {
            self.spans.push(span);
            scans.push((WIDE, batch.full_blocks(span, WIDE)));
        }
        MarksTicket(scans)
    }

    /// Teach them to the snapshot; whether there was any.
    pub(crate) fn learn(&mut self, ticket: MarksTicket, answers: &mut Answers, snapshot: &mut Snapshot) -> bool {
        let mut full: Vec<Span> = Vec::new();
        for (bits, scan) in ticket.0 {
            for entry in answers.scan(scan).entries {
                let Some((block, part)) = parse(bits, &entry) else { continue };
                self.found.insert((bits, block.first()), part);
                match full.last_mut() {
                    // Neighbours become one span: a search steps over full spans one by one.
                    Some(last) if successor(last.last()) == Some(part.first()) => {
                        *last = Span::new(last.first(), part.last()).unwrap_or(*last);
                    }
                    _ => full.push(part),
                }
            }
        }
        for part in &full {
            snapshot.learn_full(*part);
        }
        self.believed.extend(&full);
        !full.is_empty()
    }

    /// Whether it is known which small blocks around an address are full.
    pub(crate) fn are_known_at(&self, address: IpAddr) -> bool {
        !self.doubted && self.areas.contains(&aligned(address, WIDE).first())
    }

    /// Whether some of them are.
    pub(crate) fn are_found_at(&self, address: IpAddr) -> bool {
        self.are_known_at(address) && !self.found.is_empty()
    }

    /// The first small blocks of a span of which nothing is known: one where its marks are yet to be read, else some.
    pub(crate) fn unmarked(&self, span: Span, snapshot: &Snapshot) -> Vec<Span> {
        let area = aligned(span.first(), WIDE);
        let most = if self.are_known_at(span.first()) { UNMARKED_AT_ONCE } else { 1 };
        let mut blocks = Vec::new();
        let mut rest = span.intersection(&area);
        while let Some(unread) = rest.and_then(|rest| snapshot.unread_rest(rest))
            && blocks.len() < most
            && let Some(block) = unread.intersection(&aligned(unread.first(), SMALL))
        {
            blocks.push(block);
            rest = unread.above(block.last());
        }
        blocks
    }

    /// Believe none of them from now on. False where none was believed.
    pub(super) fn doubt(&mut self, snapshot: &mut Snapshot) -> bool {
        let was_believed = !self.believed.is_empty();
        snapshot.forget_full(&std::mem::take(&mut self.believed));
        self.doubted = true;
        was_believed
    }

    fn of(&self, bits: u32, address: IpAddr) -> Option<&Span> {
        self.found.get(&(bits, aligned(address, bits).first()))
    }
}

/// The block of a mark, and the part of it that is full.
fn parse(bits: u32, entry: &Entry) -> Option<(Span, Span)> {
    let block = aligned(address_in(&entry.key)?, bits);
    if entry.value.is_empty() {
        return Some((block, block));
    }
    let part: Span = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
    // What it says of addresses beyond its block, no release there would take back.
    Some((block, part.intersection(&block)?))
}

/// Write the marks of the blocks that are full with this claim, and delete those that it proves wrong.
pub(super) fn mark(keys: &Keys, look: &Look, claim: &Claim, change: &mut Change) {
    // What an older attachment leaves is free with this claim.
    if look.previous.is_some() {
        return;
    }
    let dynamic = claim.addresses.iter().filter(|assignment| assignment.kind == Kind::Dynamic);
    let claimed: Vec<IpAddr> = dynamic.map(|assignment| assignment.address).collect();
    for address in &claimed {
        for bits in [SMALL, WIDE] {
            if has_room(change) && look.reading.marks.of(bits, *address).is_some_and(|full| full.contains(*address)) {
                change.delete(keys.full(bits, *address));
            }
        }
    }
    let search = FullBlocks { look, claimed: &claimed };
    for (bits, block, part) in search.find() {
        if !has_room(change) {
            break;
        }
        let part = if part == block { String::new() } else { part.to_string() };
        change.put(keys.full(bits, block.first()), part);
    }
}

/// Delete the marks of the blocks that an address lies in, because it is free.
pub(super) fn unmark(keys: &Keys, address: IpAddr, change: &mut Change) {
    if !has_room(change) {
        return;
    }
    for bits in [SMALL, WIDE] {
        change.delete(keys.full(bits, address));
    }
}

/// Whether a change may bring marks along. Without its mark a search is slower, and one that stays hides an address for a
/// while; but etcd refuses a transaction that is too large, and with it the pod.
fn has_room(change: &Change) -> bool {
    change.writes().len() < WRITES_WITH_MARKS
}

/// The blocks that are full with a claim, as far as its look knows.
struct FullBlocks<'a> {
    look: &'a Look,
    claimed: &'a [IpAddr],
}

impl FullBlocks<'_> {
    /// Of what the search crossed, and around what is claimed: bits, block, and the part of it that is full.
    fn find(&self) -> Vec<(u32, Span, Span)> {
        let marks = &self.look.reading.marks;
        let mut crossed = self.look.evidence.crossed.clone();
        // Only where marks were asked about: elsewhere nobody searches for the lowest address, and there may be one already.
        crossed.extend(self.claimed.iter().filter(|address| marks.are_known_at(**address)).copied().map(Span::single));
        let mut full: Vec<(u32, Span, Span)> = Vec::new();
        // A wide block spares a search the most.
        for bits in [WIDE, SMALL] {
            for span in &crossed {
                let mut rest = Some(*span);
                while let Some(span) = rest
                    && full.len() < FULL_BLOCKS_AT_ONCE
                {
                    let block = aligned(span.first(), bits);
                    rest = span.above(block.last());
                    let is_known = marks.of(bits, block.first()).is_some() || full.iter().any(|known| known.1 == block);
                    if !is_known && let Some(part) = self.full_part(block, span.first()) {
                        full.push((bits, block, part));
                    }
                }
            }
        }
        full
    }

    /// The part of a block around an address from which pods get dynamic addresses, if none of it is free.
    fn full_part(&self, block: Span, around: IpAddr) -> Option<Span> {
        let Look { snapshot, evidence, .. } = self.look;
        let part = snapshot.range_sets().dynamic_part(block, around)?;
        // A hold ends without anybody writing that it has.
        let is_held = snapshot.is_taken_throughout(part, self.claimed) && !evidence.has_hold_in(part, self.claimed);
        if is_held { Some(part) } else { None }
    }
}
