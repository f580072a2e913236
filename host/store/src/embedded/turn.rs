//! Whose turn it is to write.
//!
//! LMDB has a lock of its own, which survives the death of its holder. But where the holder and the waiter that the
//! kernel woke in its place are both killed, the other waiters sleep until somebody new comes along. The kernel's file
//! locks have no such gap, and with them LMDB's own lock is never waited for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::StoreError;
use files::{lock_until, try_lock};
use limits::store::COMMANDS_TURN;

/// How often the lock is looked at where nobody can be left to wait for it.
const PAUSE: Duration = Duration::from_millis(1);

/// Wait for the turn to write, until the deadline or, for a command, as long as one waits; the turn ends when the file
/// returned is dropped, or with the process.
pub(super) fn take_turn(path: &Path, deadline: Option<Instant>) -> Result<File, StoreError> {
    match try_take_turn(path, deadline) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(StoreError::TurnTaken { path: path.to_owned() }),
        Err(source) => Err(StoreError::File { doing: "lock", path: path.to_owned(), source }),
    }
}

fn try_take_turn(path: &Path, deadline: Option<Instant>) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    // Nearly always it is nobody's turn: then no thread is started, and no time is looked at.
    if try_lock(&file)? {
        return Ok(Some(file));
    }
    wait_until(file, deadline.unwrap_or_else(|| Instant::now() + COMMANDS_TURN))
}

/// The kernel's queue, which is in order of arrival.
fn wait(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

/// `None` at the deadline. The kernel's queue has no time limit, and looking again and again would let latecomers pass, so
/// a thread queues: it costs less than the wait, and there is none where nobody has the lock. Where it comes too late, it
/// ends with the process.
fn wait_until(file: File, deadline: Instant) -> io::Result<Option<File>> {
    let (turn, taken) = sync_channel(1);
    let queued = file.try_clone()?;
    let waiter = thread::Builder::new().stack_size(64 << 10).spawn(move || {
        let _ = turn.send(wait(&queued));
    });
    // Where a user may start no thread.
    if waiter.is_err() {
        return Ok(lock_until(&file, deadline, PAUSE)?.then_some(file));
    }
    match taken.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(waited) => waited.map(|()| Some(file)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    #[test]
    fn a_turn_that_another_has_is_waited_for_until_the_deadline() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ipam.mdb");
        File::create(&path).unwrap();
        let other = take_turn(&path, None).unwrap();
        let began = Instant::now();
        let error = take_turn(&path, Some(soon())).unwrap_err();
        assert!(matches!(&error, StoreError::TurnTaken { path: told } if *told == path), "{error}");
        assert!((200..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        assert!(!lock_until(&File::open(&path).unwrap(), soon(), PAUSE).unwrap());

        let late = Instant::now() + Duration::from_secs(60);
        let waiting = thread::spawn({
            let path = path.clone();
            move || take_turn(&path, Some(late)).map(drop)
        });
        thread::sleep(Duration::from_millis(50));
        drop(other);
        waiting.join().unwrap().unwrap();
        assert!(lock_until(&File::open(&path).unwrap(), soon(), PAUSE).unwrap());
    }
}
