//! An open loop: calls are due at moments that were fixed beforehand, however long the earlier ones take. A latency counts from
//! the moment that a call was due, so that waiting for a machine that has fallen behind is part of it. A loop that waits for
//! one answer before it asks again measures such a machine at the rate the machine likes.

use std::thread;
use std::time::{Duration, Instant};

/// Calls at equal distances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    rate: f64,
    calls: usize,
}

impl Schedule {
    /// So many calls a second, for so long.
    pub(crate) fn new(start: Instant, rate: f64, seconds: f64) -> Self {
        Self { start, rate, calls: (rate * seconds).round() as usize }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// When a call is due; `None` after the last one.
    pub(crate) fn due(&self, nth: usize) -> Option<Instant> {
        // Multiplied, not added up: a thousand roundings would move the last call.
        (nth < self.calls).then(|| self.start + Duration::from_secs_f64(nth as f64 / self.rate))
    }

    /// How many threads it takes for a call not to wait for one of ours: each is busy with a pod for so long, and what a machine
    /// that falls behind leaves over has to wait somewhere, too.
    pub(crate) fn threads(&self, busy: Duration) -> usize {
        let needed = (self.rate * busy.as_secs_f64() * 2.0).ceil() as usize + 32;
        needed.min(self.calls.max(1)).min(MOST_THREADS)
    }
}

/// Each has three pipes, and the kernel gives a process some thousand files.
const MOST_THREADS: usize = 1_000;

/// Sleep until a moment, unless it is over.
pub(crate) fn wait_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_equal_distances_until_the_end() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 300.0, 2.0);
        assert_eq!(schedule.calls(), 600);
        assert_eq!(schedule.due(0), Some(start));
        assert_eq!(schedule.due(300), Some(start + Duration::from_secs(1)), "no rounding adds up");
        assert!(schedule.due(599).unwrap() < start + Duration::from_secs(2));
        assert_eq!(schedule.due(600), None);
    }

    #[test]
    fn threads_suffice_for_the_pods_that_live_at_once() {
        let schedule = Schedule::new(Instant::now(), 200.0, 60.0);
        assert!(schedule.threads(Duration::from_secs(1)) > 200);
        assert_eq!(Schedule::new(Instant::now(), 5_000.0, 60.0).threads(Duration::from_secs(1)), MOST_THREADS);
        assert_eq!(Schedule::new(Instant::now(), 2.0, 1.0).threads(Duration::from_secs(1)), 2, "no more than calls");
    }
}
