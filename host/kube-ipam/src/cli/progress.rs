//! How far a command has read, for people who wait at a terminal. Nothing of it is part of what the command says.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use store::Store;

/// Whoever waits for less wants to read nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line changes.
const PACE: Duration = Duration::from_millis(200);

/// A line on stderr that says how many records were read. It goes with the store that it was made for.
struct Counter {
    read: Cell<usize>,
    next: Cell<Instant>,
    is_shown: Cell<bool>,
}

/// Have the store say how far it has read, where there is somebody to see it.
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
            // Whatever is printed next begins at the beginning of the line.
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
