//! Whose turn it is to compile where no cache can be used. Nobody finds there what another has compiled, so that every call
//! compiles; all at once, they would be as many compilers as pods start. One after the other, each has what time is left.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use files::{check_is_file, lock_until};

/// In a directory that is root's on every machine, as a file that only root opens: another user can neither keep the turn nor
/// put another file in its place.
const FILE: &str = "/run/kube-ipam-compile.lock";

/// How often somebody looks whether it is his turn: compiling takes longer.
const PAUSE: Duration = Duration::from_millis(20);

/// While it lives, nobody else of this machine compiles without a cache. Without a file there is no such order: whoever is
/// not root harms nobody but himself.
pub(super) struct Turn {
    _file: Option<File>,
}

/// `None` where it did not come until then.
pub(super) fn wait_until(until: Instant) -> Option<Turn> {
    let Some(file) = open(Path::new(FILE)) else { return Some(Turn { _file: None }) };
    let is_ours = lock_until(&file, until, PAUSE).unwrap_or(true);
    is_ours.then_some(Turn { _file: Some(file) })
}

fn open(path: &Path) -> Option<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).ok()?);
    check_is_file(&file.metadata().ok()?).ok()?;
    Some(file)
}
