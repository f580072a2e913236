//! Opening the file: everything that can be wrong with a path, a file system or a limit, told by name.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use heed::{Env, EnvFlags, EnvOpenOptions, MdbError, WithoutTls};
use rustix::fs::{Access, FallocateFlags, StatVfs};

use super::reserve::{self, Reserve};
use crate::error::StoreError;
use files::check_is_file;
use limits::store::{MAP_BYTES, OPEN_ATTEMPTS, READERS, RESERVE_BYTES};

/// What the file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// On a read-only file system, too.
    Read,
    /// Creates what is missing.
    Write,
}

impl Purpose {
    pub(super) fn allows(self, purpose: Self) -> bool {
        self == Self::Write || purpose == Self::Read
    }
}

/// File systems that machines share, by the magic number of statfs(2). Their mappings and locks are not coherent
/// between machines, some not even between processes of one. FUSE hides most of the others.
const SHARED: [(u32, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x5346_414f, "AFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
];

/// Bytes LMDB needs of the lock file: a cache line per reader, and its header.
const LOCK_BYTES: u64 = READERS as u64 * 64 + 4_096;

/// A multiple of whatever size pages of memory have.
const MEMORY_PAGE: usize = 64 << 10;

/// The length of a new file.
const FIRST_PAGES: u64 = 2 * 4_096;

/// Whether there is no file yet.
pub(super) fn is_absent(file: &Path) -> Result<bool, StoreError> {
    file.try_exists().map(|exists| !exists).map_err(|source| failed("open", file, source))
}

/// The open file, and what it is good for.
pub(super) struct Mapped {
    pub(super) env: Env<WithoutTls>,
    pub(super) purpose: Purpose,
    pub(super) reserve: Reserve,
}

/// Open the file with room to grow; every `growth` doubles the room.
pub(super) fn open(file: &Path, purpose: Purpose, growth: u32) -> Result<Mapped, StoreError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    if purpose == Purpose::Write {
        create_dir(dir)?;
    }
    refuse_shared(dir)?;
    let there = looks_of(file)?;
    match try_open(file, EnvFlags::empty(), there.as_ref(), growth) {
        Ok(env) => {
            // A commit is durable in the file; a new file is only once its name is.
            if there.is_none() {
                sync_dir(dir)?;
            }
            Ok(Mapped { env, purpose: Purpose::Write, reserve: reserve::keep(file, there.as_ref()) })
        }
        Err(StoreError::File { source, .. })
            if purpose == Purpose::Read && source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
        {
            open_to_read(file, growth)
        }
        Err(error) => Err(error),
    }
}

/// Open a file that is there, and write nothing to it: the descriptor does not allow it.
pub(super) fn open_to_read(file: &Path, growth: u32) -> Result<Mapped, StoreError> {
    refuse_shared(file.parent().unwrap_or(Path::new(".")))?;
    let there = fs::metadata(file).map_err(|source| failed("open", file, source))?;
    check_is_file(&there).map_err(|source| failed("open", file, source))?;
    let env = try_open(file, EnvFlags::READ_ONLY, Some(&there), growth)?;
    Ok(Mapped { env, purpose: Purpose::Read, reserve: Reserve::Unknown })
}

/// The file, if there is one. LMDB creates it for its owner alone; a copy from elsewhere may be open to others.
fn looks_of(file: &Path) -> Result<Option<Metadata>, StoreError> {
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", file, source)),
    };
    check_is_file(&metadata).map_err(|source| failed("open", file, source))?;
    keep_private(file, &metadata);
    Ok(Some(metadata))
}

/// A user who may open a file may lock it, and with one of these two keep every pod of the node waiting.
fn keep_private(file: &Path, metadata: &Metadata) {
    if metadata.mode() & 0o077 == 0 {
        return;
    }
    if let Err(error) = fs::set_permissions(file, Permissions::from_mode(0o600)) {
        tracing::warn!(file = %file.display(), %error, "other users can open it, and so keep pods from starting");
    }
}

fn try_open(
    file: &Path,
    flags: EnvFlags,
    there: Option<&Metadata>,
    growth: u32,
) -> Result<Env<WithoutTls>, StoreError> {
    if flags.is_empty() {
        reserve_lock_file(file)?;
    }
    // The map is address space: where the file has outgrown it, it is opened again with twice as much.
    let bytes = map_bytes(there).saturating_mul(1 << growth);
    let mut attempt = 1;
    loop {
        match open_env(file, flags, bytes) {
            // Another process may have been killed while it created the file: the next one to open it starts afresh.
            Err(heed::Error::Mdb(MdbError::Invalid)) if attempt < OPEN_ATTEMPTS => {
                thread::sleep(Duration::from_millis(1 << attempt));
                attempt += 1;
            }
            Err(heed::Error::Io(error)) if error.raw_os_error() == Some(libc::ENOMEM) => {
                return Err(StoreError::AddressSpace { path: file.to_owned(), bytes });
            }
            outcome => return outcome.map_err(|error| explain("open", file, error)),
        }
    }
}

#[allow(unsafe_code, reason = "see SAFETY")]
fn open_env(file: &Path, flags: EnvFlags, bytes: u64) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(usize::try_from(bytes).unwrap_or(usize::MAX & !0xf_ffff)).max_readers(READERS);
    // SAFETY: a mapped file must not change behind the map.
    // - Only LMDB writes it: the directory is root's alone (0700, files 0600), the name is ours, and every process
    //   that opens it does so here, with LMDB's locks on (no NO_LOCK, no NO_SYNC) and with pages of the same format.
    // - File systems on which those locks or mappings are not coherent were refused by `refuse_shared`.
    // - heed refuses to open a file twice in one process, which would drop the process's locks on it.
    // - No transaction outlives its environment: `RoTxn<'static>` owns a handle of it.
    unsafe { options.flags(flags | EnvFlags::NO_SUB_DIR).open(file) }
}

/// Let go of the pages of a map between two of its places. They stay in the kernel's cache, but count no longer as memory of
/// this process: where everything is read, that would be the whole file in the end.
#[allow(unsafe_code, reason = "advice about memory takes a pointer")]
pub(super) fn let_go(first: *const u8, last: *const u8) {
    // Rounded inwards: what lies beside the map is somebody else's.
    let start = (first as usize).next_multiple_of(MEMORY_PAGE);
    let end = last as usize / MEMORY_PAGE * MEMORY_PAGE;
    if start < end {
        // SAFETY: the pages are of a map of a file, which is shared and not written through (no WRITE_MAP). One that is let
        // go of has the same content when it is looked at again, as those who hold references into it may.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// Twice what is there, and at least [`MAP_BYTES`]: address space, neither memory nor disk.
fn map_bytes(there: Option<&Metadata>) -> u64 {
    let length = there.map_or(0, Metadata::len);
    length.saturating_mul(2).max(MAP_BYTES).next_multiple_of(1 << 20)
}

fn create_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| failed("create", dir, source))?;
    dir.parent().map_or(Ok(()), sync_dir)
}

/// A new name is durable only once its directory is.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| failed("sync", dir, source))
}

pub(super) fn refuse_shared(dir: &Path) -> Result<(), StoreError> {
    let stat = rustix::fs::statfs(dir).map_err(|error| failed("open", dir, error.into()))?;
    // Magic numbers have 32 bits; the field is wider and its sign differs between machines.
    refuse_number(dir, stat.f_type as u32)
}

pub(super) fn refuse_number(dir: &Path, found: u32) -> Result<(), StoreError> {
    match SHARED.iter().find(|(magic, _)| *magic == found) {
        Some((_, kind)) => Err(StoreError::NetworkFileSystem { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The lock file is written through a map: on a full disk a sparse one would kill the process with SIGBUS instead of
/// giving an error. So its blocks are there before it is mapped.
fn reserve_lock_file(file: &Path) -> Result<(), StoreError> {
    let mut name = file.as_os_str().to_owned();
    name.push("-lock");
    let lock = PathBuf::from(name);
    if let Ok(metadata) = fs::metadata(&lock) {
        keep_private(&lock, &metadata);
        if metadata.blocks() * 512 >= LOCK_BYTES {
            return Ok(());
        }
    }
    // Closing any handle of a file drops all locks this process has on it.
    let open_here = file.canonicalize().is_ok_and(|file| heed::env_closing_event(file).is_some());
    if open_here {
        return Ok(());
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let handle = opened.map_err(|source| failed("open", &lock, source))?;
    match rustix::fs::fallocate(&handle, FallocateFlags::KEEP_SIZE, 0, LOCK_BYTES) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(failed("reserve", &lock, error.into())),
    }
}

/// Whether the file could be created: its nearest directory that exists is writable, local, and has room.
pub(super) fn could_create(file: &Path) -> Result<(), StoreError> {
    let existing = file.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    refuse_shared(existing)?;
    rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| failed("create a file in", existing, error.into()))?;
    let stat = rustix::fs::statvfs(existing).map_err(|error| failed("open", existing, error.into()))?;
    // What the first claim reserves: the lock file, and beyond LMDB's two first pages the room for releases.
    let block = stat.f_frsize.max(1);
    let needed = LOCK_BYTES.div_ceil(block) + (FIRST_PAGES + RESERVE_BYTES.start()).div_ceil(block);
    // Some file systems do not count their files, and say 0.
    let has_names = stat.f_files == 0 || stat.f_ffree >= 2;
    if free_blocks(&stat) >= needed && has_names { Ok(()) } else { Err(disk_full(file, None)) }
}

/// The part of a disk that only root may fill is for us as well.
fn free_blocks(stat: &StatVfs) -> u64 {
    if rustix::process::geteuid().is_root() { stat.f_bfree } else { stat.f_bavail }
}

/// Whether the disk has any room left.
pub(super) fn has_room(path: &Path) -> Result<(), StoreError> {
    let stat = rustix::fs::statvfs(path).map_err(|error| failed("open", path, error.into()))?;
    if free_blocks(&stat) > 0 { Ok(()) } else { Err(disk_full(path, None)) }
}

pub(super) fn disk_full(path: &Path, source: Option<io::Error>) -> StoreError {
    StoreError::DiskFull { path: path.to_owned(), source }
}

/// Turn an error of LMDB into what it means for the operator of the node.
pub(super) fn explain(doing: &'static str, file: &Path, error: heed::Error) -> StoreError {
    match error {
        // LMDB reports a write cut short by a full disk as an I/O error.
        heed::Error::Io(source) if source.raw_os_error() == Some(libc::EIO) && has_room(file).is_err() => {
            disk_full(file, Some(source))
        }
        heed::Error::Io(source) => failed(doing, file, source),
        heed::Error::Mdb(MdbError::Invalid | MdbError::VersionMismatch) => {
            StoreError::NotADatabase { path: file.to_owned() }
        }
        heed::Error::Mdb(MdbError::ReadersFull) => StoreError::Busy { path: file.to_owned(), readers: READERS },
        source => StoreError::Embedded { doing, path: file.to_owned(), source },
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => disk_full(path, Some(source)),
        _ => StoreError::File { doing, path: path.to_owned(), source },
    }
}
