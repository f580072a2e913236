//! The embedded store: one LMDB file, for one node, for tests and for the first five minutes.
//!
//! Every call of the plugin is a process of its own, hundreds at once. Readers never wait; writers queue on a mutex in
//! the lock file, which the kernel hands on when its owner is killed. A commit writes new pages, flushes, and then
//! flips the root page: killed at any moment, the file shows the state before or after, never between.
//!
//! It wants a local file system and one PID namespace: a reader is known to be alive by a lock on its process ID.

mod file;
mod reserve;
mod turn;

use std::cell::{Cell, RefCell};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use heed::types::{Bytes, DecodeIgnore};
use heed::{CommitOrAbort, Database, Env, MdbError, RoTxn, RwTxn, WithoutTls};

use super::error::StoreError;
use super::ordered::{Change, Commit, Entry, Guard, KeyRange, OrderedMap, Page, Read, View, Write};
use file::{Mapped, Purpose};
use limits::store::{KEY_BYTES, RESERVE_BYTES};
use reserve::Reserve;

/// What reads have passed is let go of from this many bytes on; of less there is little to let go of.
const LONG_READ: usize = 64 << 10;

/// How often a commit is tried again with a map of twice the size.
const GROWTHS: u32 = 8;

/// An ordered map in a directory.
pub struct Embedded {
    file: PathBuf,
    deadline: Option<Instant>,
    /// Whether the file is opened for reading alone, also where it could be written.
    only_reads: bool,
    opened: RefCell<Option<Opened>>,
}

struct Opened {
    env: Env<WithoutTls>,
    entries: Database<'static, Bytes, Bytes>,
    purpose: Purpose,
    reserve: Reserve,
    /// By all reads of this map.
    passed: Rc<Passed>,
}

/// The file at one moment; nothing, when there is no file yet.
pub struct EmbeddedView(Option<ReadTransaction>);

struct ReadTransaction {
    txn: RoTxn<'static, WithoutTls>,
    entries: Database<'static, Bytes, Bytes>,
    passed: Rc<Passed>,
    file: PathBuf,
}

impl Embedded {
    /// The map in `ipam.mdb` of this directory. Nothing is opened or created before it is needed; a view creates
    /// nothing at all. Nothing is committed after the deadline.
    pub fn new(data_dir: &Path, deadline: Option<Instant>) -> Self {
        Self { file: data_dir.join("ipam.mdb"), deadline, only_reads: false, opened: RefCell::new(None) }
    }

    /// The map in this directory, whose file is neither made nor opened for writing.
    pub(crate) fn read_only(data_dir: &Path) -> Self {
        Self { only_reads: true, ..Self::new(data_dir, None) }
    }

    /// Whether a directory has such a map. One that cannot be looked into counts: opening it tells why.
    pub fn is_in(data_dir: &Path) -> bool {
        data_dir.join("ipam.mdb").try_exists().unwrap_or(true)
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Open the file for a purpose, unless it is open for it already.
    fn open(&self, purpose: Purpose, growth: u32) -> Result<(), StoreError> {
        let mut opened = self.opened.borrow_mut();
        if growth == 0 && opened.as_ref().is_some_and(|opened| opened.purpose.allows(purpose)) {
            return Ok(());
        }
        // LMDB allows one environment per file and process: close before opening again.
        *opened = None;
        let mapped = if self.only_reads {
            file::open_to_read(&self.file, growth)?
        } else {
            file::open(&self.file, purpose, growth)?
        };
        let Mapped { env, purpose, reserve } = mapped;
        let entries = entries(&env).map_err(|error| file::explain("open", &self.file, error))?;
        *opened = Some(Opened { env, entries, purpose, reserve, passed: Rc::default() });
        Ok(())
    }

    /// Do something with the open file. A file that has outgrown this process's map is opened again with a larger one, because
    /// another process may have written meanwhile what this one's address space has no room for.
    fn with_env<T>(
        &self,
        purpose: Purpose,
        doing: &'static str,
        mut action: impl FnMut(&Opened) -> Result<T, ActionFailure>,
    ) -> Result<T, StoreError> {
        let mut growth = 0;
        loop {
            self.open(purpose, growth)?;
            let outcome = match &*self.opened.borrow() {
                Some(opened) => action(opened),
                None => return Err(StoreError::NotADatabase { path: self.file.clone() }),
            };
            match outcome {
                Ok(value) => return Ok(value),
                // LMDB says so in the middle of a transaction, which is over with that: the action begins again.
                Err(ActionFailure::Lmdb(heed::Error::Mdb(MdbError::MapFull | MdbError::MapResized)))
                    if growth < GROWTHS =>
                {
                    growth += 1;
                }
                Err(ActionFailure::Lmdb(error)) => return Err(file::explain(doing, &self.file, error)),
                Err(ActionFailure::Store(error)) => return Err(error),
            }
        }
    }

    fn begin_read(opened: &Opened) -> Result<RoTxn<'static, WithoutTls>, ActionFailure> {
        match opened.env.clone().static_read_txn() {
            // Processes that were killed while reading leave their places taken.
            Err(heed::Error::Mdb(MdbError::ReadersFull)) => {
                opened.env.clear_stale_readers()?;
                Ok(opened.env.clone().static_read_txn()?)
            }
            begun => Ok(begun?),
        }
    }

    /// Whether there is room for more than releases: beyond the end of the file, or inside.
    fn check_room(&self, opened: &Opened, txn: &RoTxn<WithoutTls>) -> Result<(), ActionFailure> {
        if opened.reserve != Reserve::Short {
            return Ok(());
        }
        let stat = opened.entries.stat(txn)?;
        let used = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        let free = (opened.env.info().last_page_number).saturating_sub(used) as u64 * u64::from(stat.page_size);
        if free >= *RESERVE_BYTES.start() { Ok(()) } else { Err(file::disk_full(&self.file, None).into()) }
    }

    fn try_commit(&self, opened: &Opened, alternatives: &[Change]) -> Result<Commit, ActionFailure> {
        let _turn = turn::take_turn(&self.file, self.deadline)?;
        // A reader that was killed pins the past forever, and no page of it would be used again.
        opened.env.clear_stale_readers()?;
        let mut txn = opened.env.write_txn()?;
        // Looked at when the turn has come, which may have been waited for: nothing is committed that nobody waits for.
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(StoreError::TooLate.into());
        }
        for (index, change) in alternatives.iter().enumerate() {
            if guards_hold(&txn, &opened.entries, change)? {
                // Releases go on where claims stop: the last blocks are theirs.
                if !change.ends_its_subject() {
                    self.check_room(opened, &txn)?;
                }
                apply(&mut txn, &opened.entries, change)?;
                txn.commit()?;
                return Ok(Commit::Done(index));
            }
        }
        Ok(Commit::Lost)
    }
}

impl OrderedMap for Embedded {
    type View = EmbeddedView;

    async fn view(&self) -> Result<EmbeddedView, StoreError> {
        // A look at a node that has no store yet is of an empty one: only the first claim makes the file.
        if self.opened.borrow().is_none() && file::is_absent(&self.file)? {
            return Ok(EmbeddedView(None));
        }
        let transaction = self.with_env(Purpose::Read, "read", |opened| {
            let (passed, file) = (opened.passed.clone(), self.file.clone());
            Ok(ReadTransaction { txn: Self::begin_read(opened)?, entries: opened.entries, passed, file })
        })?;
        Ok(EmbeddedView(Some(transaction)))
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        // Before the turn is taken: LMDB would refuse such a key half way through a change.
        for change in alternatives {
            for guard in change.guards() {
                check_key(guard.key())?;
            }
            for write in change.writes() {
                check_key(write.key())?;
            }
        }
        self.with_env(Purpose::Write, "write", |opened| self.try_commit(opened, alternatives))
    }

    /// A process that was killed between its commit and its unlocking has a claim that no view shows before the next
    /// writer takes its turn; one that is still at work has its turn now. Both are over once we have had ours.
    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        if file::is_absent(&self.file)? {
            return Ok(true);
        }
        let absent = self.with_env(Purpose::Write, "read", |opened| {
            let _turn = turn::take_turn(&self.file, self.deadline)?;
            let txn = opened.env.write_txn()?;
            Ok(opened.entries.get(&txn, key.as_bytes())?.is_none())
        });
        match absent {
            // Where nobody can write, nobody is about to.
            Err(StoreError::File { source, .. }) if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(true),
            absent => absent,
        }
    }

    /// Reads no key: that the file opens and has room is what a claim needs.
    async fn ping(&self, _key: &str) -> Result<(), StoreError> {
        if self.opened.borrow().is_none() && file::is_absent(&self.file)? {
            return file::could_create(&self.file);
        }
        let reserve = self.with_env(Purpose::Write, "read", |opened| {
            self.check_room(opened, &Self::begin_read(opened)?)?;
            Ok(opened.reserve)
        })?;
        if reserve == Reserve::Unknown { file::has_room(&self.file) } else { Ok(()) }
    }

    /// A transaction that puts the keys and deletes them again, and writes its pages like any other.
    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        if self.opened.borrow().is_none() && file::is_absent(&self.file)? {
            return file::could_create(&self.file);
        }
        self.with_env(Purpose::Write, "write", |opened| {
            let _turn = turn::take_turn(&self.file, self.deadline)?;
            let mut txn = opened.env.write_txn()?;
            // A rehearsal stands for an ADD, and an ADD is what stops first on a full disk.
            self.check_room(opened, &txn)?;
            for key in keys {
                opened.entries.put(&mut txn, key.as_bytes(), b"")?;
                opened.entries.delete(&mut txn, key.as_bytes())?;
            }
            Ok(txn.commit()?)
        })
    }
}

impl View for EmbeddedView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        let Some(ReadTransaction { txn, entries, passed, file }) = &self.0 else {
            return Ok(vec![Page::default(); reads.len()]);
        };
        let mut pages = Vec::with_capacity(reads.len());
        for read in reads {
            if let Read::Get(key) = read {
                check_key(key)?;
            }
            pages.push(read_page(txn, entries, passed, read).map_err(|error| file::explain("read", file, error))?);
        }
        Ok(pages)
    }
}

/// What stopped an action on the open file.
enum ActionFailure {
    Lmdb(heed::Error),
    Store(StoreError),
}

impl From<StoreError> for ActionFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<heed::Error> for ActionFailure {
    fn from(error: heed::Error) -> Self {
        Self::Lmdb(error)
    }
}

/// The unnamed database of the file: it always exists.
fn entries(env: &Env<WithoutTls>) -> Result<Database<'static, Bytes, Bytes>, heed::Error> {
    let opened = env.open_databases_and_commit(env.read_txn()?, |opener, txn| {
        opener.open_database::<Bytes, Bytes>(txn, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    opened.commit().flatten().ok_or(heed::Error::Mdb(MdbError::Invalid))
}

fn read_page(txn: &RoTxn, entries: &Database<Bytes, Bytes>, passed: &Passed, read: &Read) -> Result<Page, heed::Error> {
    let mut page = Page::default();
    match read {
        Read::Get(key) => {
            let value = entries.get(txn, key.as_bytes())?;
            page.entries.extend(value.map(|value| Entry { key: key.clone(), value: value.to_vec() }));
        }
        Read::Scan { range, limit, keys_only } => {
            for found in entries.range(txn, &bounds(range))? {
                let (key, value) = found?;
                // One more than is wanted is looked at, to know that there is more.
                if page.entries.len() == *limit {
                    page.more = true;
                    break;
                }
                passed.add(key, value.len());
                let value = if *keys_only { Vec::new() } else { value.to_vec() };
                page.entries.push(Entry { key: String::from_utf8_lossy(key).into_owned(), value });
            }
            passed.let_go();
        }
        Read::Count(range) => {
            let keys = entries.remap_data_type::<DecodeIgnore>();
            for found in keys.range(txn, &bounds(range))? {
                let (key, ()) = found?;
                passed.add(key, 0);
                passed.let_go();
                page.count += 1;
            }
        }
    }
    Ok(page)
}

/// The part of the map that reads have passed, from its first to its last place.
#[derive(Default)]
struct Passed {
    bytes: Cell<usize>,
    places: Cell<Option<(*const u8, *const u8)>>,
}

impl Passed {
    fn add(&self, key: &[u8], value: usize) {
        self.bytes.set(self.bytes.get() + key.len() + value);
        let place = key.as_ptr();
        let (first, last) = self.places.get().unwrap_or((place, place));
        self.places.set(Some((first.min(place), last.max(place))));
    }

    /// Let go of all of it, where much was passed since the last time: the kernel maps some pages beside each that is read.
    fn let_go(&self) {
        if self.bytes.get() < LONG_READ {
            return;
        }
        if let Some((first, last)) = self.places.get() {
            self.bytes.set(0);
            file::let_go(first, last);
        }
    }
}

fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Included(range.from.as_bytes()), Bound::Excluded(range.to.as_bytes()))
}

fn guards_hold(txn: &RwTxn, entries: &Database<Bytes, Bytes>, change: &Change) -> Result<bool, heed::Error> {
    for guard in change.guards() {
        let value = entries.get(txn, guard.key().as_bytes())?;
        let expected = match guard {
            Guard::Absent(_) => None,
            Guard::Is(_, value) => Some(value.as_slice()),
        };
        if value != expected {
            return Ok(false);
        }
    }
    Ok(true)
}

fn apply(txn: &mut RwTxn, entries: &Database<Bytes, Bytes>, change: &Change) -> Result<(), heed::Error> {
    for write in change.writes() {
        match write {
            Write::Put(key, value) => entries.put(txn, key.as_bytes(), value)?,
            Write::Delete(key) => drop(entries.delete(txn, key.as_bytes())?),
            Write::DeleteIf(key, value) => {
                if entries.get(txn, key.as_bytes())? == Some(value.as_slice()) {
                    entries.delete(txn, key.as_bytes())?;
                }
            }
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.len() <= KEY_BYTES {
        return Ok(());
    }
    Err(StoreError::KeyTooLong { key: key.to_owned(), length: key.len(), limit: KEY_BYTES })
}

#[cfg(test)]
mod tests;
