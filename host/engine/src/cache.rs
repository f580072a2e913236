//! Compiled modules on disk.
//!
//! ```text
//! <dir>/            0700, ours; every directory above it ours or root's, writable by nobody else
//!   lock            held while one process compiles, so that the others wait instead of compiling too; it says what is
//!                   compiled, and was written when that began
//!   shadow.json     what `decisions` counts, by turns that shadow.lock gives
//!   .….cwasm.draft  of a compiler that is at work, or that ended after the call that started it
//!   <sha256 of the module>-<wasmtime and settings>-<target>.cwasm    0400: code, then its CRC-32
//!   <device>-<inode>.known    0400: what the module file there is (see `known`), then its CRC-32
//! ```
//!
//! An entry is native code, and it will run as us, outside every sandbox. So the cache believes only what nobody else
//! could have written, and an entry is never brought here from elsewhere: not by a package, not by an image, not by an
//! operator. Whether that holds is read off owners and modes, of the directory and of all above it, each time it is opened;
//! from then on entries are opened relative to that directory, so that nobody can put another one under its name.
//! A signature would be no better: whoever could write here could also read the key.
//!
//! **What it does not believe is a miss, never a failure.** A node whose cache is damaged, full or world-writable
//! compiles again, slowly, and says so in the log. Nothing is ever repaired: what is missing is compiled again.
//!
//! **The name says what the code is.** It has the digest of the module, which the configuration may pin, and everything
//! that changes the code made of it: an upgrade of this program finds no entry of the former one, instead of a wrong one.
//!
//! **One compiles, the others wait.** When a node starts, every pod's ADD would compile the same module at the same moment. A
//! lock lets one of them do it. It saves work and protects nothing, so whoever cannot have it goes on without. A call may have
//! less time than the compiler needs: then the compiler goes on alone, and leaves its code in a draft that the next call takes.
//!
//! The checksum is against disks and power cuts. An entry is written beside its name and renamed, so it is whole or absent.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::file::Stamp;
use super::known::NOTE_END;
use files::{Replacement, Survives, Turn, check_is_file, lock_until};
use limits::CACHED_MODULES;

/// In the name of every module, and of one that is being written.
const MODULE_END: &str = ".cwasm";
/// More than the name of any entry has.
const NAME_BYTES: u64 = 512;
/// The length of the checksum behind the code.
const CHECKSUM_BYTES: usize = 4;

/// Why an entry was not used.
#[derive(Debug)]
pub(super) enum Miss {
    /// Nobody compiled it yet.
    Absent,
    /// It is there, but somebody else may have written it.
    Untrusted(String),
    /// It is there, but damaged.
    Damaged(String),
    /// It could not be read.
    Io(String, io::Error),
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("not compiled yet"),
            Self::Untrusted(why) => write!(f, "not trusted: {why}"),
            Self::Damaged(why) => write!(f, "damaged: {why}"),
            Self::Io(path, error) => write!(f, "{path}: {error}"),
        }
    }
}

/// A directory that passed its checks.
pub(super) struct Cache {
    path: PathBuf,
    dir: File,
}

/// A file of the cache that nobody else could have written.
pub(super) struct Entry {
    pub(super) file: File,
    path: PathBuf,
    pub(super) stamp: Stamp,
}

/// While it lives, this process is the one that compiles; without a file, one of several.
pub(super) struct Lock(Option<File>);

/// What the process that has the lock compiles.
pub(super) struct AtWork {
    pub(super) name: String,
    /// For how long by now.
    pub(super) elapsed: Duration,
}

/// Where a compiler that may outlive us leaves its code, under our lock: that is held for as long as the compiler lives.
pub(super) struct Draft {
    pub(super) file: File,
    pub(super) lock: File,
}

impl Lock {
    /// Whether it was to be had in time.
    pub(super) fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

impl Cache {
    /// The cache in this directory; a missing one is made.
    pub(super) fn open(path: &Path) -> Result<Self, Miss> {
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_at(path))?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(dir) => File::from(dir),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Miss::Untrusted(format!("{} is a symbolic link or not a directory", path.display())));
            }
            Err(error) => return Err(io_at(path)(error.into())),
        };
        // The open directory is judged, not its name: that could lead elsewhere by now. Whoever may write to a directory
        // above it could put another in its place, so they are judged as well.
        let real = path.canonicalize().map_err(io_at(path))?;
        check_directory(&real, &dir.metadata().map_err(io_at(path))?)?;
        for parent in real.ancestors().skip(1) {
            check_parent(parent, &fs::symlink_metadata(parent).map_err(io_at(path))?)?;
        }
        Ok(Self { path: real, dir })
    }

    /// What is kept under this name, read whole.
    pub(super) fn get(&self, name: &str) -> Result<Vec<u8>, Miss> {
        self.find(name)?.read()
    }

    /// What is kept under this name, opened: from here on it is this file, whatever happens to the name.
    pub(super) fn find(&self, name: &str) -> Result<Entry, Miss> {
        let path = self.path.join(name);
        // Without NONBLOCK, to open a named pipe would be to wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Err(Miss::Absent),
            Err(Errno::LOOP) => return Err(Miss::Untrusted(format!("{} is a symbolic link", path.display()))),
            Err(error) => return Err(io_at(&path)(error.into())),
        };
        let metadata = file.metadata().map_err(io_at(&path))?;
        check_file(&path, &metadata)?;
        Ok(Entry { file, path, stamp: Stamp::of(&metadata) })
    }

    /// Keep something under this name: all of it or nothing, also when the power fails.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        // Without the lock, where another process kept that for too long: two may be at the same name.
        let put = Replacement { mode: 0o400, survives: Survives::PowerFailure, turn: Turn::Anybodys };
        put.put_in(&self.dir, name.as_ref(), |file| {
            file.write_all(content)?;
            file.write_all(&checksum(content))
        })
    }

    /// Wait until nobody else compiles, but no longer than until then: compiling twice is a waste, not an error. `name` is the
    /// entry that is to be compiled; whoever waits for the lock tells from it what he waits for.
    pub(super) fn lock(&self, until: Instant, name: &str) -> Lock {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = openat(&self.dir, "lock", flags, Mode::RUSR | Mode::WUSR) else { return Lock(None) };
        // The kernel would wait without end, and this call may not. Compiling takes long enough for a pause of 5 ms.
        let file = File::from(file);
        if !lock_until(&file, until, Duration::from_millis(5)).unwrap_or(false) {
            return Lock(None);
        }
        // On a full disk nobody learns what is compiled. That is no reason not to compile.
        let _ = file.set_len(0).and_then(|()| (&file).write_all(name.as_bytes()));
        Lock(Some(file))
    }

    /// What the process compiles that has the lock, or had it last.
    pub(super) fn at_work(&self) -> Option<AtWork> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.dir, "lock", flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok()?;
        check_file(&self.path.join("lock"), &metadata).ok()?;
        let mut name = String::new();
        file.take(NAME_BYTES).read_to_string(&mut name).ok()?;
        // A clock that was set back since makes it no time at all.
        let elapsed = metadata.modified().ok()?.elapsed().unwrap_or_default();
        Some(AtWork { name, elapsed })
    }

    /// A file for the code that is to be kept under this name; none without the lock, or where nothing can be written.
    pub(super) fn draft(&self, name: &str, lock: &Lock) -> Option<Draft> {
        let lock = lock.0.as_ref()?.try_clone().ok()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = draft_name(name);
        let _ = unlinkat(&self.dir, &name, AtFlags::empty());
        let file = File::from(openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR).ok()?);
        Some(Draft { file, lock })
    }

    /// The code that a compiler left under this name after whoever started it had gone. What it did not finish has no
    /// checksum, and goes.
    pub(super) fn take_draft(&self, name: &str, lock: &Lock) -> Option<Vec<u8>> {
        lock.0.as_ref()?;
        let code = self.get(&draft_name(name)).ok()?;
        self.drop_draft(name);
        Some(code)
    }

    pub(super) fn drop_draft(&self, name: &str) {
        let _ = unlinkat(&self.dir, draft_name(name), AtFlags::empty());
    }

    /// Let the oldest entries go when there are too many. Best effort: what is in use stays readable.
    pub(super) fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        let mut aged = Vec::new();
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if let (Ok(modified), Ok(name)) = (modified, entry.file_name().into_string()) {
                aged.push((modified, name));
            }
        }
        // Each kind by itself: a node with many modules may have a note, which is small and soon written, for each.
        for end in [MODULE_END, NOTE_END] {
            let mut kind: Vec<_> = aged.iter().filter(|(_, name)| name.contains(end)).collect();
            kind.sort();
            let surplus = kind.len().saturating_sub(CACHED_MODULES.default as usize);
            for (_, name) in kind.drain(..surplus) {
                let _ = unlinkat(&self.dir, name.as_str(), AtFlags::empty());
            }
        }
    }
}

impl Entry {
    /// Size of its content.
    pub(super) fn bytes(&self) -> u64 {
        self.stamp.size.saturating_sub(CHECKSUM_BYTES as u64)
    }

    /// Its content, if the checksum behind it is right.
    pub(super) fn read(&self) -> Result<Vec<u8>, Miss> {
        let mut bytes = Vec::with_capacity(self.stamp.size as usize + 1);
        let read = (&self.file).rewind().and_then(|()| (&self.file).read_to_end(&mut bytes));
        read.map_err(|error| Miss::Io(self.path.display().to_string(), error))?;
        unseal(bytes).ok_or_else(|| Miss::Damaged(format!("{}: its checksum is wrong", self.path.display())))
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> Miss {
    move |error| Miss::Io(path.display().to_string(), error)
}

fn draft_name(name: &str) -> String {
    format!(".{name}.draft")
}

/// The content without its checksum, if that is right.
pub(super) fn unseal(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let length = bytes.len().checked_sub(CHECKSUM_BYTES)?;
    let intact = bytes[length..] == checksum(&bytes[..length]);
    bytes.truncate(length);
    intact.then_some(bytes)
}

/// Against a failing disk, not against an attacker: one who can write here is us.
pub(super) fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    crc32fast::hash(content).to_le_bytes()
}

fn check_directory(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    check_owner(path, metadata)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(mode_is(path, metadata, "0700"));
    }
    Ok(())
}

fn check_parent(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    check_owner(path, metadata)?;
    // Where others may write, as in /tmp, a sticky bit keeps them from replacing what is not theirs.
    let is_writable_by_others = metadata.mode() & 0o022 != 0;
    let is_sticky = metadata.mode() & 0o1000 != 0;
    if is_writable_by_others && !is_sticky {
        return Err(mode_is(path, metadata, "not writable by others"));
    }
    Ok(())
}

fn check_file(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    check_is_file(metadata).map_err(|error| Miss::Untrusted(format!("{}: {error}", path.display())))?;
    check_owner(path, metadata)?;
    // A second name is another way to the same bytes, in a directory that nobody has checked.
    if metadata.nlink() != 1 {
        return Err(Miss::Untrusted(format!("{} has {} links, expected 1", path.display(), metadata.nlink())));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(mode_is(path, metadata, "0400"));
    }
    Ok(())
}

/// Ours or root's. In production we are root.
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    let us = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != 0 && owner != us {
        return Err(Miss::Untrusted(format!("{} belongs to user {owner}, expected {us}", path.display())));
    }
    Ok(())
}

fn mode_is(path: &Path, metadata: &fs::Metadata, expected: &str) -> Miss {
    Miss::Untrusted(format!("{} has mode {:04o}, expected {expected}", path.display(), metadata.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_notes_are_pruned_apart() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("cache")).unwrap();
        let most = CACHED_MODULES.default as usize;
        for nth in 0..most + 2 {
            cache.put(&format!("{nth}-0-x86_64-unknown-linux-musl{MODULE_END}"), b"code").unwrap();
            cache.put(&format!("8-{nth}{NOTE_END}"), b"note").unwrap();
        }
        cache.prune();
        let names: Vec<_> = fs::read_dir(&cache.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let ending = |end: &str| names.iter().filter(|name| name.to_string_lossy().ends_with(end)).count();
        assert_eq!((ending(MODULE_END), ending(NOTE_END)), (most, most));
    }
}
