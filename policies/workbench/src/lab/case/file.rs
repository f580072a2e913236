//! A file with a case, and errors that name it and the place in it.

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
    /// The file.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// What it says.
    pub case: Case,
    pub(super) layout: Node,
}

/// Why a file is no case, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CaseError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1; absent when it is about the file itself.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
}

impl CaseFile {
    /// Read a file.
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        let unreadable = |error: std::io::Error| CaseError {
            path: path.to_owned(),
            place: None,
            message: format!("cannot be read: {error}"),
            hint: None,
        };
        Self::parse(path, std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Read a text that is, or may become, this file's.
    pub fn parse(path: &Path, text: String) -> Result<Self, CaseError> {
        let case = serde_saphyr::from_str::<Case>(&text).map_err(|error| CaseError::of_yaml(path, &error))?;
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

    /// Whether a text may be meant as a case: a policy's directory has other YAML and JSON, too.
    pub fn is_likely(text: &str) -> bool {
        let is_key = |(at, key): (usize, &str)| text[at + key.len()..].trim_start().starts_with(':');
        text.lines().any(|line| line.starts_with("steps:")) || text.match_indices("\"steps\"").any(is_key)
    }

    /// Whether changes to it are written as JSON.
    pub fn is_json(&self) -> bool {
        self.path.extension().is_some_and(|kind| kind == "json")
    }

    /// The line of a step.
    pub fn line_of_step(&self, nth: usize) -> usize {
        self.layout.place_of(&[Part::Key("steps"), Part::Nth(nth)]).0
    }

    /// What a configuration calls `ipam` is `network` here.
    fn refuse_unknown_keys(&self) -> Result<(), CaseError> {
        let unknown = unknown_keys(&self.case.network.clone().into()).into_iter().next();
        let Some(UnknownKey { path, key, suggestion }) = unknown else { return Ok(()) };
        let said = |text: &str| text.replacen("ipam", "network", 1);
        let path = said(&path);
        let words = path.split(['.', '[', ']']).filter(|word| !word.is_empty());
        let way = words.map(|word| word.parse().map_or(Part::Key(word), Part::Nth));
        let way: Vec<_> = way.chain([Part::Key(&key)]).collect();
        let hint = suggestion.map(|hint| said(&hint));
        Err(CaseError { hint, ..self.error_at(&way, format!("{path}.{key} is not a key of a network")) })
    }

    /// An error about the value there.
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
                let did_you_mean = alike(field, expected.iter().copied()).map(|key| format!("did you mean {key:?}?"));
                let known = || format!("known here: {}", expected.join(", "));
                (format!("unknown key {field:?}"), Some(did_you_mean.unwrap_or_else(known)))
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                (format!("{variant:?} is none of {}", expected.join(", ")), None)
            }
            YamlError::SerdeMissingField { field, .. } => (format!("{field:?} is missing"), None),
            error => (message(error), None),
        };
        Self { path: path.to_owned(), place, message, hint }
    }
}

/// The place is told apart.
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
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}
