//! How far a command has read, for people who wait at a terminal. It is not part of the command's output.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use store::Store;

/// Nothing is shown for this long: most commands have ended by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The shortest time between two changes of the line.
const PACE: Duration = Duration::from_millis(200);

/// A line on stderr that says how many records were read. It is erased when the store that counts in it is dropped.
struct Counter {
    read: Cell<usize>,
    next: Cell<Instant>,
    is_shown: Cell<bool>,
}

/// Make the store show how far it has read, if stderr is a terminal.
pub(super) fn shown(store: Store) -> Store {
    if !io::stderr().is_terminal() {
        return store;
    }
    let next = Cell::new(Instant::now() + PATIENCE);
    let counter = Counter { read: Cell::new(0), next, is_shown: Cell::new(false) };
    store.with_progress(Rc::new(move |entries| counter.add(entries)))
}

impl Counter {
    fn add(&self, entries: usize) {
        self.read.set(self.read.get() + entries);
        let now = Instant::now();
        if now >= self.next.get() {
            self.next.set(now + PACE);
            self.is_shown.set(true);
            // The cursor goes back to the first column, so that the next output overwrites this line.
            let _ = write!(io::stderr(), "{} records read\x1b[K\r", self.read.get());
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if self.is_shown.get() {
            let _ = write!(io::stderr(), "\x1b[K");
        }
    }
}
