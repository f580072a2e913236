//! Compares answers to the same requests: prints differences as they are found, and a sum at the end. Nothing is kept in
//! memory meanwhile, because a journal may have millions of decisions.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::candidate::CandidateOutcome;
use cni::Fail;
use engine::text::tame;
use ipam::{Attachment, Decision, PodName, VerdictOrFault};
use kube_ipam::cli::Format;
use kube_ipam::cli::output::{Done, Output, counted, line};
use kube_ipam::journal::{Damaged, Lines};
use limits::TEXT;

/// How an answer compares with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum ReplayChange {
    /// The same addresses are proposed first, the refusal is of the same kind, or both are faults.
    Same,
    /// Other addresses are proposed first, the refusal is of another kind, or addresses are given now.
    Differs,
    /// There is a refusal where there was none.
    RefusedNow,
    /// There is a fault where there was none.
    Faulted,
    /// One of the two asked about what was not recorded.
    Undecidable,
}

fn change(before: &CandidateOutcome, now: &CandidateOutcome) -> ReplayChange {
    match (before, now) {
        (CandidateOutcome::Decided(before), CandidateOutcome::Decided(now)) if before.agrees_with(now) => {
            ReplayChange::Same
        }
        (CandidateOutcome::Undecidable(_), _) | (_, CandidateOutcome::Undecidable(_)) => ReplayChange::Undecidable,
        (_, CandidateOutcome::Decided(VerdictOrFault::Fault(_))) => ReplayChange::Faulted,
        (CandidateOutcome::Decided(VerdictOrFault::Refusal(_)), _) => ReplayChange::Differs,
        (_, CandidateOutcome::Decided(VerdictOrFault::Refusal(_))) => ReplayChange::RefusedNow,
        _ => ReplayChange::Differs,
    }
}

/// How many decisions came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    decisions: u64,
    same: u64,
    differ: u64,
    refused_now: u64,
    faulted: u64,
    undecidable: u64,
    damaged: u64,
}

/// A decision that changes, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference<'a> {
    at: Timestamp,
    attachment: &'a Attachment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a PodName>,
    change: ReplayChange,
    before: Written<'a>,
    now: Written<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    left_out: &'a [String],
}

/// An answer, or the question that could not be answered from the journal.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Answered(&'a VerdictOrFault),
    Undecidable { undecidable: String },
}

impl<'a> From<&'a CandidateOutcome> for Written<'a> {
    fn from(came: &'a CandidateOutcome) -> Self {
        match came {
            CandidateOutcome::Decided(answer) => Self::Answered(answer),
            CandidateOutcome::Undecidable(question) => Self::Undecidable { undecidable: question.to_string() },
        }
    }
}

/// A comparison under way.
pub(super) struct Comparison {
    format: Format,
    sum: Sum,
    shown: u64,
}

impl Comparison {
    pub(super) fn begin(format: Format) -> Self {
        if format == Format::Json {
            line("{\"differences\": [");
        }
        Self { format, sum: Sum::default(), shown: 0 }
    }

    /// Count the two answers to a decision's request, and show them where they differ.
    pub(super) fn add(&mut self, decision: &Decision, before: &CandidateOutcome, now: &CandidateOutcome) {
        let change = change(before, now);
        let sum = &mut self.sum;
        sum.decisions += 1;
        match change {
            ReplayChange::Same => return sum.same += 1,
            ReplayChange::Differs => sum.differ += 1,
            ReplayChange::RefusedNow => sum.refused_now += 1,
            ReplayChange::Faulted => sum.faulted += 1,
            ReplayChange::Undecidable => sum.undecidable += 1,
        }
        let Decision { at, request, left_out, .. } = decision;
        let (attachment, pod) = (&request.attachment, request.pod.as_ref().map(|pod| &pod.name));
        self.show(&Difference { at: *at, attachment, pod, change, before: before.into(), now: now.into(), left_out });
    }

    /// Count a line that could not be read as a decision, and warn of it.
    fn damaged(&mut self, file: &Path, damaged: &Damaged) {
        self.sum.damaged += 1;
        tracing::warn!("{}: {}", file.display(), tame(&damaged.to_string(), TEXT.default));
    }

    fn show(&mut self, difference: &Difference<'_>) {
        match self.format {
            Format::Table => line(&difference.to_string()),
            Format::Json => {
                let comma = if self.shown > 0 { "," } else { "" };
                line(&format!("{comma}{}", serde_json::to_string(difference).unwrap_or_default()));
            }
        }
        self.shown += 1;
    }

    pub(super) fn end(self) -> Done {
        let Sum { decisions, same, damaged, .. } = self.sum;
        let exit = u8::from(same < decisions || damaged > 0);
        let text = match self.format {
            Format::Table => self.sum.to_string(),
            Format::Json => format!("], \"sum\": {}}}", serde_json::to_string(&self.sum)?),
        };
        Ok(Output { text, exit })
    }
}

/// A journal that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}", path = .path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    cause: std::io::Error,
}

impl Fail for Unreadable {}

/// Read these journals and take every decision, one after the other.
pub(super) fn each(
    records: &[PathBuf],
    comparison: &mut Comparison,
    mut take: impl FnMut(&Decision, &mut Comparison),
) -> Result<(), Unreadable> {
    for path in records {
        let unreadable = |cause| Unreadable { path: path.clone(), cause };
        for read in Lines::of_file(path).map_err(unreadable)? {
            match read.map_err(unreadable)? {
                Ok(decision) => take(&decision, comparison),
                Err(damaged) => comparison.damaged(path, &damaged),
            }
        }
    }
    Ok(())
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attachment { network, container, interface } = self.attachment;
        let who = match self.pod {
            Some(pod) => format!("{network} {pod} {container}/{interface}"),
            None => format!("{network} {container}/{interface}"),
        };
        write!(f, "{} {}: {} → {}", self.at, escaped(who), escaped(&self.before), escaped(&self.now))?;
        match self.left_out {
            [] => Ok(()),
            left_out => write!(f, " (recorded without {})", escaped(left_out.join(", "))),
        }
    }
}

/// A text for a terminal, of a length that a person reads. Names and answers may hold anything.
fn escaped(text: impl fmt::Display) -> String {
    tame(&text.to_string(), TEXT.default)
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => answer.fmt(f),
            Self::Undecidable { undecidable } => write!(f, "not decidable: it asked {undecidable}"),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decisions, same, differ, refused_now, faulted, undecidable, damaged } = self;
        write!(f, "{}: {same} same, {differ} differ, ", counted(*decisions as usize, "decision"))?;
        write!(f, "{refused_now} refused now, {faulted} faulted, {undecidable} not decidable")?;
        if *damaged == 0 {
            return Ok(());
        }
        write!(f, "; {} could not be read", counted(*damaged as usize, "line"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{Question, Refusal};

    #[test]
    fn every_change_has_its_name() {
        let answered = |text: &str| {
            CandidateOutcome::Decided(match text {
                "given" => VerdictOrFault::Proposals(Vec::new()),
                "denied" => VerdictOrFault::Refusal(Refusal::Denied("no".to_owned())),
                "full" => VerdictOrFault::Refusal(Refusal::Exhausted("no".to_owned())),
                _ => VerdictOrFault::Fault("broken".to_owned()),
            })
        };
        let of = |before: &str, now: &str| change(&answered(before), &answered(now));
        assert_eq!([of("given", "given"), of("denied", "denied"), of("broken", "broken")], [ReplayChange::Same; 3]);
        assert_eq!([of("denied", "full"), of("full", "given"), of("broken", "given")], [ReplayChange::Differs; 3]);
        assert_eq!([of("given", "full"), of("broken", "denied")], [ReplayChange::RefusedNow; 2]);
        assert_eq!([of("given", "broken"), of("denied", "broken")], [ReplayChange::Faulted; 2]);
        let undecidable = CandidateOutcome::Undecidable(Question::Usage(0));
        let either = [change(&undecidable, &answered("broken")), change(&answered("given"), &undecidable)];
        assert_eq!(either, [ReplayChange::Undecidable; 2]);
    }
}
