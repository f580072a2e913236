//! What became of every call of `allocate`: for whoever tests a policy. An ADD records nothing.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::sandbox::{Asked, Line, Run, Spent, Stopped};
use super::{Outcome, Policy, PolicyError};
use ipam::Verdict;

/// One call of `allocate` that came to its end; those that only found out what has to be read are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The verdict, or the fault.
    pub answer: Result<Verdict, String>,
    /// What this run cost, without those before it.
    pub spent: Spent,
    /// What it wrote to the log.
    pub lines: Vec<Line>,
    /// What it asked the pool, in this order.
    pub asked: Vec<Asked>,
    /// From before the instance was made until it was gone.
    pub took: Duration,
}

/// The calls so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording(RefCell<Vec<Call>>);

impl Policy {
    /// Record every call of `allocate` from now on. What the policy writes to the log is recorded only.
    pub fn recording(mut self) -> Self {
        self.recording = Some(Recording::default());
        self
    }

    /// The calls since this was last asked.
    pub fn take_calls(&self) -> Vec<Call> {
        self.recording.as_ref().map(|recording| recording.0.take()).unwrap_or_default()
    }

    /// Begin a call: a stopwatch and a copy of the log lines, when somebody wants to know.
    pub(super) fn record<T>(&self, run: impl FnOnce() -> Run<T>) -> (Run<T>, Option<Call>) {
        if self.recording.is_none() {
            return (run(), None);
        }
        let began = Instant::now();
        let run = run();
        let took = began.elapsed();
        if matches!(run.returned, Err(Stopped::Unread(_))) {
            return (run, None);
        }
        // What it returned is converted and checked first; see `recorded`.
        let call = Call {
            answer: Err(String::new()),
            spent: run.spent,
            lines: run.lines.clone(),
            asked: run.asked.clone(),
            took,
        };
        (run, Some(call))
    }

    /// End a call: now it is known whether what the guest returned is a verdict.
    pub(super) fn recorded(&self, call: Option<Call>, outcome: &Result<Outcome, PolicyError>) {
        let Some((recording, call)) = self.recording.as_ref().zip(call) else { return };
        let answer = match outcome {
            Ok(Outcome::Verdict(verdict)) => Ok(verdict.clone()),
            Ok(Outcome::Unread(_)) => return,
            Err(error) => Err(error.to_string()),
        };
        recording.0.borrow_mut().push(Call { answer, ..call });
    }
}
