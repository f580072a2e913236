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
    let decoded = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let words = words_for::<T>(settings, error.inner());
        let problem = words.unwrap_or_else(|| problem(error.inner()));
        SettingsError::Field { path: error.path().to_string(), problem }
    })?;
    // What follows the object is no setting: two objects, one after the other, are somebody's mistake.
    match json.end() {
        Ok(()) => Ok(decoded),
        Err(error) => Err(SettingsError::Field { path: ".".to_owned(), problem: problem(&error) }),
    }
}

/// In the words of whoever wrote the settings, who knows no types of this program, and without line and column: those are of
/// the host's compact text, which nobody has seen.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        return format!("unknown value {rest}");
    }
    if let Some(field) = text.strip_prefix("missing field ") {
        return format!("{field} is missing");
    }
    let of_type = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    match of_type.and_then(|rest| rest.split_once(", expected ")) {
        Some((found, expected)) => format!("{}: expected {}", found_in_words(found), expected_in_words(expected)),
        None => text.to_owned(),
    }
}

/// Of a setting that is one of some words, and holds no text at all, the decoder says "expected value". It names the words
/// once it finds a text there that is none of them: so it reads again up to there, and an empty text.
fn words_for<T: DeserializeOwned>(settings: &str, error: &serde_json::Error) -> Option<String> {
    if !error.to_string().starts_with("expected value") {
        return None;
    }
    let lines_before = settings.split_inclusive('\n').take(error.line().checked_sub(1)?);
    let at = lines_before.map(str::len).sum::<usize>() + error.column().checked_sub(1)?;
    let (before, held) = settings.split_at_checked(at)?;
    let asking = format!("{before}\"\"");
    let mut json = serde_json::Deserializer::from_str(&asking);
    let error = serde_path_to_error::deserialize::<_, T>(&mut json).err()?.into_inner();
    let problem = problem(&error);
    let (_, words) = problem.strip_prefix("unknown value ")?.split_once(", expected ")?;
    Some(format!("{}: expected {words}", begun_in_words(held)))
}

/// The value that a text begins with, which is none in quotes.
fn begun_in_words(text: &str) -> String {
    let word = text.split([',', ']', '}', ' ', '\n']).next().unwrap_or_default();
    match text.chars().next() {
        Some('[') => "a list".to_owned(),
        Some('{') => "an object".to_owned(),
        Some('-' | '0'..='9') => format!("the number {word}"),
        _ => word.to_owned(),
    }
}

fn found_in_words(found: &str) -> String {
    let (kind, value) = found.split_once(' ').unwrap_or((found, ""));
    match (kind, found.split('`').nth(1)) {
        ("string", _) => format!("the text {value}"),
        ("integer" | "floating", Some(number)) => format!("the number {number}"),
        ("boolean", Some(value)) => value.to_owned(),
        ("map", _) => "an object".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        _ => found.to_owned(),
    }
}

fn expected_in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        kind if kind.starts_with("struct ") => "an object",
        other => other,
    }
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
                "policy.settings.strategy: unknown value `fastest`, expected one of `round-robin`, `lowest`, `hash`",
            ),
            (
                r#"{"nested": ["hash", 7]}"#,
                "policy.settings.nested[1]: the number 7: expected one of `round-robin`, `lowest`, `hash`",
            ),
            (
                r#"{"strategy": null}"#,
                "policy.settings.strategy: null: expected one of `round-robin`, `lowest`, `hash`",
            ),
            (r#"{"strategy": ["hash"]}"#, "policy.settings.strategy: a list: expected one of `round-robin`"),
            (r#"{"proposals": 65}"#, "policy.settings.proposals: 65: expected a whole number from 1 to 64"),
            (r#"{"proposals": -1}"#, "policy.settings.proposals: the number -1: expected a whole number"),
            (r#"{"proposals": "8"}"#, "policy.settings.proposals: the text \"8\": expected a whole number"),
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
