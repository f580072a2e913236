//! The report on cases, as text for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::CaseReport;
use crate::lab::case::{CaseFile, Check, CheckedRequest, flow};
use engine::text::tame;

/// A line for each case, with what went wrong below it, and at the end how many passed.
pub(super) fn text(reports: &[CaseReport]) -> String {
    let mut text = String::new();
    for report in reports {
        for change in &report.changes {
            line(&mut text, &format!("updated {}:{}: {}", report.path.display(), change.line, change.what));
        }
        let mark = if report.is_passed() { '✓' } else { '✗' };
        match &report.outcome {
            Err(error) => line(&mut text, &format!("{mark} {error}")),
            Ok((file, trial)) => {
                let about = if file.case.about.is_empty() { "" } else { ": " };
                line(&mut text, &format!("{mark} {}{about}{}", report.path.display(), file.case.about));
                for answer in trial.requests.iter().filter(|answer| !answer.is_met()) {
                    explain(&mut text, file, answer);
                }
            }
        }
    }
    let passed = reports.iter().filter(|report| report.is_passed()).count();
    let _ = write!(text, "\n{passed} passed, {} failed", reports.len() - passed);
    text
}

pub(super) fn json(reports: &[CaseReport]) -> Value {
    let passed = reports.iter().filter(|report| report.is_passed()).count();
    let cases: Vec<Value> = reports.iter().map(case).collect();
    json!({"passed": passed, "failed": reports.len() - passed, "cases": cases})
}

/// Write what went wrong for one requester of a step.
pub(super) fn explain(text: &mut String, file: &CaseFile, answer: &CheckedRequest) {
    let place = format!("{}:{}", file.path.display(), file.line_of_step(answer.step));
    line(text, &format!("  step {} ({place}): {} asks", answer.step + 1, answer.who));
    let (mut expected, mut observed) = (String::new(), String::new());
    for check in &answer.checks {
        push_value(&mut expected, check.key, &check.expected);
        push_value(&mut observed, check.key, &check.observed);
    }
    for change in TextDiff::from_lines(&expected, &observed).iter_all_changes() {
        line(text, &format!("    {} {}", change.tag(), change.value().trim_end()));
    }
    for said in &answer.observed.lines {
        line(text, &format!("    policy: {}: {}", said.level.as_str().to_lowercase(), said.text));
    }
    for held in &answer.held {
        line(text, &format!("    held: {held}"));
    }
}

/// Write one side of a comparison; nothing, where there is nothing on this side.
fn push_value(text: &mut String, key: &str, value: &Value) {
    if !value.is_null() {
        text.push_str(&format!("{key}: {}\n", flow(value)));
    }
}

fn case(report: &CaseReport) -> Value {
    let changes: Vec<_> =
        report.changes.iter().map(|change| json!({"line": change.line, "what": change.what})).collect();
    let mut case = Map::from_iter([
        ("file".to_owned(), json!(report.path)),
        ("module".to_owned(), json!(report.module)),
        ("passed".to_owned(), json!(report.is_passed())),
        ("milliseconds".to_owned(), json!(report.took.as_secs_f64() * 1e3)),
        ("updated".to_owned(), json!(changes)),
    ]);
    match &report.outcome {
        Err(error) => {
            case.insert("error".to_owned(), json!(error.to_string()));
        }
        Ok((file, trial)) => {
            case.insert("about".to_owned(), json!(file.case.about));
            let answers: Vec<Value> = trial.requests.iter().map(|answer| answer_of(file, answer)).collect();
            case.insert("answers".to_owned(), json!(answers));
        }
    }
    Value::Object(case)
}

fn answer_of(file: &CaseFile, answer: &CheckedRequest) -> Value {
    let mut unmet = Vec::new();
    for Check { key, expected, observed, .. } in answer.checks.iter().filter(|check| !check.is_met) {
        unmet.push(json!({"key": key, "expected": expected, "observed": observed}));
    }
    let log: Vec<_> = answer.observed.lines.iter().map(|said| &said.text).collect();
    json!({
        "step": answer.step + 1,
        "line": file.line_of_step(answer.step),
        "who": answer.who,
        "passed": answer.is_met(),
        "observed": answer.observed.exactly(),
        "fuel": answer.observed.fuel,
        "log": log,
        "unmet": unmet,
        "held": answer.held,
    })
}

/// Write a line. What policies and cases say may have control characters in it, and is escaped before it reaches a
/// terminal.
fn line(text: &mut String, what: &str) {
    text.push_str(&tame(what, u64::MAX));
    text.push('\n');
}
