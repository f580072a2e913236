//! What was observed is written into the file in place of what was expected. Only the values that differ are touched;
//! comments and everything else stay. Rules that many outcomes follow are never touched: they were not copied from an
//! outcome, and their author has to decide whether the rule or the policy is wrong.

use std::ops::Range;

use serde_json::Value;

use super::expect::Check;
use super::file::CaseFile;
use super::format::Expectation;
use super::layout::{Node, Part};
use super::run::{CaseRun, CheckedRequest};
use super::yaml::flow;

/// What an update did to a step, or why it left it alone, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseChange {
    /// The line of the step.
    pub line: usize,
    pub what: String,
}

/// Write everything observed into the text of a case. Gives the text, and what that changed.
pub fn update(file: &CaseFile, run: &CaseRun) -> (String, Vec<CaseChange>) {
    let mut update = Update { file, edits: Vec::new(), changes: Vec::new() };
    for requests in run.requests.chunk_by(|one, two| one.step == two.step) {
        let nth = requests[0].step;
        if file.case.steps[nth].expect.is_none() {
            update.add(nth, requests);
            continue;
        }
        for request in requests.iter().filter(|request| !request.is_met()) {
            update.correct(request);
        }
    }
    update.finish()
}

struct Update<'a> {
    file: &'a CaseFile,
    /// What to put in the place of which bytes. No two of them overlap.
    edits: Vec<(Range<usize>, String)>,
    changes: Vec<CaseChange>,
}

impl<'a> Update<'a> {
    /// Write an expectation for a step that has none yet.
    fn add(&mut self, nth: usize, requests: &[CheckedRequest]) {
        let mut observed = requests.iter().map(|request| Value::Object(request.observed.exactly()));
        let expect = match self.file.case.steps[nth].contend {
            None => observed.next().unwrap_or_default(),
            Some(_) => observed.collect(),
        };
        let Some(step) = self.file.layout.find(&[Part::Key("steps"), Part::Nth(nth)]) else { return };
        self.insert(step, "expect", &expect);
        self.tell(nth, format!("expect: {}", flow(&expect)));
    }

    /// Correct the expectation of a requester that is not met.
    fn correct(&mut self, request: &CheckedRequest) {
        let Some(expectation) = self.expectation(request) else {
            return self.tell(request.step, "left alone: what is expected of all of them is a rule".to_owned());
        };
        let expected = self.file.case.steps[request.step].expectation(request.nth).cloned().unwrap_or_default();
        if expected.wants_refusal() != request.observed.outcome.is_err() {
            return self.turn(request, &expected, expectation);
        }
        for check in request.checks.iter().filter(|check| !check.is_met) {
            if check.is_property() || check.observed.is_null() {
                self.leave(request, check);
            } else {
                self.replace(request, expectation, check);
            }
        }
    }

    /// Expect an address instead of a refusal, or the reverse. The whole expectation is replaced, since no key of the
    /// one means anything beside the other; only a bound on the run stays.
    fn turn(&mut self, request: &CheckedRequest, expected: &Expectation, expectation: &Node) {
        if expected.has_properties() {
            for check in request.checks.iter().filter(|check| check.is_property() && !check.is_met) {
                self.leave(request, check);
            }
            return;
        }
        let mut observed = request.observed.exactly();
        if let Some(most) = expected.fuel {
            observed.insert("fuel".to_owned(), most.into());
        }
        let observed = Value::Object(observed);
        self.edits.push((expectation.range.start..self.end_of(expectation), self.written(&observed)));
        self.tell(request.step, format!("expect: {}", flow(&observed)));
    }

    fn replace(&mut self, request: &CheckedRequest, expectation: &Node, check: &Check) {
        let Some(entry) = expectation.entry(check.key) else { return };
        // From behind the key on: the value of a block begins on the next line, where the new one would stay alone.
        let range = entry.range.end..self.end_of(&entry.value);
        self.edits.push((range, format!(": {}", self.written(&check.observed))));
        let (before, after) = (flow(&check.expected), flow(&check.observed));
        self.tell(request.step, format!("{}: {before} → {after}", check.key));
    }

    fn leave(&mut self, request: &CheckedRequest, check: &Check) {
        let observed = if check.observed.is_null() { "nothing".to_owned() } else { flow(&check.observed) };
        self.tell(request.step, format!("left alone: {}: {}, but {observed}", check.key, flow(&check.expected)));
    }

    fn tell(&mut self, step: usize, what: String) {
        let change = CaseChange { line: self.file.line_of_step(step), what };
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// The expectation of one requester in the file; absent where it is written once for several.
    fn expectation(&self, request: &CheckedRequest) -> Option<&'a Node> {
        let way = [Part::Key("steps"), Part::Nth(request.step), Part::Key("expect")];
        let expect = self.file.layout.find(&way)?;
        match expect.entry("all") {
            Some(_) => None,
            None => expect.find(&[Part::Nth(request.nth)]).or(Some(expect)),
        }
    }

    /// Add an entry to a mapping, in the style in which the others are written.
    fn insert(&mut self, mapping: &Node, key: &str, value: &Value) {
        let text = &self.file.text;
        let (Some(first), Some(last)) = (mapping.entries().first(), mapping.entries().last()) else { return };
        let end = self.end_of(&last.value).max(last.range.end);
        let below = format!("\n{}", " ".repeat(first.place.1 - 1));
        let value = self.written(value);
        if !mapping.is_flow {
            // At the end of the line: a comment behind the last entry stays with it.
            let at = text[end..].find('\n').map_or(text.len(), |at| end + at);
            return self.edits.push((at..at, format!("{below}{key}: {value}")));
        }
        let key = if self.file.is_json() { format!("{key:?}") } else { key.to_owned() };
        let is_wide = text[mapping.range.clone()].contains('\n');
        let between = if is_wide { below.as_str() } else { " " };
        self.edits.push((end..end, format!(",{between}{key}: {value}")));
    }

    /// Where the text of a value ends, without the line feed that belongs to a block of text.
    fn end_of(&self, node: &Node) -> usize {
        self.file.text[..node.range.end].trim_end().len().max(node.range.start)
    }

    fn written(&self, value: &Value) -> String {
        if self.file.is_json() { spaced(value) } else { flow(value) }
    }

    fn finish(mut self) -> (String, Vec<CaseChange>) {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut text = self.file.text.clone();
        // From the end, so that no edit moves the bytes of another.
        for (range, written) in self.edits.into_iter().rev() {
            text.replace_range(range, &written);
        }
        (text, self.changes)
    }
}

/// JSON on one line, with spaces as people write it.
fn spaced(value: &Value) -> String {
    let mut parts = Vec::new();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                parts.push(format!("{}: {}", Value::from(key.as_str()), spaced(value)));
            }
            format!("{{ {} }}", parts.join(", "))
        }
        Value::Array(list) => {
            parts.extend(list.iter().map(spaced));
            format!("[{}]", parts.join(", "))
        }
        scalar => scalar.to_string(),
    }
}
