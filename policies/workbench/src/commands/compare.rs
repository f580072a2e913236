//! Answers to the same requests, side by side: differences as they are found, and a sum. Nothing is kept.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::candidate::Came;
use cni::Fail;
use engine::text::tame;
use ipam::{Answer, Attachment, Decision, PodName};
use kube_ipam::cli::Format;
use kube_ipam::cli::output::{Done, Output, line};
use kube_ipam::journal::{Damaged, Lines};
use limits::TEXT;

/// How an answer compares with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Change {
    /// The same addresses first, the same kind of refusal, a fault as before.
    Same,
    /// Another one of these.
    Differs,
    /// A refusal, where there was none.
    RefusedNow,
    /// A fault, where there was none.
    Faulted,
    /// One of the two asked about what was not recorded.
    Undecidable,
}

fn change(before: &Came, now: &Came) -> Change {
    match (before, now) {
        (Came::Answered(before), Came::Answered(now)) if before.agrees_with(now) => Change::Same,
        (Came::Undecidable(_), _) | (_, Came::Undecidable(_)) => Change::Undecidable,
        (_, Came::Answered(Answer::Fault(_))) => Change::Faulted,
        (Came::Answered(Answer::Refusal(_)), _) => Change::Differs,
        (_, Came::Answered(Answer::Refusal(_))) => Change::RefusedNow,
        _ => Change::Differs,
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

/// One decision of which something else became.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference<'a> {
    at: Timestamp,
    attachment: &'a Attachment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a PodName>,
    change: Change,
    before: Written<'a>,
    now: Written<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    left_out: &'a [String],
}

/// An answer, or the question that kept it away.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Answer(&'a Answer),
    Undecidable { undecidable: String },
}

impl<'a> From<&'a Came> for Written<'a> {
    fn from(came: &'a Came) -> Self {
        match came {
            Came::Answered(answer) => Self::Answer(answer),
            Came::Undecidable(question) => Self::Undecidable { undecidable: question.to_string() },
        }
    }
}

/// A comparison that is going on.
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
    pub(super) fn add(&mut self, decision: &Decision, before: &Came, now: &Came) {
        let change = change(before, now);
        let sum = &mut self.sum;
        sum.decisions += 1;
        match change {
            Change::Same => return sum.same += 1,
            Change::Differs => sum.differ += 1,
            Change::RefusedNow => sum.refused_now += 1,
            Change::Faulted => sum.faulted += 1,
            Change::Undecidable => sum.undecidable += 1,
        }
        let Decision { at, request, left_out, .. } = decision;
        let (attachment, pod) = (&request.attachment, request.pod.as_ref().map(|pod| &pod.name));
        self.show(&Difference { at: *at, attachment, pod, change, before: before.into(), now: now.into(), left_out });
    }

    /// A line that is no decision.
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

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}", path = .path.display())]
pub(super) struct Unreadable {
    path: PathBuf,
    cause: std::io::Error,
}

impl Fail for Unreadable {}

/// Every decision of these records, one after the other.
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
        let pod = self.pod.map_or_else(String::new, |pod| format!(" {pod}"));
        let who = format!("{network}{pod} {container}/{interface}");
        let tame = |text: &dyn fmt::Display| tame(&text.to_string(), TEXT.default);
        write!(f, "{} {}: {} → {}", self.at, tame(&who), tame(&self.before), tame(&self.now))?;
        match self.left_out {
            [] => Ok(()),
            left_out => write!(f, " (recorded without {})", tame(&left_out.join(", "))),
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Undecidable { undecidable } => write!(f, "not decidable: it asked {undecidable}"),
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decisions, same, differ, refused_now, faulted, undecidable, damaged } = self;
        write!(f, "{decisions} decisions: {same} same, {differ} differ, {refused_now} refused now, {faulted} faulted")?;
        write!(f, ", {undecidable} not decidable")?;
        if *damaged > 0 { write!(f, "; {damaged} lines are no decisions") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{Question, Refusal};

    #[test]
    fn every_change_has_its_name() {
        let answered = |text: &str| {
            Came::Answered(match text {
                "given" => Answer::Proposals(Vec::new()),
                "denied" => Answer::Refusal(Refusal::Denied("no".to_owned())),
                "full" => Answer::Refusal(Refusal::Exhausted("no".to_owned())),
                _ => Answer::Fault("broken".to_owned()),
            })
        };
        let of = |before: &str, now: &str| change(&answered(before), &answered(now));
        assert_eq!([of("given", "given"), of("denied", "denied"), of("broken", "broken")], [Change::Same; 3]);
        assert_eq!([of("denied", "full"), of("full", "given"), of("broken", "given")], [Change::Differs; 3]);
        assert_eq!([of("given", "full"), of("broken", "denied")], [Change::RefusedNow; 2]);
        assert_eq!([of("given", "broken"), of("denied", "broken")], [Change::Faulted; 2]);
        let undecidable = Came::Undecidable(Question::Usage(0));
        let either = [change(&undecidable, &answered("broken")), change(&answered("given"), &undecidable)];
        assert_eq!(either, [Change::Undecidable; 2]);
    }
}
