//! Locks on files of ours, waited for no longer than the caller has.

use std::fs::{File, TryLockError};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Take the lock of an open file, which lasts until the file is closed. False where another process has it.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // A signal: as good as a lock that another has, whoever waits looks again.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The same, and wait for it by looking every so often, until then at the latest.
///
/// The kernel's own queue would be in order of arrival, but it has no time limit, and a signal to end the wait would need a
/// handler or a thread. A lock that is held for less than a pause is worth neither.
pub fn lock_until(file: &File, until: Instant, pause: Duration) -> io::Result<bool> {
    loop {
        if try_lock(file)? {
            return Ok(true);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        sleep(left.min(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_has_is_waited_for_until_the_deadline_and_no_longer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (pause, soon) = (Duration::from_millis(1), Duration::from_millis(50));
        assert!(lock_until(file.as_file(), Instant::now(), pause).unwrap(), "looked at once, however late it is");
        let other = File::open(file.path()).unwrap();
        let began = Instant::now();
        assert!(!lock_until(&other, began + soon, pause).unwrap());
        assert!(began.elapsed() >= soon);
        file.close().unwrap();
        assert!(lock_until(&other, Instant::now() + soon, pause).unwrap());
    }
}
