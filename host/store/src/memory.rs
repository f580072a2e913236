//! A map in this process's memory: where policies are tried out, thousands of claims a second and no disk. It keeps
//! the whole contract and passes the same suite; it only forgets everything at the end.

use std::cell::RefCell;
use std::rc::Rc;

use rpds::RedBlackTreeMap;

use super::error::StoreError;
use super::ordered::{Change, Commit, Entry, Guard, KeyRange, OrderedMap, Page, Read, View, Write};

/// Persistent: a view is a copy that shares everything with what it was copied from.
type Entries = RedBlackTreeMap<String, Rc<[u8]>>;

/// An ordered map in memory. Its copies are the same map.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Entries>>);

/// The map at one moment. A copy costs nothing.
#[derive(Clone, Debug)]
pub struct MemoryView(Entries);

impl Memory {
    /// Another map with the same entries.
    pub fn fork(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// All keys and values, in order.
    pub fn entries(&self) -> Vec<(String, Vec<u8>)> {
        self.0.borrow().iter().map(|(key, value)| (key.clone(), value.to_vec())).collect()
    }
}

impl OrderedMap for Memory {
    type View = MemoryView;

    async fn view(&self) -> Result<MemoryView, StoreError> {
        Ok(MemoryView(self.0.borrow().clone()))
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        // One thread, and no await in here: nothing comes between the guards and the writes.
        let mut entries = self.0.borrow_mut();
        let Some(index) = alternatives.iter().position(|change| guards_hold(&entries, change)) else {
            return Ok(Commit::Lost);
        };
        for write in alternatives[index].writes() {
            apply(&mut entries, write);
        }
        Ok(Commit::Done(index))
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        Ok(!self.0.borrow().contains_key(key))
    }

    async fn ping(&self, _key: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rehearse(&self, _keys: &[String]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl View for MemoryView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        Ok(reads.iter().map(|read| read_page(&self.0, read)).collect())
    }
}

fn read_page(entries: &Entries, read: &Read) -> Page {
    let mut page = Page::default();
    match read {
        Read::Get(key) => {
            if let Some(value) = entries.get(key) {
                page.entries.push(Entry { key: key.clone(), value: value.to_vec() });
            }
        }
        Read::Scan { range, limit, keys_only } => {
            for (key, value) in within(entries, range) {
                if page.entries.len() == *limit {
                    page.more = true;
                    break;
                }
                let value = if *keys_only { Vec::new() } else { value.to_vec() };
                page.entries.push(Entry { key: key.clone(), value });
            }
        }
        Read::Count(range) => page.count = within(entries, range).count() as u64,
    }
    page
}

fn within<'a>(entries: &'a Entries, range: &KeyRange) -> impl Iterator<Item = (&'a String, &'a Rc<[u8]>)> {
    entries.range(range.from.clone()..range.to.clone())
}

fn guards_hold(entries: &Entries, change: &Change) -> bool {
    change.guards().iter().all(|guard| match guard {
        Guard::Absent(key) => !entries.contains_key(key),
        Guard::Is(key, value) => entries.get(key).is_some_and(|found| **found == **value),
    })
}

fn apply(entries: &mut Entries, write: &Write) {
    match write {
        Write::Put(key, value) => {
            entries.insert_mut(key.clone(), value.as_slice().into());
        }
        Write::Delete(key) => {
            entries.remove_mut(key);
        }
        Write::DeleteIf(key, value) => {
            if entries.get(key).is_some_and(|found| **found == **value) {
                entries.remove_mut(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::conformance::{block_on, conformance, expiry as cycles_of};

    conformance!((Memory::default(), ()));

    #[test]
    fn a_hundred_thousand_cycles_leave_nothing() {
        block_on(cycles_of::cycles(Memory::default().into(), 100_000));
    }
}
