//! Compiled modules on disk. They are native code that runs as us, so the cache believes only what nobody else could
//! have written, and nothing that comes from elsewhere. Whatever it does not believe is a miss, never a failure.
//!
//! ```text
//! <dir>/            0700, ours; every directory above it ours or root's, writable by nobody else
//!   lock            held while one process compiles, so that the others wait instead of compiling too
//!   shadow.json     what `decisions` counts, by turns that shadow.lock gives
//!   .….cwasm.draft  of a compiler that is at work, or that ended after the call that started it
//!   <sha256 of the module>-<wasmtime and settings>-<target>.cwasm    0400: code, then its CRC-32
//!   <device>-<inode>.known    0400: what the module file there is (see `known`), then its CRC-32
//! ```

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, openat, renameat, unlinkat};

use super::file::Stamp;
use super::known::NOTE_END;
use files::check_is_file;
use limits::CACHED_MODULES;

/// In the name of every module, and of one that is being written.
const MODULE_END: &str = ".cwasm";
/// Of the checksum behind the code.
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
        let io = |error| Miss::Io(path.display().to_string(), error);
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
                Miss::Untrusted(format!("{} is a symbolic link or not a directory", path.display()))
            }
            error => io(error.into()),
        })?);
        let real = path.canonicalize().map_err(io)?;
        check_directory(&real, &dir.metadata().map_err(io)?)?;
        for parent in real.ancestors().skip(1) {
            check_parent(parent, &fs::symlink_metadata(parent).map_err(io)?)?;
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
        let io = |error| Miss::Io(path.display().to_string(), error);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Err(Miss::Absent),
            Err(rustix::io::Errno::LOOP) => {
                return Err(Miss::Untrusted(format!("{} is a symbolic link", path.display())));
            }
            Err(error) => return Err(io(error.into())),
        };
        let metadata = file.metadata().map_err(io)?;
        check_file(&path, &metadata)?;
        Ok(Entry { file, path, stamp: Stamp::of(&metadata) })
    }

    /// Keep something under this name: all of it or nothing, also when the power fails.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = format!(".{name}.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        let mut file = File::from(openat(&self.dir, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file
            .write_all(content)
            .and_then(|()| file.write_all(&checksum(content)))
            .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o400)))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&self.dir, &temporary, &self.dir, name)?))
            .and_then(|()| self.dir.sync_all());
        if written.is_err() {
            let _ = unlinkat(&self.dir, &temporary, AtFlags::empty());
        }
        written
    }

    /// Wait until nobody else compiles, but no longer than until then: compiling twice is a waste, not an error.
    pub(super) fn lock(&self, until: Instant) -> Lock {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = openat(&self.dir, "lock", flags, Mode::RUSR | Mode::WUSR) else { return Lock(None) };
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Lock(None);
            }
            sleep(left.min(Duration::from_millis(5)));
        }
        Lock(Some(File::from(file)))
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
        let aged = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.file_name().into_string().ok()?)));
        let aged: Vec<_> = aged.collect();
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
    match metadata.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(mode_is(path, metadata, "0700")),
    }
}

/// In a directory that others may write to, a sticky bit keeps them from replacing what is not theirs.
fn check_parent(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    check_owner(path, metadata)?;
    match metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
        true => Err(mode_is(path, metadata, "not writable by others")),
        false => Ok(()),
    }
}

fn check_file(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    check_is_file(metadata).map_err(|error| Miss::Untrusted(format!("{}: {error}", path.display())))?;
    check_owner(path, metadata)?;
    if metadata.nlink() != 1 {
        return Err(Miss::Untrusted(format!("{} has {} links, expected 1", path.display(), metadata.nlink())));
    }
    match metadata.mode() & 0o022 {
        0 => Ok(()),
        _ => Err(mode_is(path, metadata, "0400")),
    }
}

/// Ours or root's. In production we are root.
fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), Miss> {
    let us = rustix::process::geteuid().as_raw();
    match metadata.uid() {
        owner if owner == 0 || owner == us => Ok(()),
        owner => Err(Miss::Untrusted(format!("{} belongs to user {owner}, expected {us}", path.display()))),
    }
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
