//! `policy.settings` of the network's configuration: JSON text into a type of the policy.

use serde::de::DeserializeOwned;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not an object: a struct would be read from an array, too.
    #[error("policy.settings must be a JSON object")]
    NotAnObject,
    /// A field that was not understood.
    #[error("policy.settings{}: {problem}", at(.path))]
    Field {
        /// The path of the field, for example `namespaces.blue[2]`; `.` for the whole.
        path: String,
        /// What it held and what was expected.
        problem: String,
    },
}

/// Decode the settings; the error names the field.
pub fn decode<T: DeserializeOwned>(settings: &str) -> Result<T, SettingsError> {
    if !settings.trim_start().starts_with('{') {
        return Err(SettingsError::NotAnObject);
    }
    let mut json = serde_json::Deserializer::from_str(settings);
    let decoded = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| SettingsError::Field { path: error.path().to_string(), problem: problem(error.inner()) })?;
    match json.end() {
        Ok(()) => Ok(decoded),
        Err(error) => Err(SettingsError::Field { path: ".".to_owned(), problem: problem(&error) }),
    }
}

/// Without line and column: those are of the host's compact text, which nobody has seen.
fn problem(error: &serde_json::Error) -> String {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let mut problem = error.to_string();
    if problem.ends_with(&position) {
        problem.truncate(problem.len() - position.len());
    }
    problem
}

fn at(path: &str) -> String {
    if path == "." { String::new() } else { format!(".{path}") }
}

/// For a policy without settings: the empty object, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProposalCount, Strategy};

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
    struct Settings {
        strategy: Strategy,
        proposals: ProposalCount,
        nested: Vec<Strategy>,
    }

    #[test]
    fn the_error_names_the_field_what_it_held_and_what_was_expected() {
        for (settings, error) in [
            (
                r#"{"strategy": "fastest"}"#,
                "policy.settings.strategy: unknown variant `fastest`, expected one of `round-robin`, `lowest`, `hash`",
            ),
            (r#"{"nested": ["hash", 7]}"#, "policy.settings.nested[1]: expected value"),
            (r#"{"proposals": 65}"#, "policy.settings.proposals: 65: expected a whole number from 1 to 64"),
            (r#"{"proposals": -1}"#, "policy.settings.proposals: invalid value: integer `-1`, expected u64"),
            (r#"{"proposals": "8"}"#, "policy.settings.proposals: invalid type: string \"8\", expected u64"),
            (
                r#"{"strategie": "hash"}"#,
                "policy.settings.strategie: unknown field `strategie`, expected one of `strategy`, `proposals`, `nested`",
            ),
            (r#"{} {}"#, "policy.settings: trailing characters"),
            (r#"["hash"]"#, "policy.settings must be a JSON object"),
            ("", "policy.settings must be a JSON object"),
            (r#"{"strategy""#, "policy.settings: EOF while parsing an object"),
        ] {
            let said = decode::<Settings>(settings).unwrap_err().to_string();
            assert!(said.starts_with(error) && !said.contains(" at line "), "{settings}: {said}");
        }
    }

    #[test]
    fn no_settings_means_none() {
        assert!(decode::<NoSettings>(" {}").is_ok());
        assert!(decode::<NoSettings>(r#"{"a": 1}"#).is_err());
    }
}
