//! Two kinds of fields that are neither simply there nor simply absent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::decode::decode;
use super::error::Error;

/// A text, or whatever was written in its place. That is wrong only for a verb that needs the field: a DEL must not
/// stumble over the number that somebody wrote for `logLevel`.
#[derive(Clone, Debug)]
pub enum Text {
    /// As it should be.
    Text(String),
    /// The JSON of something else.
    Other(Box<RawValue>),
}

impl Text {
    /// The text; an error names the field by this path.
    pub fn read(&self, path: &str) -> Result<&str, Error> {
        match self {
            Self::Text(text) => Ok(text),
            // It could not be read as one before: this only says why.
            Self::Other(json) => decode::<String>(json.get().as_bytes(), path, &mut |_| {}).map(|_| ""),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match serde_json::from_str(json.get()) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Other(json),
        })
    }
}

/// A field that decides where addresses are kept or who chooses them. Its `null`, which a template leaves when its value was
/// forgotten, is told apart from its absence: an ADD refuses it.
#[derive(Clone, Debug, Default)]
pub enum Stated<T> {
    /// There is no such key.
    #[default]
    Absent,
    /// The key is there, and says nothing.
    Null,
    /// What the key says.
    Value(T),
}

impl<T> Stated<T> {
    /// What it says, if anything.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Whether the key is not there at all.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Stated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// The schema is that of what should be there.
macro_rules! schema_of {
    ($wrapper:ty, $inner:ty $(, $parameter:ident)?) => {
        impl$(<$parameter: JsonSchema>)? JsonSchema for $wrapper {
            fn inline_schema() -> bool {
                <$inner>::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                <$inner>::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                <$inner>::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                <$inner>::json_schema(generator)
            }
        }
    };
}

schema_of!(Text, String);
schema_of!(Stated<T>, T, T);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Example {
        text: Option<Text>,
        #[serde(default)]
        stated: Stated<String>,
    }

    fn read(json: &str) -> Example {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_whoever_reads_a_text_is_told_that_it_is_none() {
        assert_eq!(read(r#"{"text": "a\u0062"}"#).text.unwrap().read("t").unwrap(), "ab");
        assert!(read(r#"{"text": null}"#).text.is_none() && read("{}").text.is_none());
        for (json, expected) in [
            (r#"{"text": 7}"#, "t is the number 7: expected a string in quotes"),
            (r#"{"text": {"a": []}}"#, "t is an object: expected a string in quotes"),
        ] {
            assert_eq!(read(json).text.unwrap().read("t").unwrap_err().to_string(), expected);
        }
        assert!(read(r#"{"text": "\ud800"}"#).text.unwrap().read("t").is_err());
    }

    #[test]
    fn null_is_told_apart_from_absence() {
        assert!(read("{}").stated.is_absent());
        assert!(matches!(read(r#"{"stated": null}"#).stated, Stated::Null));
        assert_eq!(read(r#"{"stated": ""}"#).stated.value().unwrap(), "");
    }
}
