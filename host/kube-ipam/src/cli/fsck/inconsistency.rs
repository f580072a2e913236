//! What fsck finds, and how it reports that.

use serde::Serialize;

use ipam::shown::one_line;

/// Problems that one remedy ends, and what becomes of them.
#[derive(Debug, Serialize)]
pub(crate) struct Inconsistency {
    /// Where it was found, if several networks were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<String>,
    pub(super) problems: Vec<String>,
    /// What the repair does, or for an operator what to do.
    pub(super) remedy: String,
    pub(super) outcome: RepairOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RepairOutcome {
    /// It could be repaired, and has not been so far.
    Found,
    Repaired,
    /// Not repaired, because its records changed after they were read.
    Changed,
    /// Only deleting records repairs it, which needs `--discard`.
    NeedsDiscard,
    /// An operator has to decide: a repair would take something from a container that may still run.
    Left,
}

impl Inconsistency {
    pub(super) fn left(problem: String, remedy: impl Into<String>) -> Self {
        Self { network: None, problems: vec![problem], remedy: remedy.into(), outcome: RepairOutcome::Left }
    }

    pub(super) fn is_done(&self) -> bool {
        self.outcome == RepairOutcome::Repaired
    }
}

/// The findings as text, with what was done about them. `repairing` where repairs were asked for.
pub(super) fn report(findings: &[Inconsistency], repairing: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let network = finding.network.as_ref().map_or_else(String::new, |network| format!("network {network}: "));
        for problem in &finding.problems {
            text.push_str(&format!("✗ {network}{}\n", one_line(problem)));
        }
        let done = match finding.outcome {
            RepairOutcome::Found | RepairOutcome::Left => "",
            RepairOutcome::Repaired => " (done)",
            RepairOutcome::Changed => " (not done: its records have changed in the meantime)",
            RepairOutcome::NeedsDiscard => " (only with --discard)",
        };
        text.push_str(&format!("  → {}{done}\n", one_line(&finding.remedy)));
    }
    text + &conclusion(findings, repairing)
}

fn conclusion(findings: &[Inconsistency], repairing: bool) -> String {
    let (mut found, mut repaired, mut changed, mut left) = (0, 0, 0, 0);
    for finding in findings {
        match finding.outcome {
            RepairOutcome::Found => found += 1,
            RepairOutcome::Repaired => repaired += 1,
            RepairOutcome::Changed => changed += 1,
            RepairOutcome::Left => left += 1,
            RepairOutcome::NeedsDiscard => {}
        }
    }
    let total: usize = findings.iter().map(|finding| finding.problems.len()).sum();
    let (plural, them) = if total == 1 { ("y", "it") } else { ("ies", "them") };
    let mut text = format!("{total} inconsistenc{plural} found");
    if repaired + changed > 0 {
        text.push_str(&format!(", {repaired} of {} repairs done", findings.len() - left));
    }
    if left > 0 {
        text.push_str(&format!(", {left} left to you"));
    }
    if found > 0 && repairing {
        text.push_str("; --yes repairs without asking");
    } else if found > 0 {
        text.push_str(&format!("; run again with --repair to fix {them}"));
    } else if changed > 0 {
        text.push_str("; run it again");
    }
    text
}
