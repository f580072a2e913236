//! A file put in its place whole: written beside it, and renamed. Whoever opens it meanwhile has the old one or the new one,
//! also when this process is killed.
//!
//! ```text
//!   .NAME.….partial      created for us alone (O_EXCL, no link followed), written, given its mode
//!     │ flush            where it has to survive more than a kill: else the new name may come to stand for an empty file
//!     ▼ rename           the one moment at which others see it
//!   NAME
//!     │ flush directory  likewise: until then the old name may come back
//! ```
//!
//! What to flush for is the caller's to say. A flush is a wait for the disk, some milliseconds up to seconds on a busy node: a
//! program or a compiled policy is worth it, a note that is made again by the next call is not, and neither is a count.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};

use super::not_regular;

/// How a file is put in its place.
#[derive(Clone, Copy, Debug)]
pub struct Replacement {
    /// Its mode, whatever the umask.
    pub mode: u32,
    pub survives: Survives,
    pub turn: Turn,
}

/// What a file that was put in its place has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// The end of this process. After a power failure the file may be the old one, the new one or an empty one: for notes,
    /// whose readers take one that they cannot read for none.
    Kill,
    /// The end of the machine, too: for what nobody would write again, or nobody would miss before it is run.
    PowerFailure,
}

/// Who may be at the same file at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The caller has a lock. One name beside the file is enough then, and what a process that was killed left under it goes.
    Ours,
    /// Whoever wants to: each writes under a name of its own, and the last one to finish counts.
    Anybodys,
}

impl Replacement {
    /// Put a file of this name into a directory.
    pub fn put(
        self,
        directory: &Path,
        name: &OsStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let opened = rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        self.put_in(&File::from(opened), name, write)
    }

    /// The same in an open directory: in that one, wherever its name may lead by now.
    pub fn put_in(
        self,
        directory: &File,
        name: &OsStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        // A device or a pipe has no content to be replaced, and others count on it: /dev/null would be gone for everybody.
        if let Ok(found) = statat(directory, name, AtFlags::empty())
            && !matches!(FileType::from_raw_mode(found.st_mode), FileType::RegularFile | FileType::Directory)
        {
            return Err(not_regular());
        }
        let temporary = self.temporary(name);
        if self.turn == Turn::Ours {
            let _ = unlinkat(directory, &temporary, AtFlags::empty());
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(directory, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let put = self.fill_and_rename(file, directory, &temporary, name, write);
        if put.is_err() {
            let _ = unlinkat(directory, &temporary, AtFlags::empty());
        }
        put
    }

    fn fill_and_rename(
        self,
        mut file: File,
        directory: &File,
        temporary: &OsStr,
        name: &OsStr,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        write(&mut file)?;
        file.set_permissions(Permissions::from_mode(self.mode))?;
        if self.survives == Survives::PowerFailure {
            file.sync_all()?;
        }
        // Closed before anybody sees it: a program that is still open for writing cannot be started ("text file busy").
        drop(file);
        renameat(directory, temporary, directory, name)?;
        if self.survives == Survives::PowerFailure {
            directory.sync_all()?;
        }
        Ok(())
    }

    fn temporary(self, name: &OsStr) -> OsString {
        let mut temporary = OsStr::new(".").to_owned();
        temporary.push(name);
        if self.turn == Turn::Anybodys {
            // Process IDs tell nobody apart: each container's first process is 1. This is random, and differs at every call.
            temporary.push(format!(".{:016x}", RandomState::new().build_hasher().finish()));
        }
        temporary.push(".partial");
        temporary
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn replacement(turn: Turn) -> Replacement {
        Replacement { mode: 0o640, survives: Survives::PowerFailure, turn }
    }

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn the_new_one_is_there_whole_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        for turn in [Turn::Ours, Turn::Anybodys] {
            for content in ["a longer one", "short"] {
                let put =
                    replacement(turn).put(directory.path(), "file".as_ref(), |file| file.write_all(content.as_ref()));
                put.unwrap();
                assert_eq!(fs::read_to_string(&file).unwrap(), content);
            }
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn what_fails_half_way_leaves_the_old_one_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "old").unwrap();
        for turn in [Turn::Ours, Turn::Anybodys] {
            let put = replacement(turn).put(directory.path(), "file".as_ref(), |file| {
                file.write_all(b"ne")?;
                Err(io::Error::other("the disk is full"))
            });
            assert_eq!(put.unwrap_err().to_string(), "the disk is full");
        }
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), names(directory.path()).len()), ("old", 1));
    }

    #[test]
    fn no_link_is_followed_and_what_was_left_over_goes() {
        let directory = tempfile::tempdir().unwrap();
        let victim = tempfile::NamedTempFile::new().unwrap();
        std::os::unix::fs::symlink(victim.path(), directory.path().join(".file.partial")).unwrap();
        replacement(Turn::Ours).put(directory.path(), "file".as_ref(), |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(victim.path()).unwrap(), b"");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn many_at_once_are_in_nobodys_way() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for nth in 0..8_u8 {
                let directory = directory.path();
                scope.spawn(move || {
                    for _ in 0..20 {
                        let content = [nth; 5_000];
                        let put = Replacement { mode: 0o600, survives: Survives::Kill, turn: Turn::Anybodys };
                        put.put(directory, "file".as_ref(), |file| file.write_all(&content)).unwrap();
                        let found = fs::read(directory.join("file")).unwrap();
                        assert!(found.len() == 5_000 && found.iter().all(|byte| *byte == found[0]));
                    }
                });
            }
        });
        assert_eq!(names(directory.path()), ["file"]);
    }
}
