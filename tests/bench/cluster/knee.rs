//! Looks for the rate up to which a machine keeps up: first the rates that were asked for, then between two of them.

use super::figures::{ChurnFigures, KneeFigures};

/// Rates that differ by less are the same: from one run to the next a machine differs by more.
const CLOSE_ENOUGH: f64 = 1.15;

/// The most that is asked beyond the rates that were asked for.
const FURTHER: usize = 5;

/// What is known so far.
#[derive(Clone, Debug)]
pub(crate) struct KneeSearch {
    asked: Vec<f64>,
    kept_up: f64,
    fell_behind: Option<f64>,
    further: usize,
}

impl KneeSearch {
    /// `rates` ascend.
    pub(crate) fn new(rates: &[f64]) -> Self {
        Self { asked: rates.iter().rev().copied().collect(), kept_up: 0.0, fell_behind: None, further: 0 }
    }

    /// The rate to measure next; `None` once the knee is known.
    pub(crate) fn next_rate(&mut self) -> Option<f64> {
        // What was asked for is measured even beyond the knee: how a machine falls behind is worth knowing.
        if let Some(rate) = self.asked.pop() {
            return Some(rate);
        }
        let fell_behind = self.fell_behind?;
        if self.kept_up == 0.0 || fell_behind <= self.kept_up * CLOSE_ENOUGH || self.further == FURTHER {
            return None;
        }
        self.further += 1;
        Some((self.kept_up * fell_behind).sqrt().round())
    }

    pub(crate) fn tell(&mut self, rate: f64, kept_up: bool) {
        if !kept_up {
            self.fell_behind = Some(self.fell_behind.map_or(rate, |lowest| lowest.min(rate)));
        } else if self.fell_behind.is_none_or(|lowest| rate < lowest) {
            // A higher rate than one that was too high, and yet kept up with, was luck.
            self.kept_up = self.kept_up.max(rate);
        }
    }

    pub(crate) fn found(&self) -> KneeFigures {
        KneeFigures { kept_up: self.kept_up, fell_behind: self.fell_behind }
    }
}

impl ChurnFigures {
    /// Whether the machine kept up: every call succeeded, and pods waited no longer than that.
    pub(crate) fn kept_up(&self, most_ms: f64) -> bool {
        self.failed == 0 && self.add.tail() <= most_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked of a machine that keeps up to this rate, and what is found.
    fn search(rates: &[f64], most: f64) -> (Vec<f64>, KneeFigures) {
        let (mut search, mut asked) = (KneeSearch::new(rates), Vec::new());
        while let Some(rate) = search.next_rate() {
            asked.push(rate);
            search.tell(rate, rate <= most);
        }
        (asked, search.found())
    }

    #[test]
    fn the_knee_is_between_two_rates_that_are_close() {
        let (asked, found) = search(&[20.0, 50.0, 100.0, 200.0], 155.0);
        assert_eq!(asked, [20.0, 50.0, 100.0, 200.0, 141.0, 168.0, 154.0]);
        assert_eq!(found, KneeFigures { kept_up: 154.0, fell_behind: Some(168.0) });
    }

    #[test]
    fn a_machine_that_always_or_never_keeps_up_is_asked_nothing_more() {
        let rates = [20.0, 50.0];
        assert_eq!(search(&rates, 1e9), (rates.to_vec(), KneeFigures { kept_up: 50.0, fell_behind: None }));
        assert_eq!(search(&rates, 0.0), (rates.to_vec(), KneeFigures { kept_up: 0.0, fell_behind: Some(20.0) }));
    }

    #[test]
    fn luck_beyond_the_knee_does_not_count() {
        let mut search = KneeSearch::new(&[]);
        search.tell(100.0, true);
        search.tell(120.0, false);
        search.tell(150.0, true);
        assert_eq!(search.found(), KneeFigures { kept_up: 100.0, fell_behind: Some(120.0) });
    }

    #[test]
    fn a_failure_or_a_long_tail_is_falling_behind() {
        let mut churn = ChurnFigures::default();
        churn.add.p99 = Some(100.0);
        assert!(churn.kept_up(100.0));
        churn.add.p99 = Some(100.1);
        assert!(!churn.kept_up(100.0));
        let failed = ChurnFigures { failed: 1, ..ChurnFigures::default() };
        assert!(!failed.kept_up(100.0));
    }
}
