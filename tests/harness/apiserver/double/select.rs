//! Field and label selectors: requirements that all have to hold.

use serde_json::Value;

use super::kind::Kind;
use super::status::Status;

#[derive(Debug)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug)]
struct Requirement {
    subject: Subject,
    wanted: Wanted,
}

#[derive(Debug)]
enum Subject {
    /// By its JSON pointer.
    Field(String),
    Label(String),
}

#[derive(Debug)]
enum Wanted {
    Equal(String),
    Unequal(String),
    Present,
    Absent,
}

impl Selector {
    pub(super) fn parse(kind: &Kind, fields: &str, labels: &str) -> Result<Self, Status> {
        let fields = terms(fields).map(|term| field(kind, term));
        let labels = terms(labels).map(label);
        Ok(Self(fields.chain(labels).collect::<Result<_, _>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|requirement| requirement.holds(object))
    }
}

impl Requirement {
    fn holds(&self, object: &Value) -> bool {
        let value = match &self.subject {
            Subject::Field(pointer) => Some(text(object.pointer(pointer))),
            Subject::Label(key) => object["metadata"]["labels"].get(key).map(|value| text(Some(value))),
        };
        match &self.wanted {
            Wanted::Equal(wanted) => value.as_ref() == Some(wanted),
            Wanted::Unequal(unwanted) => value.as_ref() != Some(unwanted),
            Wanted::Present => value.is_some(),
            Wanted::Absent => value.is_none(),
        }
    }
}

/// The name of the one object that a field selector can match.
pub(super) fn only_name(fields: &str) -> Option<String> {
    terms(fields).find_map(|term| match comparison(term)? {
        ("metadata.name", Wanted::Equal(name)) => Some(name),
        _ => None,
    })
}

fn terms(selector: &str) -> impl Iterator<Item = &str> {
    selector.split(',').map(str::trim).filter(|term| !term.is_empty())
}

fn field(kind: &Kind, term: &str) -> Result<Requirement, Status> {
    let (name, wanted) = comparison(term)
        .ok_or_else(|| Status::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")))?;
    if name != "metadata.name" && !kind.fields.contains(&name) {
        return Err(Status::bad_request(format!("field label not supported: {name}")));
    }
    Ok(Requirement { subject: Subject::Field(format!("/{}", name.replace('.', "/"))), wanted })
}

fn label(term: &str) -> Result<Requirement, Status> {
    let (name, wanted) = comparison(term).unwrap_or(match term.strip_prefix('!') {
        Some(name) => (name, Wanted::Absent),
        None => (term, Wanted::Present),
    });
    if name.contains(|c: char| c.is_whitespace() || "()<>!=".contains(c)) {
        return Err(Status::not_served("set-based label selectors"));
    }
    Ok(Requirement { subject: Subject::Label(name.to_owned()), wanted })
}

fn comparison(term: &str) -> Option<(&str, Wanted)> {
    let at = term.find('=')?;
    let (name, value) = (&term[..at], term[at + 1..].trim());
    let (name, wanted) = match name.strip_suffix('!') {
        Some(name) => (name, Wanted::Unequal(value.to_owned())),
        None => (name, Wanted::Equal(value.strip_prefix('=').unwrap_or(value).to_owned())),
    };
    Some((name.trim(), wanted))
}

/// Selectors compare text; what is missing is empty, except a truth, which is false.
fn text(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
