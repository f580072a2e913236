//! The call of this process as it is counted: under names that an operator chose, and never under that of a pod or container.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::line::Fields;
use crate::journal::{Counts, Durations, calls};
use cni::Verb;

/// Counts one call.
pub(super) struct Counted {
    directory: PathBuf,
    /// Each decision of the call, by policy and verdict: a race that was lost makes another one.
    decisions: Vec<(String, String)>,
}

impl Counted {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self { directory, decisions: Vec::new() }
    }

    /// Take from these fields what the counts need and a later decision of the call would replace.
    pub(super) fn note(&mut self, told: &Fields) {
        let (policy, verdict) = (told.get("policy"), told.get("verdict"));
        if !verdict.is_empty() {
            self.decisions.push((policy.to_owned(), verdict.to_owned()));
        }
    }

    /// Count the call, which is answered. Nothing that keeps it from being counted is its business: `doctor` tells that.
    pub(super) fn count(&self, fields: &Fields, whole: Duration, phases: &[(&'static str, Duration)]) {
        let (verb, code) = (fields.get("verb"), fields.get("code").parse().unwrap_or_default());
        // Runtimes poll STATUS every few seconds, and would have the files written for nothing else.
        if verb == Verb::Status.as_str() && code == 0 {
            return;
        }
        let network = fields.get("network");
        let mut counts = Counts::default();
        counts.calls.insert((network.to_owned(), verb.to_owned(), code), 1);
        for (policy, verdict) in &self.decisions {
            *counts.decisions.entry((network.to_owned(), policy.clone(), verdict.clone())).or_default() += 1;
        }
        if verb == Verb::Add.as_str() {
            counts.adds = Durations::of(whole);
            let phases = phases.iter().map(|(name, took)| ((*name).to_owned(), Durations::of(*took)));
            counts.phases = BTreeMap::from_iter(phases);
        }
        let _ = calls::count(&self.directory, &counts);
    }
}
