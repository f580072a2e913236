//! Room on the disk that is reserved for releases.
//!
//! LMDB writes a new page before it frees the old one, so that even a DEL takes room, and on a full disk there is none: no
//! address would ever be given back. So blocks beyond the end of the file are reserved ahead, which the next commits grow
//! into. Where they can no longer be reserved, the disk is as good as full: no claim is made any more, unless the file has
//! that many free pages inside, and what is left is for releases. Each of them frees pages for the next.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use limits::store::RESERVE_BYTES;

/// What there is for releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserve {
    /// There is enough for some releases.
    Kept,
    /// The disk is full.
    Short,
    /// The file system reserves nothing: a full disk is noticed when it is full.
    Unknown,
}

/// Have room beyond the end of the file, which looked like this before it was opened. Where there is enough, and that is
/// the rule, this asks nothing of the disk.
pub(super) fn keep(file: &Path, there: Option<&Metadata>) -> Reserve {
    if there.is_some_and(|there| there.blocks() * 512 >= there.len() + RESERVE_BYTES.start()) {
        return Reserve::Kept;
    }
    let Ok(handle) = File::options().write(true).open(file) else { return Reserve::Unknown };
    let Ok(length) = handle.metadata().map(|metadata| metadata.len()) else { return Reserve::Unknown };
    // As much as is wanted, or at least as much as some releases take.
    for bytes in [RESERVE_BYTES.end(), RESERVE_BYTES.start()] {
        match fallocate(&handle, FallocateFlags::KEEP_SIZE, 0, length + bytes) {
            Ok(()) => return Reserve::Kept,
            Err(Errno::NOSPC | Errno::DQUOT) => {}
            Err(_) => return Reserve::Unknown,
        }
    }
    Reserve::Short
}
