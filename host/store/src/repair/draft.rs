//! One repair while it is worked out: a change that is fenced by everything it looked at, and what it does in words.

use std::net::IpAddr;

use super::Repair;
use crate::inspect::{Disagreement, Everything};
use crate::keys::Keys;
use crate::marks::unmark;
use crate::ordered::{Change, Guard};

/// A change and what it does in words. Writes come before fences: a change begins with a key it writes.
pub(super) struct RepairDraft<'a> {
    all: &'a Everything,
    change: Change,
    words: Vec<String>,
}

impl<'a> RepairDraft<'a> {
    pub(super) fn new(all: &'a Everything) -> Self {
        Self { all, change: Change::default(), words: Vec::new() }
    }

    /// Let the change happen only where the key is as it was when it was read.
    pub(super) fn fence(&mut self, key: String) {
        let guard = match self.all.bytes.get(&key) {
            Some(bytes) => Guard::Is(key, bytes.clone()),
            None => Guard::Absent(key),
        };
        self.change.require(guard);
    }

    pub(super) fn put(&mut self, key: String, value: impl Into<Vec<u8>>, words: String) {
        self.fence(key.clone());
        self.change.put(key, value);
        self.words.push(words);
    }

    /// Delete a key, if it is there.
    pub(super) fn delete(&mut self, key: String, words: String) {
        if !self.all.bytes.contains_key(&key) {
            return;
        }
        self.fence(key.clone());
        self.change.delete(key);
        self.words.push(words);
    }

    /// Nothing marks the blocks of an address as full any more: it is free with this change.
    pub(super) fn unmark(&mut self, keys: &Keys, address: IpAddr) {
        unmark(keys, address, &mut self.change);
    }

    pub(super) fn finish(self, disagreements: Vec<Disagreement>, discards: bool) -> Repair {
        Repair { disagreements, remedy: self.words.join("; "), discards, is_left: false, change: self.change }
    }

    /// A repair that writes nothing, and why.
    pub(super) fn leave(disagreements: Vec<Disagreement>, why: String) -> Repair {
        Repair { disagreements, remedy: why, discards: false, is_left: true, change: Change::default() }
    }
}
