//! Module files, and how to tell without reading one that it is the one that was read before.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::Flaw;
use files::check_is_file;
use limits::MODULE;

/// Clocks of file systems tick in milliseconds: a file that changed this recently may change again within one tick.
const SETTLED: Duration = Duration::from_secs(2);

/// What changes whenever a file's content does. The time of the last change of state cannot be set by anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    /// In nanoseconds since the epoch.
    pub(super) modified: i128,
    pub(super) changed: i128,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change from now on would show.
    pub(super) fn is_settled(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i128::try_from(now.as_nanos()).is_ok_and(|now| now - self.changed > SETTLED.as_nanos() as i128)
    }
}

/// A module file that was opened, and is no larger than a module may be.
pub(super) struct ModuleFile {
    file: File,
    pub(super) stamp: Stamp,
}

impl ModuleFile {
    pub(super) fn open(path: &Path) -> Result<Self, Flaw> {
        // To open a named pipe would be to wait for its writer.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        check_is_file(&metadata).map_err(unreadable)?;
        if metadata.len() > MODULE.default << 20 {
            return Err(Flaw::TooLarge { bytes: metadata.len(), most_mib: MODULE.default });
        }
        Ok(Self { file, stamp: Stamp::of(&metadata) })
    }

    /// All of the module, up to the limit on modules.
    pub(super) fn read(&self) -> Result<Vec<u8>, Flaw> {
        let mut wasm = Vec::with_capacity(self.stamp.size as usize + 1);
        // Bounded once more: the file may have grown since it was opened.
        (&self.file).take(MODULE.default << 20).read_to_end(&mut wasm).map_err(unreadable)?;
        Ok(wasm)
    }

    /// Whether what was read is what the stamp stands for.
    pub(super) fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

fn unreadable(error: io::Error) -> Flaw {
    match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => Flaw::Unreadable(error.to_string()),
    }
}
