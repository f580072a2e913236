//! A part of the configuration that nobody has looked at yet.
//!
//! DEL and GC must work whatever happened to the ranges or the policy since the ADD, CHECK whatever happened to the
//! policy. So the mirror of the JSON keeps such parts as text; whoever wants one reads it, and only then can it be wrong.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::decode::{IgnoredKey, decode};
use super::error::Error;

/// The JSON text of a `T`.
pub struct Unread<T> {
    json: Box<RawValue>,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Unread<T> {
    /// Read it, whatever other keys it has. Errors name fields from `path` on.
    pub fn read(&self, path: &str) -> Result<T, Error> {
        self.read_noting(path, &mut |_| {})
    }

    /// Read it, and tell which keys no field takes.
    pub(super) fn read_noting(&self, path: &str, ignored: &mut dyn FnMut(IgnoredKey)) -> Result<T, Error> {
        // A second look at a few hundred bytes, and only by whoever needs the part.
        decode(self.json.get().as_bytes(), path, ignored)
    }
}

impl<T> Unread<T> {
    /// As it was written.
    pub fn json(&self) -> &str {
        self.json.get()
    }
}

impl<'de, T> Deserialize<'de> for Unread<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { json: Box::deserialize(deserializer)?, of: PhantomData })
    }
}

/// For a field whose `null` means something else than its absence: `default` makes `None` of the latter.
pub(super) fn even_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<T: JsonSchema> JsonSchema for Unread<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T> fmt::Debug for Unread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.json.get())
    }
}

impl<T> Clone for Unread<T> {
    fn clone(&self) -> Self {
        Self { json: self.json.clone(), of: PhantomData }
    }
}
