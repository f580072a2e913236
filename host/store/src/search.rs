//! How far a store searches for addresses that are held in other books.
//!
//! etcd walks every key of a range that it is asked about, also where it is to return one of them or only their number: 8 ms
//! for 150,000. So a question that all nodes ask every few seconds is about keys of one node, or of few addresses.

use super::Store;
use super::error::StoreError;
use super::keys::Named;
use super::reading::windows;
use ipam::{Attachment, RangeSets, Span};
use jiff::Timestamp;
use limits::store::WINDOW;

/// How far other books than ours are searched for somebody who holds an address there.
#[derive(Clone, Copy)]
pub enum Search<'a> {
    /// To their end: an ADD, which would give the address out again, has to know.
    Whole,
    /// STATUS, which is asked every few seconds on every node, reads what this node has there, and who holds the first
    /// addresses of the ranges. What it misses the ADD says.
    Glance {
        /// The node that asks.
        node: &'a str,
        machine: &'a str,
        range_sets: &'a RangeSets,
        /// When it asks.
        now: Timestamp,
    },
}

impl Search<'_> {
    /// The parts of a span that are searched for a held address.
    pub(super) fn part_of(self, span: Span) -> Vec<Span> {
        match self {
            Self::Whole => vec![span],
            Self::Glance { range_sets, .. } => {
                let first = range_sets.iter().flat_map(|set| windows(set, None, WINDOW));
                first.filter_map(|window| window.intersection(&span)).collect()
            }
        }
    }
}

impl Store {
    /// Some attachment of the network that holds an address in this domain, as far as is searched.
    pub async fn find_by(&self, search: Search<'_>, network: &str) -> Result<Option<Attachment>, StoreError> {
        let Search::Glance { node, machine, .. } = search else { return self.any_of(network).await };
        let mut batch = self.batch();
        let first = batch.first_keys(self.keys.attachments_on(node, machine, network), 1);
        for entry in self.read_now(batch).await?.scan(first).entries {
            if let Some(Named::Node { attachment, .. }) = self.keys.named(&entry.key) {
                return Ok(Some(attachment));
            }
        }
        Ok(None)
    }
}
