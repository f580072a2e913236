//! What this node remembers of the members: whether each outlives whoever sends it a transaction that only reads.
//!
//! Without it every call would have to ask before its first read, or send that one as single ranges, which costs an ADD
//! some tenths of a millisecond. So only the first call in a while asks, beside its first read.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use files::{Replacement, Survives, Turn, read_regular};
use limits::store::{MEMBER_NOTED, NOTE};

const FILE: &str = "etcd-members.json";

/// What is noted, by endpoint.
type Notes = BTreeMap<String, Noted>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Noted {
    sturdy: bool,
    /// A member may be replaced by another version: then it is asked again.
    until: Timestamp,
}

/// What is noted of a member. A note that is damaged, or older than a while, is none.
pub(super) fn sturdy(directory: &Path, endpoint: &str, now: Timestamp) -> Option<bool> {
    let noted = read(directory).remove(endpoint)?;
    let left = noted.until.duration_since(now);
    // A clock that was ahead when it was written must not make it last.
    (left.is_positive() && left.unsigned_abs() <= MEMBER_NOTED).then_some(noted.sturdy)
}

/// Note it, whole or not at all: others read the file meanwhile. Without a note the next call asks again.
pub(super) fn note(directory: &Path, endpoint: &str, sturdy: bool, now: Timestamp) {
    if let Err(error) = put(directory, endpoint, sturdy, now) {
        tracing::info!(directory = %directory.display(), %error, "cannot note the version of a member of etcd");
    }
}

fn read(directory: &Path) -> Notes {
    let text = read_regular(&directory.join(FILE), NOTE).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn put(directory: &Path, endpoint: &str, sturdy: bool, now: Timestamp) -> io::Result<()> {
    let until = now.checked_add(MEMBER_NOTED).map_err(io::Error::other)?;
    let mut notes = read(directory);
    // Members that are not configured any more leave the file.
    notes.retain(|_, noted| noted.until > now);
    notes.insert(endpoint.to_owned(), Noted { sturdy, until });
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let text = serde_json::to_vec(&notes)?;
    // Nothing is lost with a note: it need not survive the machine. Of two that write at once the last one counts.
    Replacement { mode: 0o600, survives: Survives::Kill, turn: Turn::Anybodys }
        .put(directory, FILE.as_ref(), |file| file.write_all(&text))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_note_is_believed_for_a_while_and_for_its_own_member() {
        let directory = tempfile::tempdir().unwrap();
        let (data, now) = (directory.path().join("data"), Timestamp::now());
        assert_eq!(sturdy(&data, "http://a", now), None);
        note(&data, "http://a", true, now);
        note(&data, "http://b", false, now);
        assert_eq!(
            ["http://a", "http://b", "http://c"].map(|member| sturdy(&data, member, now)),
            [Some(true), Some(false), None]
        );
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        for moved in [now + MEMBER_NOTED, now - Duration::from_secs(60)] {
            assert_eq!(sturdy(&data, "http://a", moved), None, "{moved}");
        }
        note(&data, "http://c", true, now + MEMBER_NOTED);
        assert_eq!(read(&data).into_keys().collect::<Vec<_>>(), ["http://c"], "what is over is not kept");
    }

    #[test]
    fn a_damaged_note_is_none_and_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        fs::write(directory.path().join(FILE), "{\"http://a\": tr").unwrap();
        assert_eq!(sturdy(directory.path(), "http://a", now), None);
        note(directory.path(), "http://a", true, now);
        assert_eq!(sturdy(directory.path(), "http://a", now), Some(true));
    }
}
