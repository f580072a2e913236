//! The calls of a node, counted: each process adds a line to a small file when it has answered, and the sums outlive it.
//!
//! ```text
//!   call ── one line ──► calls.0 ──┐ full: whoever filled it puts the sum of its lines in its place
//!           or, while that is ──► calls.1 ──┐ (the same)
//!           being replaced                  ▼
//!                             both files: lines to be added up by `kube-ipam metrics`
//! ```
//!
//! A line is one `write` at the end of a file, which the kernel does for one process after the other: any number of them may
//! do so at once, with a share in the lock. Nobody waits. Replacing a file takes the whole lock on it and a share in that of
//! the other, so that never are both being replaced: a process that finds the one locked has the other, and no call is lost.
//!
//! What a killed process left half written is one unreadable line, and is counted as such. When the power fails, calls of the
//! last seconds may be lost, or a file that was just replaced: counters then begin again, which Prometheus takes for a restart.
//! On a full disk or one that cannot be written to, calls are not counted.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use files::{Replacement, Survives, Turn, check_is_file, read_regular};
use limits::{CALLS_BYTES, CALLS_BYTES_MOST};
use rustix::fs::OFlags;

use super::counts::Counts;

/// The files in a network's `dataDir`.
const FILES: [&str; 2] = ["calls.0", "calls.1"];

/// What a lock on a file lets a process do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Add a line, as others may at the same time.
    Shared,
    /// Replace the file.
    Whole,
}

/// A file that is at its path, under a lock.
struct Locked {
    file: File,
    length: u64,
}

/// Count a call in this directory, which is not made for that. Waits for nobody.
pub fn count(directory: &Path, call: &Counts) -> io::Result<()> {
    count_until(directory, call, CALLS_BYTES)
}

fn count_until(directory: &Path, call: &Counts, most_bytes: u64) -> io::Result<()> {
    // It begins with the end of a line, too: a line that another process left half written ends there.
    let line = format!("\n{}\n", serde_json::to_string(call)?);
    for (name, other) in [(FILES[0], FILES[1]), (FILES[1], FILES[0])] {
        let Some(mut locked) = lock(&directory.join(name), Hold::Shared)? else { continue };
        if locked.length > CALLS_BYTES_MOST {
            return Err(io::Error::other(format!("{name} is longer than {CALLS_BYTES_MOST} bytes")));
        }
        if locked.file.write(line.as_bytes())? < line.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let is_full = locked.length > most_bytes;
        drop(locked);
        return if is_full { sum_up(directory, name, other) } else { Ok(()) };
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Put the sum of a file's lines in its place, unless others are at it just now: then one of the next calls does.
fn sum_up(directory: &Path, name: &str, other: &str) -> io::Result<()> {
    let Some(_share) = lock(&directory.join(other), Hold::Shared)? else { return Ok(()) };
    let Some(mut locked) = lock(&directory.join(name), Hold::Whole)? else { return Ok(()) };
    let mut lines = Vec::new();
    locked.file.read_to_end(&mut lines)?;
    let mut sum = Counts::default();
    sum.add_lines(&lines);
    let mut line = serde_json::to_vec(&sum)?;
    line.push(b'\n');
    // Calls are worth no wait for a disk.
    Replacement { mode: 0o600, survives: Survives::Kill, turn: Turn::Ours }
        .put(directory, OsStr::new(name), |file| file.write_all(&line))
}

/// What all calls came to that were counted in this directory.
pub fn read(directory: &Path) -> io::Result<Counts> {
    let mut sum = Counts::default();
    for name in FILES {
        let bytes = match read_regular(&directory.join(name), CALLS_BYTES_MOST * 2) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // A last line without an end is being written while it is read: it counts next time.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        sum.add_lines(&bytes[..end]);
    }
    Ok(sum)
}

/// Why calls could not be counted in this directory, if they could not. Makes nothing.
pub fn check(directory: &Path) -> io::Result<()> {
    FILES.iter().try_for_each(|name| files::check_appendable(&directory.join(name)))
}

/// The file that is at this path, under a lock; `None` where it is being replaced.
fn lock(path: &Path, hold: Hold) -> io::Result<Option<Locked>> {
    loop {
        let file = open(path)?;
        let locked = match hold {
            Hold::Shared => file.try_lock_shared(),
            Hold::Whole => file.try_lock(),
        };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let metadata = file.metadata()?;
        check_is_file(&metadata)?;
        match metadata.nlink() {
            // Replaced between opening and locking: what is written here now is read by nobody.
            0 => {}
            1 => return Ok(Some(Locked { file, length: metadata.len() })),
            _ => return Err(io::Error::other("it has another hard link, through which others may reach it")),
        }
    }
}

/// Never through a link, nor a pipe that would be waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits() as i32);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;
    use crate::journal::counts::Durations;

    fn call() -> Counts {
        let took = Durations::of(Duration::from_millis(2));
        let calls = [(("blue".to_owned(), "ADD".to_owned(), 0), 1)].into();
        Counts { calls, adds: took, ..Counts::default() }
    }

    fn counted(directory: &Path) -> (u64, u64) {
        let counts = read(directory).unwrap();
        let calls = counts.calls.values().sum::<u64>();
        assert_eq!(calls, counts.adds.count());
        (calls, counts.unreadable)
    }

    #[test]
    fn calls_at_once_are_all_counted_while_files_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..200).for_each(|_| count_until(directory.path(), &call(), 600).unwrap()));
            }
            let mut last = 0;
            for _ in 0..100 {
                let (calls, unreadable) = counted(directory.path());
                assert!(calls >= last && unreadable == 0, "{calls} after {last}, {unreadable} unreadable");
                last = calls;
            }
        });
        assert_eq!(counted(directory.path()), (3_200, 0));
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.len() <= 2, "{names:?}");
        let first = fs::metadata(directory.path().join(FILES[0])).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_files_stay_small() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..500 {
            count_until(directory.path(), &call(), 2_000).unwrap();
            assert!(fs::metadata(directory.path().join(FILES[0])).unwrap().len() < 2_500);
        }
        assert_eq!(counted(directory.path()), (500, 0));
    }

    #[test]
    fn a_line_that_a_killed_process_left_is_one_unreadable_line() {
        let directory = tempfile::tempdir().unwrap();
        count(directory.path(), &call()).unwrap();
        let file = directory.path().join(FILES[0]);
        let half = fs::read(&file).unwrap().len() / 2;
        File::options().append(true).open(&file).unwrap().write_all(&fs::read(&file).unwrap()[..half]).unwrap();
        assert_eq!(counted(directory.path()), (1, 0), "it may still be on its way");
        count(directory.path(), &call()).unwrap();
        assert_eq!(counted(directory.path()), (2, 1));
        sum_up(directory.path(), FILES[0], FILES[1]).unwrap();
        assert_eq!(counted(directory.path()), (2, 1), "and stays counted");
    }

    #[test]
    fn a_file_that_is_being_replaced_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        count(directory.path(), &call()).unwrap();
        let first = lock(&directory.path().join(FILES[0]), Hold::Whole).unwrap().unwrap();
        count(directory.path(), &call()).unwrap();
        sum_up(directory.path(), FILES[1], FILES[0]).unwrap();
        count(directory.path(), &call()).unwrap();
        let _second = lock(&directory.path().join(FILES[1]), Hold::Whole).unwrap().unwrap();
        assert_eq!(count(directory.path(), &call()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        count(directory.path(), &call()).unwrap();
        assert_eq!(counted(directory.path()), (4, 0));
    }

    #[test]
    fn nothing_is_made_or_followed_for_a_count() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent");
        assert_eq!(count(&absent, &call()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read(&absent).unwrap(), Counts::default());
        assert!(!absent.exists() && check(&absent).is_err());
        let elsewhere = directory.path().join("elsewhere");
        fs::write(&elsewhere, "").unwrap();
        std::os::unix::fs::symlink(&elsewhere, directory.path().join(FILES[0])).unwrap();
        assert!(count(directory.path(), &call()).is_err());
        fs::remove_file(directory.path().join(FILES[0])).unwrap();
        fs::hard_link(&elsewhere, directory.path().join(FILES[0])).unwrap();
        assert!(count(directory.path(), &call()).unwrap_err().to_string().contains("another hard link"));
        assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    }
}
