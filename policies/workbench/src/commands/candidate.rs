//! A module that is asked about decisions, made or not, away from any network: the same decision as an ADD's, with a record
//! in the place of the store.

use std::path::Path;

use serde_json::{Map, Value};

use crate::lab::world::at_once;
use engine::{Answers, Call, Policy, Source, Spent, Undecided};
use ipam::{PolicyName, Question, Snapshot, Told, VerdictOrFault};
use kube_ipam::verbs;

/// What came of asking a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CandidateOutcome {
    /// It decided, or misbehaved.
    Decided(VerdictOrFault),
    /// It asked about what was not recorded.
    Undecidable(Question),
}

/// What was known when a decision was made; or, where nobody says, that everything is free.
struct RecordedAnswers {
    snapshot: Snapshot,
    is_all_there_is: bool,
}

/// A question whose answer was not recorded. Any answer would be a guess, and the decision another than the one in question.
struct Unrecorded(Question);

impl Answers for RecordedAnswers {
    type Error = Unrecorded;

    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    async fn answer(&mut self, question: Question) -> Result<(), Unrecorded> {
        if self.is_all_there_is {
            return Err(Unrecorded(question));
        }
        self.snapshot.learn_free(question);
        Ok(())
    }
}

/// A module, and its settings where they are not those of the decisions.
pub(super) struct Candidate {
    policy: Policy,
    settings: Option<String>,
    /// The settings it saw last, and what is wrong with them.
    judged: Option<(String, Option<String>)>,
}

impl Candidate {
    /// A module file, or the built-in policy.
    pub(super) fn load(module: Option<&Path>, settings: Option<&Map<String, Value>>) -> Result<Self, verbs::Error> {
        let policy = Policy::load(&Source::alone(module))?.recording();
        let settings = settings.map(|settings| Value::Object(settings.clone()).to_string());
        if let Some(settings) = &settings {
            policy.validate_settings(settings)?;
        }
        Ok(Self { policy, settings, judged: None })
    }

    pub(super) fn name(&self) -> &PolicyName {
        self.policy.name()
    }

    /// What it says to this. Without a snapshot everything is free; a snapshot is all there is to know.
    pub(super) fn ask(&mut self, told: &Told) -> CandidateOutcome {
        let settings = self.settings.clone();
        let settings = settings.unwrap_or_else(|| Value::Object(told.settings.clone()).to_string());
        if let Some(fault) = self.judge(&settings) {
            return CandidateOutcome::Decided(VerdictOrFault::Fault(fault));
        }
        let mut answers = match &told.snapshot {
            Some(snapshot) => RecordedAnswers { snapshot: snapshot.clone(), is_all_there_is: true },
            None => {
                let nothing = Snapshot::new(told.request.range_sets.clone(), Vec::new());
                RecordedAnswers { snapshot: nothing, is_all_there_is: false }
            }
        };
        self.policy.take_calls();
        match at_once(self.policy.decide(&told.request, &settings, &mut answers)) {
            Ok(verdict) => CandidateOutcome::Decided(verdict.into()),
            Err(Undecided::Policy(fault)) => CandidateOutcome::Decided(VerdictOrFault::Fault(fault.to_string())),
            Err(Undecided::Unanswered(Unrecorded(question))) => CandidateOutcome::Undecidable(question),
        }
    }

    /// What the last question cost, and the run that answered it.
    pub(super) fn last_call(&self) -> (Spent, Option<Call>) {
        (self.policy.spent(), self.policy.take_calls().pop())
    }

    /// Why it does not take these settings. Neighbours in a record have the same, as a rule.
    fn judge(&mut self, settings: &str) -> Option<String> {
        if self.settings.is_some() {
            return None;
        }
        match &self.judged {
            Some((judged, fault)) if judged == settings => fault.clone(),
            _ => {
                let fault = self.policy.validate_settings(settings).err().map(|error| error.to_string());
                self.judged = Some((settings.to_owned(), fault.clone()));
                fault
            }
        }
    }
}
