//! Puts a file in its place whole: it is written beside the old one, synced and renamed. A process that opens it meanwhile
//! finds the old file or the new one, also when this process is killed or the power fails.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, readlinkat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::error::InstallError;
use super::ours::digest;
use files::{Replacement, Survives, lock_until};
use limits::INSTALL_TURN;

/// The file to lock in a directory that something is installed into. Only root can open it, so that no other user can keep
/// an installation waiting; a lock on the directory itself could be taken by everybody who can read it.
const LOCK: &str = ".kube-ipam.lock";

/// How long to wait before trying again to take a lock that another process has.
const PAUSE: Duration = Duration::from_millis(20);

/// A directory of the node. Files are written through the handle, so that all of an installation goes into one directory
/// even if the path is changed meanwhile.
pub(crate) struct Directory {
    path: PathBuf,
    handle: File,
    option: &'static str,
}

impl Directory {
    /// Opens an existing directory. `option` is the one that named it, for the hint of an error.
    pub(crate) fn open(path: &Path, option: &'static str) -> Result<Self, InstallError> {
        let opened = rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        match opened {
            Ok(handle) => Ok(Self { path: path.to_owned(), handle: File::from(handle), option }),
            Err(error) => Err(InstallError::NoDirectory { path: path.to_owned(), option, source: error.into() }),
        }
    }

    pub(crate) fn file(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Installs a regular file with this content and mode. Returns false where it is there already, for which no lock is
    /// taken.
    pub(crate) fn put(&self, name: &OsStr, mode: u32, content: &mut (impl Read + Seek)) -> Result<bool, InstallError> {
        if self.has(name, mode, content) {
            return Ok(false);
        }
        let _turn = self.lock(Instant::now() + INSTALL_TURN)?;
        let written = content.rewind().and_then(|()| self.replace(name, mode, content));
        written.map_err(|source| InstallError::Unwritable { path: self.file(name), source })?;
        Ok(true)
    }

    /// Keeps other processes from installing into the directory as long as the turn lasts. During an upgrade two containers
    /// may try at once, and each has process ID 1, so that their temporary files would have the same name.
    fn lock(&self, until: Instant) -> Result<Turn<'_>, InstallError> {
        let path = self.file(LOCK.as_ref());
        loop {
            let file = self.open_lock()?;
            match lock_until(&file, until, PAUSE) {
                Ok(true) if self.has_lock(&file) => return Ok(Turn { directory: self, _file: file }),
                // The process that had the lock before has removed its file. Another one may lock a new file by now, so
                // that a lock on the removed one is worth nothing.
                Ok(true) => {}
                Ok(false) => return Err(InstallError::Locked { path }),
                Err(source) => return Err(InstallError::Unwritable { path, source }),
            }
        }
    }

    fn open_lock(&self) -> Result<File, InstallError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.handle, LOCK, flags, Mode::RUSR | Mode::WUSR);
        opened.map(File::from).map_err(|error| {
            let (path, option) = (self.path.clone(), self.option);
            InstallError::NoDirectory { path, option, source: error.into() }
        })
    }

    fn has_lock(&self, file: &File) -> bool {
        let (Ok(ours), Ok(there)) = (fstat(file), statat(&self.handle, LOCK, AtFlags::SYMLINK_NOFOLLOW)) else {
            return false;
        };
        (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
    }

    /// Whether there is a regular file with this content and mode.
    pub(super) fn has(&self, name: &OsStr, mode: u32, content: &mut (impl Read + Seek)) -> bool {
        self.compare(name, mode, content).unwrap_or(false)
    }

    fn compare(&self, name: &OsStr, mode: u32, content: &mut (impl Read + Seek)) -> io::Result<bool> {
        content.rewind()?;
        let file = self.open_file(name)?;
        let metadata = file.metadata()?;
        let is_alike = metadata.is_file() && metadata.permissions().mode() & 0o7777 == mode;
        Ok(is_alike && is_same(&mut BufReader::new(file), &mut BufReader::new(content))?)
    }

    fn open_file(&self, name: &OsStr) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(&self.handle, name, flags, Mode::empty()).map(File::from)
    }

    /// What has this name.
    pub(super) fn find(&self, name: &OsStr) -> Result<Found, InstallError> {
        let failed = |source| InstallError::Unwritable { path: self.file(name), source };
        let mut file = match self.open_file(name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            // A link, a socket or a device without its driver.
            Err(Errno::LOOP | Errno::NXIO | Errno::NODEV) => return Ok(Found::Other),
            Err(error) => return Err(failed(error.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(Found::Other);
        }
        digest(&mut file).map(Found::File).map_err(failed)
    }

    /// Replaces a file by what is made of it, while nobody else does.
    pub(super) fn change(
        &self,
        name: &OsStr,
        mode: u32,
        make: impl FnOnce() -> Result<Vec<u8>, InstallError>,
    ) -> Result<(), InstallError> {
        let _turn = self.lock(Instant::now() + INSTALL_TURN)?;
        let content = make()?;
        let written = self.replace(name, mode, &mut content.as_slice());
        written.map_err(|source| InstallError::Unwritable { path: self.file(name), source })
    }

    pub(super) fn remove(&self, name: &OsStr) -> Result<(), InstallError> {
        let removed = unlinkat(&self.handle, name, AtFlags::empty());
        removed.map_err(|error| InstallError::NotRemoved { path: self.file(name), source: error.into() })
    }

    /// Where a link of this name leads.
    pub(super) fn target(&self, name: &OsStr) -> Option<PathBuf> {
        let target = readlinkat(&self.handle, name, Vec::new()).ok()?;
        Some(PathBuf::from(OsStr::from_bytes(target.to_bytes())))
    }

    pub(super) fn is_link_to(&self, name: &OsStr, target: &Path) -> bool {
        self.target(name).is_some_and(|found| found == target)
    }

    pub(super) fn link(&self, name: &OsStr, target: &Path) -> Result<(), InstallError> {
        let linked = symlinkat(target, &self.handle, name);
        linked.map_err(|error| InstallError::Unwritable { path: self.file(name), source: error.into() })
    }

    /// Has to be called with the lock taken. A file that a runtime executes has to be whole after a power failure, too.
    fn replace(&self, name: &OsStr, mode: u32, content: &mut impl Read) -> io::Result<()> {
        Replacement { mode, survives: Survives::PowerFailure, turn: files::Turn::Ours }.put_in(
            &self.handle,
            name,
            |file| io::copy(content, file).map(drop),
        )
    }
}

/// What has a name in a directory.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// A regular file, by its digest.
    File(String),
    /// A link, a directory or anything else.
    Other,
}

/// A turn to install into a directory. Its end removes the locked file and so unlocks it.
struct Turn<'a> {
    directory: &'a Directory,
    _file: File,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = unlinkat(&self.directory.handle, LOCK, AtFlags::empty());
    }
}

/// Compares two files without reading either into memory as a whole: a binary has tens of megabytes.
fn is_same(left: &mut impl BufRead, right: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let (ours, theirs) = (left.fill_buf()?, right.fill_buf()?);
        let length = ours.len().min(theirs.len());
        if length == 0 || ours[..length] != theirs[..length] {
            return Ok(ours.is_empty() && theirs.is_empty());
        }
        left.consume(length);
        right.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use cni::Fail;

    fn put(directory: &Path, mode: u32, content: &[u8]) -> bool {
        let directory = Directory::open(directory, "--bin-dir").unwrap();
        directory.put("file".as_ref(), mode, &mut Cursor::new(content)).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_right_already_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let content = vec![7; 100_000];
        assert!(put(directory.path(), 0o755, &content));
        let before = fs::metadata(&file).unwrap();
        assert!(!put(directory.path(), 0o755, &content));
        assert_eq!(fs::metadata(&file).unwrap().ino(), before.ino());
        assert_eq!((before.mode() & 0o7777, fs::read(&file).unwrap()), (0o755, content));
    }

    #[test]
    fn whatever_differs_is_replaced_by_a_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        for (mode, content) in [(0o600, "a"), (0o600, "b"), (0o600, "bb"), (0o600, "b"), (0o644, "b"), (0o644, "")] {
            assert!(put(directory.path(), mode, content.as_bytes()), "{mode:o} {content:?}");
            let metadata = fs::metadata(&file).unwrap();
            assert_eq!((metadata.mode() & 0o7777, fs::read_to_string(&file).unwrap()), (mode, content.to_owned()));
        }
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_link_is_replaced_and_its_target_spared() {
        let directory = tempfile::tempdir().unwrap();
        let target = tempfile::NamedTempFile::new().unwrap();
        symlink(target.path(), directory.path().join("file")).unwrap();
        assert!(put(directory.path(), 0o644, b"ours"));
        assert!(directory.path().join("file").symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(target.path()).unwrap(), b"");
    }

    #[test]
    fn what_a_killed_process_left_is_cleared_away() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".file.partial"), "half").unwrap();
        assert!(put(directory.path(), 0o644, b"whole"));
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn what_cannot_be_written_whole_leaves_the_old_file() {
        struct Torn;
        impl Read for Torn {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        impl Seek for Torn {
            fn seek(&mut self, _: io::SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), 0o644, b"old");
        let opened = Directory::open(directory.path(), "--bin-dir").unwrap();
        let error = opened.put("file".as_ref(), 0o644, &mut Torn).unwrap_err();
        assert!(error.to_string().ends_with("/file") && error.hint().unwrap().contains("free space"), "{error}");
        assert_eq!(fs::read(directory.path().join("file")).unwrap(), b"old");
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_missing_directory_is_named_with_its_option() {
        let missing = Path::new("/nonexistent/bin");
        let error = Directory::open(missing, "--bin-dir").err().unwrap();
        assert_eq!(error.to_string(), "cannot install into /nonexistent/bin");
        assert!(error.hint().unwrap().contains("--bin-dir"));
    }

    /// Whoever may look into a directory may lock it, but not a file that only root opens.
    #[test]
    fn a_lock_on_the_directory_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let anybodys = File::open(directory.path()).unwrap();
        anybodys.lock().unwrap();
        assert!(put(directory.path(), 0o755, b"content"));
        let opened = Directory::open(directory.path(), "--bin-dir").unwrap();
        let turn = opened.lock(Instant::now()).unwrap();
        assert_eq!(fs::metadata(directory.path().join(LOCK)).unwrap().mode() & 0o7777, 0o600);
        drop(turn);
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn another_that_installs_is_waited_for_but_not_forever() {
        let directory = tempfile::tempdir().unwrap();
        let opened = Directory::open(directory.path(), "--bin-dir").unwrap();
        let other = opened.lock(Instant::now()).unwrap();
        let error = opened.lock(Instant::now() + Duration::from_millis(50)).err().unwrap();
        let lock = directory.path().join(LOCK).display().to_string();
        assert!(
            error.to_string().contains(&lock) && error.hint().unwrap().contains("fuser"),
            "{error}; {}",
            error.hint().unwrap()
        );
        drop(other);
        drop(opened.lock(Instant::now()).unwrap());
    }

    #[test]
    fn many_at_once_take_turns_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = directory.path();
                scope.spawn(move || {
                    for nth in 0..40 {
                        put(path, 0o644, format!("{writer} {nth}").as_bytes());
                    }
                });
            }
        });
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn what_is_right_already_needs_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        assert!(put(directory.path(), 0o644, b"content"));
        let opened = Directory::open(directory.path(), "--bin-dir").unwrap();
        let _other = opened.lock(Instant::now()).unwrap();
        assert!(!put(directory.path(), 0o644, b"content"));
    }
}
