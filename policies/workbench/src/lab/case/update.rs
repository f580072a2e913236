//! What was observed, written into the file in place of what was expected. Only the values that differ are touched:
//! comments and everything else stay. Rules that many requests follow are never touched; who wrote them knows why.

use std::ops::Range;

use serde_json::{Map, Value};

use super::expect::Check;
use super::file::CaseFile;
use super::format::Expectation;
use super::layout::{Node, Part};
use super::run::{CheckedRequest, Trial};
use super::yaml::flow;

/// What an update did, or left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line of the step.
    pub line: usize,
    /// What, in words.
    pub what: String,
}

/// The text with everything observed written into it, and what that changed.
pub fn update(file: &CaseFile, trial: &Trial) -> (String, Vec<Change>) {
    let mut update = Update { file, edits: Vec::new(), changes: Vec::new() };
    for requests in trial.requests.chunk_by(|one, two| one.step == two.step) {
        let nth = requests[0].step;
        match file.case.steps[nth].expect {
            None => update.add(nth, requests),
            Some(_) => requests.iter().filter(|request| !request.is_met()).for_each(|request| update.mend(request)),
        }
    }
    update.finish()
}

struct Update<'a> {
    file: &'a CaseFile,
    edits: Vec<(Range<usize>, String)>,
    changes: Vec<Change>,
}

impl<'a> Update<'a> {
    /// A step that expects nothing yet.
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

    /// A step that expects something else.
    fn mend(&mut self, request: &CheckedRequest) {
        let Some(expectation) = self.expectation(request) else {
            return self.tell(request.step, "left alone: what all of them expect is a rule".to_owned());
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

    /// An address instead of a refusal, or the reverse: only a bound on the run stays.
    fn turn(&mut self, request: &CheckedRequest, expected: &Expectation, expectation: &Node) {
        if expected.has_properties() {
            let properties = request.checks.iter().filter(|check| check.is_property() && !check.is_met);
            return properties.for_each(|check| self.leave(request, check));
        }
        let mut observed = request.observed.exactly();
        observed.extend(expected.fuel.map(|most| ("fuel".to_owned(), most.into())));
        let observed = Value::Object(observed);
        self.edits.push((expectation.range.start..self.end_of(expectation), self.written(&observed)));
        self.tell(request.step, format!("expect: {}", flow(&observed)));
    }

    fn replace(&mut self, request: &CheckedRequest, expectation: &Node, check: &Check) {
        let Some(entry) = expectation.entry(check.key) else { return };
        // From behind the key: a block would leave the new value on a line of its own.
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
        let change = Change { line: self.file.line_of_step(step), what };
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// Where the expectation of one who asked is written; nowhere, if it is written once for several.
    fn expectation(&self, request: &CheckedRequest) -> Option<&'a Node> {
        let expect = [Part::Key("steps"), Part::Nth(request.step), Part::Key("expect")];
        let expect = self.file.layout.find(&expect)?;
        match expect.entry("all") {
            Some(_) => None,
            None => expect.find(&[Part::Nth(request.nth)]).or(Some(expect)),
        }
    }

    /// One more entry of a mapping, below the others or beside them.
    fn insert(&mut self, mapping: &Node, key: &str, value: &Value) {
        let text = &self.file.text;
        let (Some(first), Some(last)) = (mapping.entries().first(), mapping.entries().last()) else { return };
        let end = self.end_of(&last.value).max(last.range.end);
        let below = format!("\n{}", " ".repeat(first.place.1 - 1));
        let value = self.written(value);
        let (at, entry) = match (mapping.is_flow, self.file.is_json()) {
            // A comment behind the last entry stays with it.
            (false, _) => (text[end..].find('\n').map_or(text.len(), |at| end + at), format!("{below}{key}: {value}")),
            (true, is_json) => {
                let is_wide = text[mapping.range.clone()].contains('\n');
                let key = if is_json { format!("{key:?}") } else { key.to_owned() };
                (end, format!(",{}{key}: {value}", if is_wide { &below } else { " " }))
            }
        };
        self.edits.push((at..at, entry));
    }

    /// A block of text ends with its line feed.
    fn end_of(&self, node: &Node) -> usize {
        self.file.text[..node.range.end].trim_end().len().max(node.range.start)
    }

    fn written(&self, value: &Value) -> String {
        if self.file.is_json() { spaced(value) } else { flow(value) }
    }

    fn finish(mut self) -> (String, Vec<Change>) {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut text = self.file.text.clone();
        for (range, written) in self.edits.into_iter().rev() {
            text.replace_range(range, &written);
        }
        (text, self.changes)
    }
}

/// JSON on one line as people write it.
fn spaced(value: &Value) -> String {
    let entry = |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), spaced(value));
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(map) => format!("{{ {} }}", joined(Map::iter(map).map(entry).collect())),
        Value::Array(list) => format!("[{}]", joined(list.iter().map(spaced).collect())),
        scalar => scalar.to_string(),
    }
}
