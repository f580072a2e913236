//! A module that is asked about decisions, made or not, away from any network.

use std::path::Path;

use serde_json::{Map, Value};

use engine::{Call, Outcome, Policy, Source, Spent};
use ipam::{Answer, PolicyName, Question, Snapshot, Told};
use kube_ipam::verbs;
use limits::READS_PER_DECISION;

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// An answer.
    Answered(Answer),
    /// It asked about what was not recorded.
    Undecidable(Question),
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
    pub(super) fn ask(&mut self, told: &Told) -> Came {
        let settings = self.settings.clone();
        let settings = settings.unwrap_or_else(|| Value::Object(told.settings.clone()).to_string());
        if let Some(fault) = self.judge(&settings) {
            return Came::Answered(Answer::Fault(fault));
        }
        let unknown = || Snapshot::new(told.request.range_sets.clone(), Vec::new());
        let mut snapshot = told.snapshot.clone().unwrap_or_else(unknown);
        self.policy.take_calls();
        for _ in 0..READS_PER_DECISION {
            match self.policy.allocate(&told.request, &settings, &snapshot) {
                Ok(Outcome::Verdict(verdict)) => return Came::Answered(verdict.into()),
                Ok(Outcome::Unread(question)) if told.snapshot.is_some() => return Came::Undecidable(question),
                Ok(Outcome::Unread(question)) => snapshot.learn_free(question),
                Err(fault) => return Came::Answered(Answer::Fault(fault.to_string())),
            }
        }
        Came::Answered(Answer::Fault(format!("it asked for more than {READS_PER_DECISION} reads of the store")))
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
