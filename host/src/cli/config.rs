//! `kube-ipam config`: is a configuration file right, and what may stand in one?
//!
//! Everything that an ADD would refuse is an error here, and all of it at once.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::{Done, Output};
use super::{Format, OutputArgs};
use crate::cni::NetConf;
use crate::cni::failure::joined;
use crate::config::file::{Section, sections};
use crate::config::unknown::{schema, unknown_keys};
use crate::config::{self, Network, beside};

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// What is wrong in a configuration, or unknown
    Check {
        /// A .conf or .conflist file
        file: PathBuf,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// The JSON Schema of the ipam section
    Schema,
}

/// Run one of them.
pub(crate) fn run(command: Command) -> Done {
    match command {
        Command::Schema => Output::json(&schema()),
        Command::Check { file, output } => {
            let report = check(&file);
            let exit = u8::from(report.has_errors());
            let text = match output.output {
                Format::Json => serde_json::to_string_pretty(&report)?,
                Format::Table => report.to_string(),
            };
            Ok(Output { text, exit })
        }
    }
}

/// What `config check` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The file.
    pub file: String,
    /// How many networks of ours it holds.
    pub networks: usize,
    /// In the order of the file; errors of a network before its warnings.
    pub findings: Vec<Finding>,
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The part of the file, for example `plugins[0]`; empty for the file itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub section: String,
    /// What is wrong; begins with the field where there is one.
    pub message: String,
    /// The way out.
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
}

/// Check every network of ours in a `.conf` or `.conflist`.
pub fn check(file: &Path) -> Report {
    let mut report = Report { file: file.display().to_string(), networks: 0, findings: Vec::new() };
    let sections = match read(file) {
        Ok(sections) => sections,
        Err(finding) => {
            report.findings.push(finding);
            return report;
        }
    };
    report.networks = sections.len();
    report.findings = sections.iter().flat_map(check_section).collect();
    report
}

impl Report {
    /// Whether an ADD would fail.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

fn read(file: &Path) -> Result<Vec<Section>, Finding> {
    let unreadable = |message: String| Finding::error("", message, None);
    let json = fs::File::open(file).map_err(|error| unreadable(format!("cannot read the file: {error}")))?;
    let json = NetConf::bytes(json).map_err(|error| unreadable(joined(&error)))?;
    let value = serde_json::from_slice(&json).map_err(|error| unreadable(format!("the file is not JSON: {error}")))?;
    let found = sections(&value);
    if found.is_empty() {
        let hint = "\"ipam\": { \"type\": \"kube-ipam\", … } inside a plugin makes the plugin call kube-ipam";
        return Err(Finding::error(
            "",
            "no ipam section of type kube-ipam in the file".to_owned(),
            Some(hint.to_owned()),
        ));
    }
    Ok(found)
}

fn check_section(section: &Section) -> Vec<Finding> {
    let mut errors = match NetConf::parse(&section.json()) {
        Ok(netconf) => Network::errors(&netconf),
        Err(error) => vec![config::Error::Cni(error)],
    };
    let unknown = section.ipam().map(unknown_keys).unwrap_or_default();
    errors.extend(unknown.into_iter().map(config::Error::from));
    errors.extend(beside::errors(&section.configuration));
    let errors = errors.iter().map(|error| Finding::error(&section.path, joined(error), error.hint()));
    let mut findings: Vec<_> = errors.collect();
    findings.extend(beside::ignored(&section.configuration).iter().map(|key| Finding::beside(key, &section.path)));
    findings
}

impl Finding {
    fn beside(key: &str, section: &str) -> Self {
        let message = format!("{key} stands beside ipam, where kube-ipam does not read it");
        let hint = Some("move it into ipam, unless it is the main plugin's own".to_owned());
        Self { severity: Severity::Warning, section: section.to_owned(), message, hint }
    }

    fn error(section: &str, message: String, hint: Option<String>) -> Self {
        Self { severity: Severity::Error, section: section.to_owned(), message, hint }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        write!(f, "{}: {} of kube-ipam", self.file, counted(self.networks, "network"))?;
        write!(f, ", {}, {}", counted(errors, "error"), counted(warnings, "warning"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })?;
        if !self.section.is_empty() {
            write!(f, " in {}", self.section)?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config::unknown::properties;

    const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/cases/");

    /// Each file in `cases` is one an operator might write; the snapshot beside it is what the command prints.
    #[test]
    fn every_file_is_judged_as_its_snapshot_says() {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("cases");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            let mut files: Vec<_> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.retain(|file| file.extension().is_some_and(|kind| kind != "snap"));
            files.sort();
            assert!(files.len() > 5, "the cases are gone");
            for file in files {
                let name = file.file_name().unwrap().to_str().unwrap();
                let report = Report { file: name.to_owned(), ..check(&file) };
                let json = serde_json::to_string_pretty(&report).unwrap();
                insta::assert_snapshot!(name, format!("{report}\n\n{json}"));
            }
        });
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let report = check(Path::new("/does/not/exist.conf"));
        assert!(report.has_errors());
        assert!(report.findings[0].message.starts_with("cannot read the file: "), "{report}");
    }

    #[test]
    fn the_schema_describes_every_key() {
        fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
            for (key, schema) in properties(schema).into_iter().flatten() {
                let path = format!("{path}.{key}");
                if schema.get("description").is_none() {
                    found.push(path.clone());
                }
                undescribed(schema, &path, found);
            }
        }
        let mut found = Vec::new();
        undescribed(&schema(), "ipam", &mut found);
        assert_eq!(found, Vec::<String>::new());
        insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema()).unwrap());
    }
}
