//! The lock on a file by which one process after another gets its turn to write.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use files::lock_until;

/// The time between two tries. A turn is shorter, so that one more try is the rule.
const PAUSE: Duration = Duration::from_micros(200);

/// Wait for the lock on an open file or directory, which is held until that is closed.
pub(super) fn exclusively(file: &File, until: Instant) -> io::Result<()> {
    if lock_until(file, until, PAUSE)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "other processes kept it locked for too long"))
}
