//! A decision: runs of the policy until there is a verdict.
//!
//! ```text
//!      ┌───────────────► run on the snapshot ──┬─► verdict, or fault
//!      │                                       ▼
//!  the snapshot learns it ◄── answer ◄── unread question
//! ```
//!
//! What a policy may ask about can be larger than any snapshot, so a run ends where the snapshot knows no more. A policy is a
//! function: run again, it asks the same questions up to there, and goes on. The other way, to let a guest wait while a store
//! answers, would need an instance that outlives the wait, with a stack of its own.
//!
//! Who answers differs: an ADD asks the store, a shadow asks it as long as its share of the time lasts, a replay knows
//! what was recorded and nothing else. That is all a caller brings: see [`Answers`].

use std::fmt;

use super::error::PolicyError;
use super::{Outcome, Policy};
use ipam::{Question, Request, Snapshot, Verdict};
use limits::READS_PER_DECISION;

/// Whoever knows what a snapshot does not. All that is learnt has to be of the snapshot's own moment: a policy that saw
/// two of them would reason from a state that never was.
pub trait Answers {
    /// Why a question is left without an answer, or a run does not begin.
    type Error;

    /// What is known so far.
    fn snapshot(&self) -> &Snapshot;

    /// Whether the policy may run, or run once more. A caller that has a budget of its own ends the decision here.
    fn admit_run(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Have the snapshot learn what answers this question.
    fn answer(&mut self, question: Question) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum Undecided<E> {
    /// The policy misbehaved, or asked without end.
    Policy(PolicyError),
    /// The caller ended the decision, or could not answer.
    Unanswered(E),
}

impl<E> From<PolicyError> for Undecided<E> {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl<E: fmt::Display> fmt::Display for Undecided<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::Unanswered(error) => error.fmt(f),
        }
    }
}

impl Policy {
    /// Run the policy until it proposes addresses or refuses. Every proposal has passed [`ipam::proposal::check`].
    pub async fn decide<A: Answers>(
        &self,
        request: &Request,
        settings: &str,
        answers: &mut A,
    ) -> Result<Verdict, Undecided<A::Error>> {
        // Each answer costs a read of the store and a whole run: without an end to it, a policy that walks through a range
        // address by address would keep both busy until the deadline.
        for _ in 0..READS_PER_DECISION {
            answers.admit_run().map_err(Undecided::Unanswered)?;
            match self.allocate(request, settings, answers.snapshot())? {
                Outcome::Verdict(verdict) => return Ok(verdict),
                Outcome::Unread(question) => answers.answer(question).await.map_err(Undecided::Unanswered)?,
            }
        }
        let policy = self.name().name.clone();
        Err(PolicyError::Inquisitive { policy, limit: READS_PER_DECISION }.into())
    }
}
