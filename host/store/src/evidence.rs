//! What a look saw, to the byte. A claim is judged by it, and its transaction compares it.
//!
//! ```text
//!                     one view of the map
//!                      │              │
//!             ┌────────┘              └────────┐
//!             ▼                                ▼
//!         Snapshot                          Evidence
//!         addresses, spans, counts          records with their bytes
//!         what the policy may ask           what the claim's guards compare
//! ```
//!
//! The two are apart because they answer to different people. A policy is told of an address whether it is free, and it does
//! not matter to it how that is written down. A transaction has to name a key and its value: an address that was counted in a
//! window, or read beside a question about another one, is known to the snapshot without evidence of its holder, and a claim can
//! only take it as free or lose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::batch::AtAddress;
use super::drafts::{Other, Others};
use super::record::{Hold, Seen};
use super::registry::Registering;
use ipam::{Allocation, Attachment, Span};

/// Records as they were read.
#[derive(Default)]
pub(crate) struct Evidence {
    allocations: BTreeMap<IpAddr, Seen<Allocation>>,
    holds: BTreeMap<IpAddr, Seen<Hold>>,
    /// Addresses on hold that the snapshot alone knows of, by questions that had no part in the claim.
    on_hold_aside: BTreeSet<IpAddr>,
    /// Claims that change with the one that is made: of those who hold an address it may take, or ceded it.
    pub(crate) others: Others,
    /// Holds that are over, found by the way.
    pub(crate) expired: Vec<Seen<Hold>>,
    /// What a search for a free address passed without a mark, because all of it is taken.
    pub(crate) crossed: Vec<Span>,
    /// The network's registration, where claims register their network.
    pub(crate) registering: Option<Registering>,
}

impl Evidence {
    /// The evidence before anything was read.
    pub(crate) fn registering(registering: Option<Registering>) -> Self {
        Self { registering, ..Self::default() }
    }

    /// The record of an address that was seen to be held.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<&Seen<Allocation>> {
        self.allocations.get(&address)
    }

    /// The hold of an address, also where it is over.
    pub(crate) fn hold(&self, address: IpAddr) -> Option<&Seen<Hold>> {
        self.holds.get(&address)
    }

    /// The claim of another attachment, which changes with the one that is made.
    pub(crate) fn other(&self, attachment: &Attachment) -> Option<&Other> {
        self.others.get(attachment)
    }

    /// Everybody who was seen holding an address.
    pub(crate) fn holders(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.values().map(|seen| &seen.record)
    }

    pub(crate) fn saw(&mut self, at: AtAddress) {
        let AtAddress { address, allocation, hold } = at;
        if let Some(allocation) = allocation {
            self.allocations.insert(address, allocation);
        }
        if let Some(hold) = hold {
            self.saw_hold(address, hold);
        }
    }

    /// Whether any address of a span is on hold, or was, but for these.
    pub(crate) fn has_hold_in(&self, span: Span, except: &[IpAddr]) -> bool {
        let span = span.first()..=span.last();
        let seen = self.holds.range(span.clone()).map(|(address, _)| address);
        let mut on_hold = seen.chain(self.on_hold_aside.range(span));
        on_hold.any(|address| !except.contains(address))
    }

    /// Remember of evidence that has no part in the claim what a mark of a full block must not overlook: holds end by themselves.
    pub(crate) fn set_aside(&mut self, aside: Self) {
        self.on_hold_aside.extend(aside.holds.into_keys());
        self.on_hold_aside.extend(aside.on_hold_aside);
    }

    pub(crate) fn saw_hold(&mut self, address: IpAddr, hold: Seen<Hold>) {
        self.holds.insert(address, hold);
    }
}
