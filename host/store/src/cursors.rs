//! Where the cursors of a network will be when they are read: a node's note of where they were, and how fast they moved.
//!
//! A policy wants to know the addresses after the cursor, and where that is, only the read tells that is to bring them. So
//! the first read asks for those around the place where the cursor is expected:
//!
//! ```text
//!   noted     10.4.0.17, five seconds ago, and 100 addresses a second          (one file a network, in dataDir)
//!   expected  10.4.2.5     ── the cursor may lie here ──
//!   asked             ░░░░░▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░░     as far back as it was moved on, at most a window; a window ahead
//! ```
//!
//! A place alone would do for few nodes. Where thousands share a cursor, the others move it on by thousands of addresses
//! from one ADD of a node to its next: then the pace tells where it is, the better the younger the note is. STATUS, which is
//! asked every few seconds, looks at the cursors beside what it reads anyway.
//!
//! A note is worth one read of an ADD and no more: it decides what is asked for, never what is answered. So it is written over
//! in place, which takes a tenth of the time of a rename, by whoever comes, without a lock or a flush; one that is torn, lost,
//! wrong or somebody else's costs a round trip.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::escape;
use super::ordered::Entry;
use super::reading::windows;
use super::record::address_in_value;
use files::read_regular;
use ipam::{Family, RangeSet, Span};
use limits::store::{CURSOR_PACE, CURSORS_NOTED, NOTE, WINDOW, WINDOW_AHEAD};

/// A pace is in addresses an hour: whole numbers that tell a slow cursor from one that stands.
const HOUR: u128 = 60 * 60 * 1_000;

/// After how many turns of the event loop a question is on its way.
const SENT: usize = 3;

/// What this node remembers of the cursors of a network, and has seen since.
pub(crate) struct Cursors {
    file: PathBuf,
    /// Bytes of the file, which a shorter text has to cover.
    length: usize,
    noted: Vec<Noted>,
    /// Whether there is anything to write.
    news: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// The key of the cursor: networks of one name may lie in several domains.
    cursor: String,
    address: IpAddr,
    at: Timestamp,
    /// Addresses an hour, lately.
    pace: u64,
}

impl Cursors {
    /// What was noted of a network. Nothing where no note can be read.
    pub(crate) fn of(network: &str, directory: &Path) -> Self {
        let file = directory.join(format!("cursors-of-{}.json", escape(network)));
        let text = read_regular(&file, NOTE).unwrap_or_default();
        let noted = serde_json::from_slice(&text).unwrap_or_default();
        Self { file, length: text.len(), noted, news: false }
    }

    /// What to read where a cursor is expected to be, beside the first window of its set. Nothing where it is not known, or
    /// not needed.
    pub(crate) fn windows(&self, cursor: &str, set: &RangeSet, now: Timestamp) -> Vec<Span> {
        let Some(noted) = self.noted.iter().find(|noted| noted.cursor == cursor) else { return Vec::new() };
        let Some(place) = place_of(noted.address, set) else { return Vec::new() };
        let moved = noted.moved_by(now);
        let expected = address_at(place.saturating_add(moved) % set.size(), set);
        let front = windows(set, None, WINDOW);
        if windows(set, expected, 2 * WINDOW_AHEAD)
            .iter()
            .all(|ahead| front.iter().any(|front| front.intersection(ahead) == Some(*ahead)))
        {
            return Vec::new();
        }
        // Others may have been slower, by the more the more of them there were; where they were faster, the window reaches on.
        let back = moved.min(WINDOW);
        let start = address_at(place.saturating_add(moved - back) % set.size(), set);
        windows(set, start, WINDOW + back)
    }

    /// A cursor was read.
    pub(crate) fn learn(&mut self, entry: &Entry, set: &RangeSet, now: Timestamp) {
        let Some(address) = cursor_in(entry, set) else { return };
        let Some(place) = place_of(address, set) else { return };
        let mut seen = Noted { cursor: entry.key.clone(), address, at: now, pace: 0 };
        if let Some(at) = self.noted.iter().position(|noted| noted.cursor == entry.key) {
            let noted = &self.noted[at];
            // While nothing moves, and nothing is expected to, every look would only write the same again.
            if noted.address == address && noted.moved_by(now) == 0 {
                return;
            }
            seen.pace = place_of(noted.address, set).map_or(0, |earlier| noted.pace_after(earlier, place, set, now));
            self.noted.remove(at);
        }
        self.noted.insert(0, seen);
        self.noted.truncate(CURSORS_NOTED);
        self.news = true;
    }

    /// Note what was seen since. Without a note the next ADD makes a read more.
    pub(crate) fn write(&self) {
        if self.news
            && let Err(error) = self.put()
        {
            tracing::info!(file = %self.file.display(), %error, "cannot note where the cursors are");
        }
    }

    fn put(&self) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self.noted)?;
        // The rest of a longer one would make both unreadable.
        text.resize(text.len().max(self.length), b' ');
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let opened = match options.open(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = self.file.parent().unwrap_or(Path::new("."));
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
                options.open(&self.file)
            }
            opened => opened,
        };
        opened?.write_all(&text)
    }
}

impl Noted {
    /// How many addresses the cursor has moved on since, at its pace. A clock that was set back tells nothing.
    fn moved_by(&self, now: Timestamp) -> u128 {
        u128::from(self.pace) * self.age(now) / HOUR
    }

    /// Milliseconds.
    fn age(&self, now: Timestamp) -> u128 {
        now.duration_since(self.at).as_millis().max(0).unsigned_abs()
    }

    /// The pace with one more observation, which counts the more the longer it took: pods that a node starts at once say
    /// little of how fast the cursor moves.
    fn pace_after(&self, earlier: u128, place: u128, set: &RangeSet, now: Timestamp) -> u64 {
        let size = set.size();
        let ahead = if place >= earlier { place - earlier } else { place + (size - earlier) };
        // A claim that came late puts it back a little, and where addresses are not given out in turn it leaps about.
        let moved = if ahead > size / 2 { 0 } else { ahead };
        let (age, memory) = (self.age(now), CURSOR_PACE.as_millis());
        let pace = u128::from(self.pace).saturating_mul(memory).saturating_add(moved.saturating_mul(HOUR));
        u64::try_from(pace / (memory + age)).unwrap_or(u64::MAX)
    }
}

/// Write a note while the answer to a commit is on its way: once the question is, which takes an event loop some turns.
pub(crate) async fn write_meanwhile(cursors: Option<Cursors>) {
    let Some(cursors) = cursors else { return };
    for _ in 0..SENT {
        tokio::task::yield_now().await;
    }
    cursors.write();
}

/// A cursor is a hint: one that cannot be read is none.
pub(crate) fn cursor_in(entry: &Entry, set: &RangeSet) -> Option<IpAddr> {
    address_in_value(&entry.value).filter(|address| Family::of(*address) == set.family())
}

/// How many of the addresses that a set offers come before this one.
fn place_of(address: IpAddr, set: &RangeSet) -> Option<u128> {
    let mut before = 0_u128;
    for span in set.offered() {
        if let Some(position) = span.position(address) {
            return Some(before.saturating_add(position));
        }
        before = before.saturating_add(span.size());
    }
    None
}

/// The address that so many of a set come before.
fn address_at(mut place: u128, set: &RangeSet) -> Option<IpAddr> {
    for span in set.offered() {
        if place < span.size() {
            return span.nth(place);
        }
        place -= span.size();
    }
    None
}

#[cfg(test)]
mod tests;
