//! The clocks of a thread, as the harness tells them.
//!
//! The verbs ask the operating system for the time, and nothing between them and it could be told otherwise without every
//! caller carrying a clock about. So the question is answered here: this program is static, and its own `clock_gettime` stands
//! in the place of libc's. A thread that has not taken the clocks over gets the kernel's answer.

use std::cell::Cell;

/// When every schedule begins: 2026-01-01T00:00:00Z, in seconds since 1970.
pub const BEGINNING: u64 = 1_767_225_600;

const SECOND: u64 = 1_000_000_000;

thread_local! {
    /// Nanoseconds since 1970, where this thread has taken its clocks over.
    static WALL: Cell<Option<u64>> = const { Cell::new(None) };
    /// Nanoseconds of the monotonic clock. It goes on from one schedule to the next: the event loop lives longer than both.
    static MONOTONIC: Cell<u64> = const { Cell::new(1_000 * SECOND) };
}

/// Take over the clocks of this thread, or set its wall clock back to the beginning.
pub fn begin() {
    // Named here so that the linker takes this one before it looks for another.
    std::hint::black_box(clock_gettime as *const () as usize);
    WALL.set(Some(BEGINNING * SECOND));
}

/// Give the clocks back to the kernel.
pub fn end() {
    WALL.set(None);
}

/// Milliseconds since the beginning.
pub fn milliseconds() -> u64 {
    WALL.get().map_or(0, |wall| (wall - BEGINNING * SECOND) / 1_000_000)
}

/// Set the wall clock forward. Nobody's deadline passes with that.
pub fn jump(milliseconds: u64) {
    WALL.set(WALL.get().map(|wall| wall + milliseconds * 1_000_000));
}

/// Let time pass on both clocks.
pub fn advance(milliseconds: u64) {
    let by = milliseconds * 1_000_000;
    WALL.set(WALL.get().map(|wall| wall + by));
    MONOTONIC.set(MONOTONIC.get() + by);
}

/// Look at the kernel's clocks for once.
pub fn real<T>(look: impl FnOnce() -> T) -> T {
    let wall = WALL.take();
    let seen = look();
    WALL.set(wall);
    seen
}

/// Whether the standard library asks here: without that, no schedule could be replayed.
pub fn is_ours() -> bool {
    let seconds = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    begin();
    let told = seconds();
    end();
    told == BEGINNING && seconds() != BEGINNING
}

#[allow(unsafe_code, reason = "a clock of our own below the standard library, in a program of the tests alone")]
// SAFETY: the name and the signature are libc's, and every caller passes a `timespec` of its own to be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let told = match (WALL.get(), clock) {
        (Some(wall), libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) => wall,
        (Some(_), libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME) => MONOTONIC.get(),
        // SAFETY: the arguments are those that the caller has for this very call.
        _ => return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int,
    };
    let parts = libc::timespec { tv_sec: (told / SECOND).cast_signed(), tv_nsec: (told % SECOND).cast_signed() };
    // SAFETY: see above.
    unsafe { time.write(parts) };
    0
}
