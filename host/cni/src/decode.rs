//! From JSON to types: what goes wrong is said in plain words and with the field's path, and keys that no field takes
//! are told to whoever asks.

use serde::de::DeserializeOwned;
use serde_ignored::Path;

use super::error::Error;
use super::syntax::{self, without_line};

/// A key that no field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// The object that has it, for example `ipam.ranges[0][1]`; empty for the configuration itself.
    pub object: String,
    pub key: String,
}

/// Characters of a wrong value that an error shows.
const SHOWN: usize = 60;

/// Decode JSON, all of it. The recursion limit of `serde_json` stays on: what is nested too deeply is an error.
pub(super) fn decode<T: DeserializeOwned>(
    json: &[u8],
    path: &str,
    ignored: &mut dyn FnMut(IgnoredKey),
) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    // Unknown keys are noted in passing. A comparison with the schema would parse the text once more, for every ADD.
    let mut note = |at: Path<'_>| {
        if let Path::Map { parent, key } = at {
            ignored(IgnoredKey { object: join(path, &place(parent)), key });
        }
    };
    let noting = serde_ignored::Deserializer::new(&mut deserializer, &mut note);
    let value = match serde_path_to_error::deserialize(noting) {
        Ok(value) => value,
        // What is wrong with a value is told by its path. Where the text is not JSON at all, the path says where the decoder
        // gave up, which is rarely where the mistake is.
        Err(error) if error.inner().is_data() => {
            let path = join(path, &error.path().to_string());
            return Err(explain(path, error.inner()));
        }
        Err(error) => return Err(unreadable(json, path, error.inner())),
    };
    deserializer.end().map_err(|error| unreadable(json, path, &error))?;
    Ok(value)
}

/// A path in the notation of our messages.
fn place(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", place(parent)),
        Path::Map { parent, key } => join(&place(parent), key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => place(parent),
    }
}

fn join(outer: &str, inner: &str) -> String {
    match inner {
        "" | "." => outer.to_owned(),
        inner if outer.is_empty() || inner.starts_with('[') => format!("{outer}{inner}"),
        inner => format!("{outer}.{inner}"),
    }
}

/// The decoder's words are for programmers: an operator reads objects, lists, texts and numbers.
fn explain(path: String, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let problem = without_line(&text);
    if let Some(field) = quoted(problem, "duplicate field ") {
        return Error::Twice { path: join(&path, field) };
    }
    if let Some(field) = quoted(problem, "missing field ") {
        return Error::MissingField { path: join(&path, field), expected: required(field) };
    }
    // Only the configuration as a whole has no path.
    if path.is_empty() {
        return Error::NotAnObject;
    }
    let problem = problem.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    // From the right: what was held may be any text.
    let (held, expected) = problem.rsplit_once(", expected ").unwrap_or((problem, "something else"));
    Error::WrongType { path, held: held_in_plain_words(held), expected: expected_in_plain_words(expected).to_owned() }
}

/// What is not JSON has no fields that could be named.
fn unreadable(json: &[u8], path: &str, error: &serde_json::Error) -> Error {
    if path.is_empty() {
        return Error::NotJson { what: "the network configuration".to_owned(), problem: syntax::problem(json, error) };
    }
    // The line and column would be those of a fragment; the path says more.
    Error::NotJson { what: path.to_owned(), problem: syntax::in_plain_words(error).to_owned() }
}

fn quoted<'a>(problem: &'a str, what: &str) -> Option<&'a str> {
    Some(problem.strip_prefix(what)?.trim_matches('`'))
}

/// What the fields that must be there hold.
fn required(field: &str) -> &'static str {
    match field {
        "subnet" | "dst" => "a subnet in CIDR form, such as 10.188.0.0/16",
        "address" | "ip" => "an address with its prefix length",
        "containerID" => "the ID of a container",
        "ifname" => "the name of an interface",
        _ => "a value",
    }
}

fn held_in_plain_words(held: &str) -> String {
    if let Some(text) = held.strip_prefix("string ") {
        return format!("the text {}", shortened(text));
    }
    if let Some(number) = held.strip_prefix("integer ").or_else(|| held.strip_prefix("floating point ")) {
        return format!("the number {}", number.trim_matches('`'));
    }
    match held {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "null".to_owned(),
        // An object may be spelt as a list of its values, which nobody does on purpose.
        held if held.starts_with("invalid length") => "a list".to_owned(),
        held => shortened(held.trim_start_matches("boolean ").trim_matches('`')),
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn expected_in_plain_words(expected: &str) -> &str {
    match expected {
        "a string" => "a string in quotes",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number, 0 or more",
        "f64" => "a number",
        expected => expected,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Example {
        #[serde(rename = "list")]
        _list: Option<Vec<Inner>>,
        #[serde(rename = "number")]
        _number: Option<u32>,
        #[serde(rename = "share")]
        _share: Option<f64>,
        #[serde(rename = "yes")]
        _yes: Option<bool>,
        #[serde(rename = "text")]
        _text: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Inner {
        #[serde(rename = "dst")]
        _dst: String,
    }

    fn error(json: &str, path: &str) -> String {
        decode::<Example>(json.as_bytes(), path, &mut |_| {}).unwrap_err().to_string()
    }

    #[test]
    fn every_wrong_value_is_named_in_plain_words() {
        let long = format!(r#"{{"number": "{}"}}"#, "x".repeat(1000));
        let texts = [
            r#"{"list": {"dst": "x"}}"#,
            r#"{"list": ["10.0.0.0/8"]}"#,
            r#"{"list": [[]]}"#,
            r#"{"list": [{}]}"#,
            r#"{"list": [null]}"#,
            r#"{"list": [{"dst": "a", "dst": "b"}]}"#,
            r#"{"number": -1}"#,
            r#"{"number": 1.5}"#,
            r#"{"number": 99999999999}"#,
            r#"{"number": "a, expected b"}"#,
            r#"{"number": true}"#,
            r#"{"share": "10%"}"#,
            r#"{"share": 1e999}"#,
            r#"{"yes": 1}"#,
            r#"{"text": 7}"#,
            r#"{"text": "\ud800"}"#,
            long.as_str(),
        ];
        let lines: Vec<_> = texts.into_iter().map(|json| error(json, "part")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn keys_that_no_field_takes_are_told_with_the_object_that_has_them() {
        let mut ignored = Vec::new();
        let json = br#"{"list": [{"dst": "a", "gateway": {"x": 1}}], "Number": 1, "share": 0.5}"#;
        decode::<Example>(json, "part", &mut |key| ignored.push((key.object, key.key))).unwrap();
        let told: Vec<_> = ignored.iter().map(|(object, key)| (object.as_str(), key.as_str())).collect();
        assert_eq!(told, [("part.list[0]", "gateway"), ("part", "Number")]);
    }
}
