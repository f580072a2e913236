//! What people and programs are told of the cases.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use similar::TextDiff;

use super::Report;
use crate::lab::case::{CaseFile, Check, CheckedRequest, flow};
use engine::text::tame;

/// A line a case, what went wrong below it, and how many.
pub(super) fn text(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        report.changes.iter().for_each(|change| {
            line(&mut text, &format!("updated {}:{}: {}", report.path.display(), change.line, change.what));
        });
        let mark = if report.is_passed() { '✓' } else { '✗' };
        match &report.outcome {
            Err(error) => line(&mut text, &format!("{mark} {error}")),
            Ok((file, trial)) => {
                let about = if file.case.about.is_empty() { "" } else { ": " };
                line(&mut text, &format!("{mark} {}{about}{}", report.path.display(), file.case.about));
                for request in trial.requests.iter().filter(|request| !request.is_met()) {
                    wrong(&mut text, file, request);
                }
            }
        }
    }
    let passed = reports.iter().filter(|report| report.is_passed()).count();
    let _ = write!(text, "\n{passed} passed, {} failed", reports.len() - passed);
    text
}

/// The same for programs.
pub(super) fn json(reports: &[Report]) -> Value {
    let passed = reports.iter().filter(|report| report.is_passed()).count();
    let cases: Vec<Value> = reports.iter().map(case).collect();
    json!({"passed": passed, "failed": reports.len() - passed, "cases": cases})
}

/// What went wrong in one step, as lines of text.
pub(super) fn explained(file: &CaseFile, request: &CheckedRequest) -> String {
    let mut text = String::new();
    wrong(&mut text, file, request);
    text
}

fn wrong(text: &mut String, file: &CaseFile, request: &CheckedRequest) {
    let place = format!("{}:{}", file.path.display(), file.line_of_step(request.step));
    line(text, &format!("  step {} ({place}): {} asks", request.step + 1, request.who));
    let (expected, observed) =
        (written(&request.checks, |check| &check.expected), written(&request.checks, |check| &check.observed));
    for change in TextDiff::from_lines(&expected, &observed).iter_all_changes() {
        line(text, &format!("    {} {}", change.tag(), change.value().trim_end()));
    }
    for said in &request.observed.lines {
        line(text, &format!("    policy: {}: {}", said.level.as_str().to_lowercase(), said.text));
    }
    request.held.iter().for_each(|held| line(text, &format!("    held: {held}")));
}

fn written(checks: &[Check], side: impl Fn(&Check) -> &Value) -> String {
    let shown = checks.iter().map(|check| (check.key, side(check))).filter(|(_, value)| !value.is_null());
    shown.map(|(key, value)| format!("{key}: {}\n", flow(value))).collect()
}

fn case(report: &Report) -> Value {
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
        Err(error) => drop(case.insert("error".to_owned(), json!(error.to_string()))),
        Ok((file, trial)) => {
            case.insert("about".to_owned(), json!(file.case.about));
            let requests: Vec<Value> = trial.requests.iter().map(|request| request_of(file, request)).collect();
            case.insert("answers".to_owned(), json!(requests));
        }
    }
    Value::Object(case)
}

fn request_of(file: &CaseFile, request: &CheckedRequest) -> Value {
    let unmet = request.checks.iter().filter(|check| !check.is_met);
    let unmet: Vec<_> =
        unmet.map(|check| json!({"key": check.key, "expected": check.expected, "observed": check.observed})).collect();
    let log: Vec<_> = request.observed.lines.iter().map(|said| &said.text).collect();
    json!({
        "step": request.step + 1,
        "line": file.line_of_step(request.step),
        "who": request.who,
        "passed": request.is_met(),
        "observed": request.observed.exactly(),
        "fuel": request.observed.fuel,
        "log": log,
        "unmet": unmet,
        "held": request.held,
    })
}

/// Texts of policies and cases reach no terminal as they are.
fn line(text: &mut String, what: &str) {
    text.push_str(&tame(what, u64::MAX));
    text.push('\n');
}
