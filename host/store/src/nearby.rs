//! Questions about one address, or a few, and what is read beside the answer: whoever asks about one address of a list
//! will ask about the next.
//!
//! ```text
//!   question 1   its own block of 256                               one read answers a list of neighbours
//!   question 2   … and its block of 65,536, the first 1,024 keys    one more a list that is scattered over a /16
//!   question 3   … and its block of 2^32, the first 4,096 keys
//!   further      … and all of its family, 8,192 keys each           sixty thousand held addresses in eight reads
//! ```
//!
//! What a wide block costs is the keys it has, not the addresses: a /64 is as wide as it is empty. Where it has more keys
//! than one read takes, the next question goes on where this one ended. Its own block answers each question whatever
//! has become of the wide one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::batch::Block;
use super::error::StoreError;
use super::evidence::Evidence;
use super::keys::address_in;
use super::ordered::Page;
use super::reading::Reading;
use super::record::Hold;
use ipam::{Allocation, Family, Holder, Prefix, Snapshot, Span};
use limits::store::{HOLDERS_AT_ONCE, WIDEST_WINDOW, WINDOW};

/// How often a view was asked about few addresses.
#[derive(Debug, Default)]
pub(super) struct Nearby {
    questions: u32,
}

impl Nearby {
    /// Count a question, and return how wide to look beside it, in bits and keys: `None` for the first one.
    fn wider(&mut self) -> Option<(u32, usize)> {
        let question = self.questions;
        self.questions = question.saturating_add(1);
        // A single question is as a rule the only one: it shall not pay for others.
        if question == 0 {
            return None;
        }
        let bits = 8_u32.checked_shl(question).filter(|bits| *bits < 128).unwrap_or(128);
        let keys = WINDOW.saturating_mul(4_u128.saturating_pow(question)).min(WIDEST_WINDOW);
        Some((bits, usize::try_from(keys).unwrap_or(usize::MAX)))
    }
}

impl Reading {
    /// Which of a few neighbours is free first, and as much about those around them as is cheap.
    pub(super) async fn first_free_of_few(
        &mut self,
        span: Span,
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        let mut batch = self.batch();
        // Its own block goes along every time: the wide one may be cut off before it gets there.
        let own = batch.window(own_block(span, snapshot));
        let mut wide = None;
        if let Some((bits, keys)) = self.nearby.wider()
            && let Some(block) = wide_block(span.first(), bits, snapshot)
        {
            wide = Some(batch.block(block, keys));
        }
        let mut answers = self.read(batch).await?;
        self.learn_window(answers.block(own), snapshot, evidence);
        if let Some(wide) = wide {
            self.learn_window(answers.block(wide), snapshot, evidence);
        }
        Ok(())
    }

    /// Who holds an address; from the second such question on, who holds those around it, too.
    pub(super) async fn holder_and_neighbours(
        &mut self,
        address: IpAddr,
        snapshot: &mut Snapshot,
        evidence: &mut Evidence,
    ) -> Result<(), StoreError> {
        let mut around = Vec::new();
        if let Some((bits, _)) = self.nearby.wider() {
            around.extend(offered_part(aligned(address, 8), snapshot));
            around.extend(offered_part(aligned(address, bits), snapshot));
            // Between few subnets both may be the same part.
            around.dedup();
        }
        let mut batch = self.batch();
        let asked = batch.address(address);
        let blocks: Vec<_> = around.into_iter().map(|block| batch.holders(block, HOLDERS_AT_ONCE)).collect();
        let mut answers = self.read(batch).await?;
        let at = answers.address(asked)?;
        for block in blocks {
            self.learn_holders(answers.block(block), snapshot, evidence);
        }
        // Last: what was asked about by name is known for sure, also where its record in a block could not be read.
        snapshot.learn_holder(address, at.holder(self.now));
        evidence.saw(at);
        Ok(())
    }

    /// Teach the holders of a block to the snapshot. Only the policy is told of them: a claim may take an address from the
    /// holder that was asked about, and from no other. One that cannot be read is left to the question about its address.
    fn learn_holders(&self, block: Block, snapshot: &mut Snapshot, evidence: &mut Evidence) {
        let read = part_in_pages(block.span, [&block.addresses, &block.holds]);
        let mut taken = BTreeSet::new();
        for entry in block.addresses.entries {
            let Some(address) = address_in(&entry.key) else { continue };
            taken.insert(address);
            if let Some(seen) = self.readable::<Allocation>(entry) {
                snapshot.learn_holder(address, Some(Holder::Attachment(Box::new(seen.record))));
            }
        }
        for entry in block.holds.entries {
            let Some(address) = address_in(&entry.key) else { continue };
            let Some(hold) = self.readable::<Hold>(entry) else {
                taken.insert(address);
                continue;
            };
            // A hold that is over keeps nothing, and one beside a holder says less than the holder.
            if let Some(holder) = hold.record.holder(self.now)
                && taken.insert(address)
            {
                snapshot.learn_holder(address, Some(holder));
            }
            evidence.saw_hold(address, hold);
        }
        if let Some(read) = read {
            snapshot.learn_span(read, taken);
        }
    }
}

/// How much of a block the pages tell: all of it, or up to the last key that every cut page still has.
pub(super) fn part_in_pages(block: Span, pages: [&Page; 2]) -> Option<Span> {
    let mut last = block.last();
    // Both kinds of key are needed to know an address: what is known ends where the first of the two was cut off.
    for page in pages.into_iter().filter(|page| page.more) {
        let seen = page.entries.iter().rev().find_map(|entry| address_in(&entry.key))?;
        last = last.min(seen);
    }
    Span::new(block.first(), last)
}

/// The block of [`WINDOW`] addresses around a few: the part of it that may be asked about, and all of the few.
fn own_block(span: Span, snapshot: &Snapshot) -> Span {
    let around = offered_part(aligned(span.first(), 8), snapshot).unwrap_or(span);
    Span::new(around.first().min(span.first()), around.last().max(span.last())).unwrap_or(span)
}

/// What is still unread of the block of so many bits around an address.
fn wide_block(address: IpAddr, bits: u32, snapshot: &Snapshot) -> Option<Span> {
    snapshot.unread_rest(offered_part(aligned(address, bits), snapshot)?)
}

/// The addresses that agree with this one in all but the last bits.
pub(super) fn aligned(address: IpAddr, bits: u32) -> Span {
    let length = u32::from(Family::of(address).bits()).saturating_sub(bits);
    let block = Prefix::new(address, u8::try_from(length).unwrap_or(0));
    block.map_or(Span::single(address), |block| block.span())
}

/// The part of a block that lies between the first and the last subnet of its family: what else is in the domain, other
/// networks may ask about.
fn offered_part(block: Span, snapshot: &Snapshot) -> Option<Span> {
    let ranges = snapshot.range_sets().iter().flat_map(|set| set.ranges());
    let mut subnets = ranges.map(|range| range.subnet().span()).filter(|one| one.family() == block.family());
    let mut hull = subnets.next()?;
    for subnet in subnets {
        hull = Span::new(hull.first().min(subnet.first()), hull.last().max(subnet.last()))?;
    }
    hull.intersection(&block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordered::Entry;
    use ipam::{RangeSets, RangeSpec};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn snapshot(subnets: &[&str]) -> Snapshot {
        let specs = subnets.iter().map(|subnet| vec![RangeSpec::of_subnet(subnet.parse().unwrap())]).collect();
        Snapshot::new(RangeSets::new(specs, &[]).unwrap(), Vec::new())
    }

    #[test]
    fn each_question_looks_wider_than_the_one_before() {
        let mut nearby = Nearby::default();
        let wider: Vec<_> = (0..6).map(|_| nearby.wider()).collect();
        let expected = [(16, 1_024), (32, 4_096), (64, 8_192), (128, 8_192), (128, 8_192)].map(Some);
        assert_eq!((wider[0], &wider[1..]), (None, &expected[..]));
        nearby.questions = u32::MAX;
        assert_eq!(nearby.wider(), Some((128, 8_192)));
    }

    #[test]
    fn blocks_keep_to_what_lies_between_the_subnets() {
        let snapshot = snapshot(&["10.1.0.0/16", "10.2.0.0/24", "fd00::/64"]);
        let part = |address, bits| offered_part(aligned(ip(address), bits), &snapshot).map(|part| part.to_string());
        assert_eq!(part("10.1.7.9", 8).unwrap(), "10.1.7.0-10.1.7.255");
        assert_eq!(part("10.1.7.9", 16).unwrap(), "10.1.0.0-10.1.255.255");
        assert_eq!(part("10.1.7.9", 128).unwrap(), "10.1.0.0-10.2.0.255");
        assert_eq!(part("fd00::9", 128).unwrap(), "fd00::-fd00::ffff:ffff:ffff:ffff");
        assert_eq!(part("192.168.0.1", 16), None);
        let few = Span::new(ip("10.1.7.250"), ip("10.1.8.3")).unwrap();
        assert_eq!(own_block(few, &snapshot).to_string(), "10.1.7.0-10.1.8.3");
        let elsewhere = Span::single(ip("192.168.0.1"));
        assert_eq!(own_block(elsewhere, &snapshot), elsewhere);
    }

    #[test]
    fn a_page_that_was_cut_tells_no_more_than_it_has() {
        let block = aligned(ip("10.0.0.0"), 8);
        let page =
            |key: &str, more| Page { entries: vec![Entry { key: key.to_owned(), value: Vec::new() }], more, count: 0 };
        let part = |one: &Page, two: &Page| part_in_pages(block, [one, two]).map(|part| part.last().to_string());
        let (whole, cut, stray) = (page("a/4/0a000007", false), page("a/4/0a000007", true), page("a/4/?", true));
        assert_eq!(part(&whole, &whole).unwrap(), "10.0.0.255");
        assert_eq!(part(&whole, &cut).unwrap(), "10.0.0.7");
        assert_eq!(part(&cut, &page("a/4/0a000003", true)).unwrap(), "10.0.0.3");
        assert_eq!(part(&stray, &whole), None);
    }
}
