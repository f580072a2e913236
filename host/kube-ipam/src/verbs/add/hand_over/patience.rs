//! How long an ADD waits for a holder that is on its way out.
//!
//! A refusal costs more than waiting: kubelet makes a new sandbox after a pause of its own, which is longer than most
//! pods take to end.

use std::cell::Cell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::verbs::{Deadline, Error};
use ipam::{Allocation, Holder};
use limits::{HAND_OVER_ASK, HAND_OVER_PAUSE, HAND_OVER_WAIT};
use store::Store;

/// The time that one ADD may spend waiting, all in all.
pub(super) struct Patience {
    most: Duration,
    /// In time for an answer.
    latest: Instant,
    /// When it began to wait.
    since: Cell<Option<Instant>>,
}

impl Patience {
    /// As long as `ipam.handOverWait` says, and never into the time that the answer needs.
    pub(super) fn of(most: Duration, deadline: &Deadline) -> Self {
        let reserve = deadline.left() - deadline.left() * HAND_OVER_WAIT.0 / HAND_OVER_WAIT.1;
        Self { most, latest: deadline.at() - reserve / 2, since: Cell::new(None) }
    }

    /// Whether waiting is still possible.
    pub(super) fn is_left(&self) -> bool {
        !self.left().is_zero()
    }

    /// How long it has waited.
    pub(super) fn spent(&self) -> Duration {
        self.since.get().map(|since| since.elapsed()).unwrap_or_default()
    }

    /// Until one of the addresses is no longer held as it was, or the API server should be asked again, or the time is
    /// up: whatever it is, the ADD looks and decides again.
    pub(super) async fn wait(&self, leaving: &[Allocation], store: &Store) -> Result<(), Error> {
        let began = Instant::now();
        self.since.set(self.since.get().or(Some(began)));
        // Whoever waits long asks the API server some eight times in all, and not every two seconds.
        let ask_again = HAND_OVER_ASK.max(self.most / 8);
        let addresses: Vec<IpAddr> = leaving.iter().map(|held| held.address).collect();
        let mut pause = *HAND_OVER_PAUSE.start();
        while self.is_left() && began.elapsed() < ask_again {
            tokio::time::sleep(pause.min(self.left())).await;
            pause = (pause * 2).min(*HAND_OVER_PAUSE.end());
            // The store and not the API server: the holder's DEL shows here first, and to ask costs one read.
            let holders = store.holders(&addresses, Timestamp::now()).await?;
            if leaving.iter().zip(&holders).any(|(before, now)| !is_held_so(before, now.as_ref())) {
                break;
            }
        }
        Ok(())
    }

    fn left(&self) -> Duration {
        self.most.saturating_sub(self.spent()).min(self.latest.saturating_duration_since(Instant::now()))
    }
}

fn is_held_so(before: &Allocation, now: Option<&Holder>) -> bool {
    matches!(now, Some(Holder::Attachment(held)) if **held == *before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_in_time_for_an_answer() {
        let deadline = Deadline::after(Duration::from_secs(10));
        let left = |most| Patience::of(Duration::from_secs(most), &deadline).left();
        assert_eq!(left(0), Duration::ZERO);
        assert_eq!(left(3), Duration::from_secs(3));
        assert!(left(10) < Duration::from_millis(9_100) && left(10) > Duration::from_millis(8_500));
        let over = Patience::of(Duration::from_secs(3), &Deadline::after(Duration::ZERO));
        assert!(!over.is_left());
    }

    #[test]
    fn what_was_waited_is_counted_once() {
        let patience = Patience::of(Duration::from_secs(3), &Deadline::after(Duration::from_secs(10)));
        assert_eq!(patience.spent(), Duration::ZERO);
        patience.since.set(Some(Instant::now() - Duration::from_secs(2)));
        assert!(patience.spent() >= Duration::from_secs(2));
        assert!(patience.left() <= Duration::from_secs(1) && patience.is_left());
        patience.since.set(Some(Instant::now() - Duration::from_secs(4)));
        assert!(!patience.is_left());
    }
}
