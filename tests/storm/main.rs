//! Many processes of the built program at once, and the proof that no address was held twice and that none was lost.
//!
//! A binary of its own, so that nothing that measures time runs beside it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

mod bounds;
mod clusters;
mod draw;
mod elections;
mod power;
mod races;
mod report;
mod sequential;
mod torture;
mod windows;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The right to load the machine: a storm that starves another one's servers proves less than each by itself.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}
