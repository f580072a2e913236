//! A file that lines are appended to, and one older file beside it. Nobody waits for its turn, and nobody is kept waiting: whoever
//! finds it full puts it aside, and a line is one write.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{check_is_file, not_regular, try_lock};

/// The mode of a file that is made: other users have no part in it.
const MODE: u32 = 0o640;

/// A file that is opened when the first line is written, and put aside once it has so many bytes.
pub struct RotatedFile {
    path: PathBuf,
    most_bytes: u64,
    opened: Opened,
}

enum Opened {
    NotYet,
    Open(File),
    /// It cannot be opened, which was told once.
    Failed,
}

impl RotatedFile {
    pub fn new(path: PathBuf, most_bytes: u64) -> Self {
        Self { path, most_bytes, opened: Opened::NotYet }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines in one write, so that those of several processes do not mix. Fails once at most.
    pub fn append(&mut self, line: &str) -> io::Result<()> {
        if let Opened::NotYet = self.opened {
            self.opened = Opened::Failed;
            self.opened = Opened::Open(self.open()?);
        }
        let Opened::Open(file) = &mut self.opened else { return Ok(()) };
        let written = file.write_all(line.as_bytes());
        if written.is_err() {
            self.opened = Opened::Failed;
        }
        written
    }

    fn open(&self) -> io::Result<File> {
        let file = open(&self.path)?;
        let metadata = file.metadata()?;
        check_is_file(&metadata)?;
        if metadata.len() < self.most_bytes || !self.put_aside(&file, &metadata)? {
            return Ok(file);
        }
        open(&self.path)
    }

    /// Renames a full file, and says whether another one is to be opened now. Of many processes that find it full at the
    /// same time, the one that has the lock does it; the others go on where they are, and nobody waits.
    fn put_aside(&self, file: &File, opened: &Metadata) -> io::Result<bool> {
        if !try_lock(file)? {
            return Ok(false);
        }
        // It may have been renamed between opening and locking. And what a link leads to is somebody else's to rotate.
        let there = match fs::symlink_metadata(&self.path) {
            // Somebody has removed it, or was killed between the renaming and the first line of the next one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            there => there?,
        };
        if (there.dev(), there.ino()) == (opened.dev(), opened.ino()) {
            fs::rename(&self.path, older(&self.path))?;
        }
        Ok(true)
    }
}

/// The file to which a full one is renamed.
pub fn older(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

/// Opens a regular file only. On a pipe the call would wait for a reader, and what a device does is unknown.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(MODE).custom_flags(OFlags::NONBLOCK.bits() as i32);
    options.open(path).map_err(|error| match Errno::from_io_error(&error) {
        // The error for a pipe without a reader.
        Some(Errno::NXIO) => not_regular(),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(path: &Path, line: &str) {
        RotatedFile::new(path.to_owned(), 20).append(line).unwrap();
    }

    #[test]
    fn a_full_log_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        for nth in 0..8 {
            append(&file, &format!("line {nth}...\n"));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "line 6...\nline 7...\n");
        assert_eq!(fs::read_to_string(older(&file)).unwrap(), "line 4...\nline 5...\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn writers_at_once_keep_whole_lines_and_the_newest_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("log");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for nth in 0..50 {
                        let mut log = RotatedFile::new(file.clone(), 4_000);
                        log.append(&format!("{writer}/{nth:02} {}\n", "x".repeat(40))).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(older(&file)).unwrap() + &fs::read_to_string(&file).unwrap();
        assert!(text.lines().all(|line| line.len() == 45), "{text}");
        assert!(text.lines().count() * 46 >= 4_000, "a file that was full is kept");
    }

    #[test]
    fn what_a_link_leads_to_is_written_and_not_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let (file, elsewhere) = (directory.path().join("log"), directory.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        for _ in 0..3 {
            append(&file, "a line of some length\n");
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap().lines().count(), 3);
        assert!(!older(&file).exists());
    }

    #[test]
    fn a_log_that_cannot_be_opened_fails_once() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().to_owned(), directory.path().join("absent/log"), "/dev/null".into()] {
            let mut file = RotatedFile::new(path, 4_000);
            assert!(file.append("line\n").is_err());
            file.append("line\n").unwrap();
        }
    }
}
