//! The lower layer: an ordered map of keys with one-shot transactions. It is all that a store has to implement; what
//! addresses, claims and holds are is written once, above it.
//!
//! ```text
//!   view ──► read, read, …          any number of reads, all of one moment; nothing waits, nobody is kept from writing
//!     │
//!     │ decide, outside of the map, for as long as it takes
//!     ▼
//!   commit ──► guards 1 ─ hold ──► writes 1     Done(0)     one shot: it is not a session, and there is nothing to roll
//!              guards 2 ─ hold ──► writes 2     Done(1)     back, to renew or to clean up after whoever was killed
//!              else nothing                     Lost
//! ```
//!
//! Why not a lock, or a lease: both outlive whoever took them. The plugin is killed by runtimes that lose patience, and
//! whatever it leaves behind would be in the way of every other pod until it runs out. A guard is in nobody's way.
//!
//! Why so little: etcd, LMDB and a tree in memory can all do this and agree on what it means. Everything that would tell them
//! apart (watches, leases, nested transactions, cursors) stays below, and each is held to the promises by the same suite.

use super::error::StoreError;

/// An ordered map from keys to values, shared by many processes on one or many nodes.
///
/// The promises every implementation keeps, and the conformance suite checks:
/// - **A view is one moment.** All reads of one view see the same state, whatever others write meanwhile.
/// - **A change is all or nothing.** The first change whose guards all hold at the moment of the commit is applied
///   as a whole, with no other commit between the guards and the writes. It is durable before `Done` is returned.
/// - **Losing is a value.** When no change's guards hold, nothing is written and the answer is [`Commit::Lost`].
/// - **An error tells nothing** about whether a commit happened, unless its variant says so.
///
/// The program is one thread that works on one request and leaves: nothing here asks for `Send`.
#[allow(async_fn_in_trait, reason = "one thread, and no caller that would need `Send`; generic code without boxes")]
pub trait OrderedMap {
    type View: View;

    /// Look at the map as it is at one moment: not before this call, and not after the first read.
    async fn view(&self) -> Result<Self::View, StoreError>;

    /// Apply the first change whose guards all hold. `alternatives` come best first.
    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError>;

    /// Whether a key that a view did not show stays absent: no commit that reached the store before this call, and that
    /// nobody waited for, will still create it. What has not reached the store yet may come later.
    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError>;

    /// Whether a commit could work now, as far as can be told without writing. `key` is one that would be read.
    async fn ping(&self, key: &str) -> Result<(), StoreError>;

    /// Do what a commit that writes these keys does, and change nothing: a caller that may not write, or cannot, gets the
    /// error that a commit would get. None of the keys exists, before or after.
    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError>;
}

/// The map at one moment.
#[allow(async_fn_in_trait, reason = "see `OrderedMap`")]
pub trait View {
    /// One page per read, in the order of the reads.
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError>;
}

/// Keys from `from` on, up to but without `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may belong.
    pub from: String,
    /// The first key that does not belong any more.
    pub to: String,
}

/// One read of a view. Its answer is one [`Page`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The entry of one key: a page of one or none.
    Get(String),
    /// The first `limit` entries of a range, in order.
    Scan {
        range: KeyRange,
        /// How many at most.
        limit: usize,
        /// Leave the values empty.
        keys_only: bool,
    },
    /// How many entries a range has: a page without entries.
    Count(KeyRange),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// Its value; empty when only keys were asked for.
    pub value: Vec<u8>,
}

/// The answer to one read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of the keys.
    pub entries: Vec<Entry>,
    /// Whether a scan stopped at its limit with entries left.
    pub more: bool,
    /// The answer to [`Read::Count`].
    pub count: u64,
}

/// What must be so at the moment of a commit.
///
/// `Is` compares the whole value with what was read. That is as sound as comparing a revision: every record carries
/// its attachment and the moment of its claim, so a record that went away and came back differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// There is no such key.
    Absent(String),
    /// The key has exactly this value.
    Is(String, Vec<u8>),
}

/// What a change does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Create the key, or replace its value.
    Put(String, Vec<u8>),
    /// Remove, if it is there.
    Delete(String),
    /// Remove, if it still has exactly this value; leave it otherwise. Unlike a guard it keeps no change from happening.
    DeleteIf(String, Vec<u8>),
}

/// Guards, and the writes that happen if all of them hold. No key is written twice.
///
/// The first guard is about the change's *subject*, a key that the change writes, too: whoever did not hear how a
/// commit ended looks there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    guards: Vec<Guard>,
    writes: Vec<Write>,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The change with this index was applied and is durable.
    Done(usize),
    /// No change's guards held. Nothing was written.
    Lost,
}

impl Read {
    /// The first `limit` entries of a range with their values.
    pub fn scan(range: KeyRange, limit: usize) -> Self {
        Self::Scan { range, limit, keys_only: false }
    }

    /// The first `limit` keys of a range.
    pub fn keys(range: KeyRange, limit: usize) -> Self {
        Self::Scan { range, limit, keys_only: true }
    }
}

impl Page {
    /// The answer to [`Read::Get`].
    pub fn into_entry(self) -> Option<Entry> {
        self.entries.into_iter().next()
    }
}

impl Guard {
    /// The key it is about.
    pub fn key(&self) -> &str {
        let (Self::Absent(key) | Self::Is(key, _)) = self;
        key
    }
}

impl Write {
    /// The key it is about.
    pub fn key(&self) -> &str {
        let (Self::Put(key, _) | Self::Delete(key) | Self::DeleteIf(key, _)) = self;
        key
    }
}

impl Change {
    /// All of these must hold.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// All of these happen.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The subject, and the value it has once the change is applied.
    pub fn outcome(&self) -> Option<(&str, Option<&[u8]>)> {
        let subject = self.guards.first()?.key();
        self.writes.iter().find(|write| write.key() == subject).map(|write| match write {
            Write::Put(key, value) => (key.as_str(), Some(value.as_slice())),
            Write::Delete(key) | Write::DeleteIf(key, _) => (key.as_str(), None),
        })
    }

    /// Whether it ends what its subject stands for, as a release does, whatever else it writes about that.
    pub fn ends_its_subject(&self) -> bool {
        self.only_deletes() || matches!(self.outcome(), Some((_, None)))
    }

    /// Whether it only deletes: a store that is too full for values may still take it.
    pub fn only_deletes(&self) -> bool {
        !self.writes.iter().any(|write| matches!(write, Write::Put(..)))
    }

    /// Let it happen only where this holds, too.
    pub fn require(&mut self, guard: Guard) -> &mut Self {
        // Two parts of a change may rest on one record. etcd would take a guard twice, but counts each.
        if !self.guards.contains(&guard) {
            self.guards.push(guard);
        }
        self
    }

    /// One that makes so many writes, each to a key of its own.
    #[cfg(test)]
    pub(crate) fn of_writes(count: usize) -> Self {
        let mut change = Self::default();
        for nth in 0..count {
            change.put(nth.to_string(), "");
        }
        change
    }

    /// One more value. The last write to a key counts: etcd refuses a transaction that names a key twice.
    pub fn put(&mut self, key: String, value: impl Into<Vec<u8>>) -> &mut Self {
        self.write(Write::Put(key, value.into()))
    }

    /// One key less. The last write to a key counts.
    pub fn delete(&mut self, key: String) -> &mut Self {
        self.write(Write::Delete(key))
    }

    /// One key less, if it still has this value and nothing else is written to it.
    pub fn delete_if(&mut self, key: String, value: impl Into<Vec<u8>>) -> &mut Self {
        if !self.writes.iter().any(|earlier| earlier.key() == key) {
            self.writes.push(Write::DeleteIf(key, value.into()));
        }
        self
    }

    /// All of another change, too.
    pub fn join(&mut self, other: &Self) -> &mut Self {
        for guard in &other.guards {
            self.require(guard.clone());
        }
        for write in &other.writes {
            self.write(write.clone());
        }
        self
    }

    fn write(&mut self, write: Write) -> &mut Self {
        // Linear, and a change has some dozens of writes; what writes more (`World::copy_to`) does so in parts.
        self.writes.retain(|earlier| earlier.key() != write.key());
        self.writes.push(write);
        self
    }
}
