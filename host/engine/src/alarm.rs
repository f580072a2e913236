//! The clock of a policy run, without a thread: an interval timer whose signal advances the engine's epoch, so that
//! running guests look at the time. Each run knows its own deadline; any number of runs in any number of threads share
//! the one timer.
//!
//! A watchdog thread would cost 67 µs in every ADD; the timer costs 2.

use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use wasmtime::Engine;

/// How often guests look at the time; how late a deadline may be noticed.
const TICK_MICROSECONDS: i32 = 5_000;

/// The engine whose epoch the signal advances: the one engine of this process.
static ENGINE: OnceLock<Engine> = OnceLock::new();

/// How many runs want the timer.
static WANTED: Mutex<usize> = Mutex::new(0);

/// While one of these lives, the epoch of the engine advances.
pub(super) struct Alarm(());

impl Alarm {
    /// Start the timer, unless it runs already.
    pub(super) fn start(engine: &Engine) -> Self {
        ENGINE.get_or_init(|| engine.clone());
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        if *wanted == 0 {
            catch_signal();
            set_timer(TICK_MICROSECONDS);
        }
        *wanted += 1;
        Self(())
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted -= 1;
        if *wanted == 0 {
            set_timer(0);
        }
    }
}

/// Runs inside a signal handler, so it may only do what is safe there: two atomic operations, no lock, no allocation.
/// `OnceLock::get` is one load, `increment_epoch` one addition.
extern "C" fn on_alarm(_signal: libc::c_int) {
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
}

/// Install the handler and unblock the signal, whatever our parent left us with.
#[allow(unsafe_code, reason = "there is no safe interface to signals in std or rustix")]
fn catch_signal() {
    // SAFETY: both structures are plain data for which zero is valid; the handler is async-signal-safe (see there) and
    // lives as long as the process; SA_RESTART keeps other threads' system calls from failing with EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(libc::SIGALRM, &action, ptr::null_mut());

        let mut alarm: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut alarm);
        libc::sigaddset(&mut alarm, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &alarm, ptr::null_mut());
    }
}

/// Every so many microseconds from now on; 0 stops it.
#[allow(unsafe_code, reason = "there is no safe interface to interval timers in std or rustix")]
fn set_timer(microseconds: i32) {
    let tick = libc::timeval { tv_sec: 0, tv_usec: microseconds.into() };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    // SAFETY: the pointer is valid for the call; the old value is not asked for.
    unsafe {
        libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut());
    }
}
