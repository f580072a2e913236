//! The journal of decisions: a file with one decision a line, and one older file beside it.
//!
//! A writer has the lock of the file that is at the path when it writes. Its line is one `write`. The part of a line that
//! a full disk let through is removed again, and what a killed process left is ended before the next line begins.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::lock::exclusively;
use super::redact;
use crate::config::RecordConfig;
use files::{check_appendable, check_is_file};
use ipam::Decision;
use limits::RECORDED_DECISION;

/// Append a decision, without what is not to be recorded. Waits for its turn no longer than `wait`.
pub fn append(config: &RecordConfig, mut decision: Decision, wait: Duration) -> io::Result<()> {
    redact(&mut decision);
    let mut line = serde_json::to_vec(&decision)?;
    if line.len() > RECORDED_DECISION {
        return Err(io::Error::other(format!(
            "the decision takes {} bytes: the limit is {RECORDED_DECISION}",
            line.len()
        )));
    }
    line.push(b'\n');
    write(&config.file, config.most_bytes, &line, Instant::now() + wait)
}

/// The hint of a journal that cannot be written.
pub const HINT: &str = "set policy.record to a regular file in an existing directory, owned by root and without \
    other hard links; or remove policy.record";

/// How large a journal is by now, if decisions can be appended to it. Creates nothing.
pub fn size(file: &Path) -> io::Result<u64> {
    let bytes = match fs::symlink_metadata(file) {
        Ok(metadata) => check(&metadata).map(|()| metadata.len())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    check_appendable(file)?;
    Ok(bytes)
}

/// The file to which a full journal is renamed.
pub fn older(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

fn write(path: &Path, most_bytes: u64, line: &[u8], until: Instant) -> io::Result<()> {
    loop {
        let file = open(path)?;
        exclusively(&file, until)?;
        let metadata = file.metadata()?;
        check(&metadata)?;
        if metadata.mode() & 0o177 != 0 {
            // The file was there before us, or its mode was changed. What decisions tell of pods is not for other users.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        // While this process waited for the lock, the one before it may have renamed the file: then the lock is that of
        // the older journal, and the new file has a lock of its own.
        if !is_at(path, &metadata) {
            continue;
        }
        if metadata.len() > 0 && metadata.len() + line.len() as u64 > most_bytes {
            fs::rename(path, older(path))?;
            continue;
        }
        return append_whole(&file, metadata.len(), line);
    }
}

/// Refuse a file that another user owns, or can reach by another name.
fn check(metadata: &fs::Metadata) -> io::Result<()> {
    let us = rustix::process::geteuid().as_raw();
    check_is_file(metadata)?;
    if metadata.uid() != us {
        let why = format!("it belongs to user {}, but must belong to user {us}", metadata.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    if metadata.nlink() > 1 {
        return Err(io::Error::other("it has another hard link, through which others may reach it"));
    }
    Ok(())
}

/// Open the journal, or create it for ourselves alone. A link in its place is not followed, whoever put it there.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits() as i32);
    options.open(path)
}

fn is_at(path: &Path, opened: &fs::Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino()))
}

fn append_whole(mut file: &File, length: u64, line: &[u8]) -> io::Result<()> {
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    // A line that a killed process left is ended in the same write: two writes could leave half a line between them.
    let bytes = if last == [b'\n'] { line.to_vec() } else { [b"\n", line].concat() };
    if file.write(&bytes)? < bytes.len() {
        file.set_len(length)?;
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_full_record_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        for nth in 0..7 {
            write(&file, 20, format!("line {nth}\n").as_bytes(), soon()).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "line 6\n");
        assert_eq!(fs::read_to_string(older(&file)).unwrap(), "line 4\nline 5\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        write(&file, 20, &[b'x'; 50], soon()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), 50, "a line longer than a file has a file of its own");
    }

    #[test]
    fn what_a_killed_writer_left_is_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        fs::write(&file, "{\"at\":\"20").unwrap();
        write(&file, 1_000, b"whole\n", soon()).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"at\":\"20\nwhole\n");
    }

    #[test]
    fn only_a_file_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (directory.path().join("record"), directory.path().join("elsewhere"));
        fs::write(&elsewhere, "").unwrap();
        symlink(&elsewhere, &file).unwrap();
        assert!(write(&file, 1_000, b"line\n", soon()).is_err());
        assert_eq!(fs::read(&elsewhere).unwrap(), b"");
        assert!(write(Path::new("/dev/null"), 1_000, b"line\n", soon()).is_err());
        assert!(write(directory.path(), 1_000, b"line\n", soon()).is_err());
    }

    #[test]
    fn a_record_that_was_there_before_is_for_us_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        for mode in [0o644, 0o666, 0o700, 0o604] {
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            write(&file, 1_000, b"line\n", soon()).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600, "{mode:o}");
        }
        fs::hard_link(&file, directory.path().join("other")).unwrap();
        let error = write(&file, 1_000, b"line\n", soon()).unwrap_err();
        assert!(error.to_string().contains("another hard link"), "{error}");
        assert!(size(&file).is_err());
        assert!(size(&directory.path().join("absent/record")).is_err(), "nobody makes directories for it");
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(write(&pipe, 1_000, b"line\n", soon()).unwrap_err().to_string().contains("regular file"));
    }

    #[test]
    fn nothing_is_written_to_a_record_of_somebody_else() {
        if !untested::is_root("a record of somebody else") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
        let error = write(&file, 1_000, b"line\n", soon()).unwrap_err();
        assert!(error.to_string().contains("it belongs to user 65534"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"");
    }

    #[test]
    fn a_lock_that_is_not_given_back_is_not_waited_for_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        let held = open(&file).unwrap();
        exclusively(&held, soon()).unwrap();
        let error = write(&file, 1_000, b"line\n", Instant::now()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(held);
        write(&file, 1_000, b"line\n", soon()).unwrap();
    }

    #[test]
    fn writers_at_once_leave_whole_lines_and_lose_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for nth in 0..50 {
                        let line = format!("{writer}/{nth} {}\n", "x".repeat(nth * 40));
                        write(file, 1 << 20, line.as_bytes(), soon()).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().filter(|line| line.ends_with('x') || line.ends_with(' ')).count(), 400);
    }
}
