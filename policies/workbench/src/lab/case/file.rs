//! The file of a case, and errors that name it and the place in it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::Error as YamlError;

use super::format::Case;
use super::layout::{self, Node, Part};
use super::settle::Wrong;
use kube_ipam::config::unknown::{UnknownKey, unknown_keys};
use spelling::alike;

/// A case and the text it was read from.
#[derive(Clone, Debug)]
pub struct CaseFile {
    pub path: PathBuf,
    pub text: String,
    pub case: Case,
    pub(super) layout: Node,
}

/// Why a file is not a case, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CaseError {
    pub path: PathBuf,
    /// Line and column, counted from 1; absent where the error is about the file itself.
    pub place: Option<(usize, usize)>,
    pub message: String,
    pub hint: Option<String>,
}

impl CaseFile {
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, text),
            Err(error) => Err(CaseError {
                path: path.to_owned(),
                place: None,
                message: format!("cannot be read: {error}"),
                hint: None,
            }),
        }
    }

    /// Parse a text that is, or may become, this file's.
    pub fn parse(path: &Path, text: String) -> Result<Self, CaseError> {
        let case = serde_saphyr::from_str::<Case>(&text).map_err(|error| CaseError::of_yaml(path, &error))?;
        // The text is read twice. serde gives values without their places; an update needs the place of every value.
        let layout = layout::read(&text).map_err(|error| {
            let place = (error.marker().line(), error.marker().col() + 1);
            CaseError { path: path.to_owned(), place: Some(place), message: error.to_string(), hint: None }
        })?;
        let mut file = Self { path: path.to_owned(), text, case, layout };
        file.refuse_unknown_keys()?;
        match file.case.settle() {
            Ok(()) => Ok(file),
            Err(Wrong { way, message, hint }) => Err(CaseError { hint, ..file.error_at(&way, message) }),
        }
    }

    /// Whether a text may be meant as a case. It need not parse: one with a mistake in it is to be reported, and not to
    /// be passed over like the other YAML and JSON in a policy's directory.
    pub fn is_likely(text: &str) -> bool {
        if text.lines().any(|line| line.starts_with("steps:")) {
            return true;
        }
        text.match_indices("\"steps\"").any(|(at, key)| text[at + key.len()..].trim_start().starts_with(':'))
    }

    /// Whether changes to it are written as JSON.
    pub fn is_json(&self) -> bool {
        self.path.extension().is_some_and(|kind| kind == "json")
    }

    pub fn line_of_step(&self, nth: usize) -> usize {
        self.layout.place_of(&[Part::Key("steps"), Part::Nth(nth)]).0
    }

    /// Refuse the first key that no field takes, by its place in the file. The section that a configuration calls `ipam`
    /// is called `network` here, in the error and in its hint.
    fn refuse_unknown_keys(&self) -> Result<(), CaseError> {
        let unknown = unknown_keys(&self.case.network.clone().into()).into_iter().next();
        let Some(UnknownKey { path, key, suggestion }) = unknown else { return Ok(()) };
        let path = path.replacen("ipam", "network", 1);
        let mut way = Vec::new();
        for word in path.split(['.', '[', ']']).filter(|word| !word.is_empty()) {
            way.push(word.parse().map_or(Part::Key(word), Part::Nth));
        }
        way.push(Part::Key(&key));
        let hint = suggestion.map(|hint| hint.replacen("ipam", "network", 1));
        Err(CaseError { hint, ..self.error_at(&way, format!("{path}.{key} is not a key of a network")) })
    }

    /// An error about the value at the end of a way.
    pub(super) fn error_at(&self, way: &[Part<'_>], message: impl Into<String>) -> CaseError {
        let place = Some(self.layout.place_of(way));
        CaseError { path: self.path.clone(), place, message: message.into(), hint: None }
    }
}

impl CaseError {
    fn of_yaml(path: &Path, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let place = error.location().map(|at| (at.line() as usize, at.column() as usize));
        let (message, hint) = match error {
            YamlError::SerdeUnknownField { field, expected, .. } => {
                let hint = match alike(field, expected.iter().copied()) {
                    Some(key) => format!("did you mean {key:?}?"),
                    None => format!("known here: {}", expected.join(", ")),
                };
                (format!("unknown key {field:?}"), Some(hint))
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                (format!("{variant:?} is not one of {}", expected.join(", ")), None)
            }
            YamlError::SerdeMissingField { field, .. } => (format!("{field:?} is missing"), None),
            error => (message(error), None),
        };
        Self { path: path.to_owned(), place, message, hint }
    }
}

/// The message of an error without its place, which `CaseError` has in a field of its own, and without words of YAML's
/// grammar, which an author need not know.
fn message(error: &YamlError) -> String {
    let options = serde_saphyr::render_options! { snippets: serde_saphyr::SnippetMode::Off };
    let text = error.render_with_options(options);
    let end = error.location().and_then(|at| text.rfind(&format!(" at line {}", at.line())));
    let text = text[..end.unwrap_or(text.len())].trim_end_matches(':');
    text.replace("sequence start", "a list").replace("mapping start", "a mapping")
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
