//! The report of `config check`, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::cli::output::counted;
use cni::failure::ANY_NETWORK;

/// What `config check` has found in all its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConfigReport {
    /// The files that were read, as the user named them or their directory.
    pub files: Vec<String>,
    /// How many kube-ipam networks the files have.
    pub networks: usize,
    /// In the order of the files; errors of a network before its warnings.
    pub findings: Vec<ConfigFinding>,
}

/// One thing to correct, or to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigFinding {
    pub severity: Severity,
    /// The file or directory.
    pub file: String,
    /// The part of the file, for example `plugins[0]`; empty for the file itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub section: String,
    /// What is wrong. Begins with the field, if the finding is about one.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// An ADD would fail.
    Error,
    /// An ADD would work, but perhaps not as meant.
    Warning,
    /// Something could not be checked here.
    Note,
}

/// A file, or a part of it, that findings are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// As the user named it.
    pub(super) file: String,
    /// Empty for the file itself.
    pub(super) section: String,
}

impl ConfigFinding {
    /// With the options that lead to its network in the commands of its hint.
    pub(super) fn naming(self, option: &str) -> Self {
        let hint = self.hint.map(|hint| hint.replace(ANY_NETWORK, option));
        Self { hint, ..self }
    }
}

impl ConfigReport {
    /// Whether an ADD would fail.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl Place {
    pub(super) fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), section: String::new() }
    }

    /// A part of this place.
    pub(super) fn part(&self, part: &str) -> Self {
        let separator = if self.section.is_empty() || part.is_empty() { "" } else { ", " };
        Self { file: self.file.clone(), section: format!("{}{separator}{part}", self.section) }
    }

    /// Whether two places are in different plugins of one list. A plugin that one of them delegates to is a part of that one.
    pub(super) fn shares_a_list_with(&self, other: &Self) -> bool {
        match (self.plugin(), other.plugin()) {
            (Some((list, nth)), Some((other_list, other_nth))) => {
                self.file == other.file && list == other_list && nth != other_nth
            }
            _ => false,
        }
    }

    /// The section of the list of plugins, and the index of the plugin that this place is in.
    fn plugin(&self) -> Option<(&str, &str)> {
        let (list, rest) = self.section.split_once("plugins[")?;
        Some((list, rest.split_once(']')?.0))
    }

    pub(super) fn error(&self, message: impl Into<String>, hint: Option<String>) -> ConfigFinding {
        self.finding(Severity::Error, message, hint)
    }

    pub(super) fn warning(&self, message: impl Into<String>, hint: Option<String>) -> ConfigFinding {
        self.finding(Severity::Warning, message, hint)
    }

    pub(super) fn finding(
        &self,
        severity: Severity,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> ConfigFinding {
        ConfigFinding {
            severity,
            file: self.file.clone(),
            section: self.section.clone(),
            message: message.into(),
            hint,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.section.is_empty() { Ok(()) } else { write!(f, ", {}", self.section) }
    }
}

impl fmt::Display for ConfigReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.files.as_slice() {
            [file] => f.write_str(file)?,
            files => f.write_str(&counted(files.len(), "file"))?,
        }
        write!(f, ": {}", counted(self.networks, "kube-ipam network"))?;
        write!(f, ", {}", counted(self.count(Severity::Error), "error"))?;
        write!(f, ", {}", counted(self.count(Severity::Warning), "warning"))
    }
}

impl fmt::Display for ConfigFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{}: {severity}", self.file)?;
        if !self.section.is_empty() {
            write!(f, " in {}", self.section)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
