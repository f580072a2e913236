//! Keys of `ipam` that nobody understands: ADD and STATUS refuse them, and whoever writes one is told which was meant.
//! While the configuration is decoded they are only noted, for the price of a comparison. The schema, and with it the
//! suggestion, is made once there is something to say. It is read off the types that are decoded.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::beside;
use super::error::Error;
use super::synonyms::synonym;
use cni::{IgnoredKey, NetConf, netconf};
use spelling::schema::{FREE, items, properties, schema_of, search};
use spelling::{alike, is_same};

/// The JSON Schema of the `ipam` section.
pub fn schema() -> Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    settings
        .with_transform(RecursiveTransform(refuse_others))
        .into_generator()
        .into_root_schema_for::<netconf::Ipam>()
        .to_value()
}

/// So that an editor says what an ADD would.
fn refuse_others(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("patternProperties".to_owned(), json!({ format!("^{FREE}"): true }));
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
}

/// A key the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The object that has it, for example `ipam.ranges[0]`.
    pub path: String,
    pub key: String,
    /// Where it belongs, or which key may have been meant.
    pub suggestion: Option<String>,
}

impl From<UnknownKey> for Error {
    fn from(UnknownKey { path, key, suggestion }: UnknownKey) -> Self {
        Self::UnknownKey { path: format!("{path}.{}", shown(&key)), others: 0, suggestion }
    }
}

/// Refuse what an ADD cannot follow: unknown keys of what has been read so far, and keys of ours beside `ipam` that
/// decide the store or the policy.
pub(super) fn refuse(netconf: &NetConf) -> Result<(), Error> {
    let ignored = netconf.ignored();
    // The schema is made for the first of them only: it costs more than the rest of an ADD's look at its configuration.
    let mut unknown = ignored.iter().filter(|key| is_of_ipam(key));
    if let Some(IgnoredKey { object, key }) = unknown.next() {
        let suggestion = suggestion(object, key, &schema());
        let path = format!("{object}.{}", shown(key));
        return Err(Error::UnknownKey { path, others: unknown.count(), suggestion });
    }
    beside::refuse(netconf)
}

fn is_of_ipam(ignored: &IgnoredKey) -> bool {
    (ignored.object == "ipam" || ignored.object.starts_with("ipam.")) && !ignored.key.starts_with(FREE)
}

/// A key as a message can show it: not of any length, and without characters that would move a terminal's cursor.
pub(super) fn shown(key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
    if is_plain && key.len() <= 64 {
        return key.to_owned();
    }
    format!("{:?}", key.chars().take(64).collect::<String>())
}

/// Every unknown key of an `ipam` section.
pub fn unknown_keys(ipam: &Value) -> Vec<UnknownKey> {
    let schema = schema();
    let mut found = Vec::new();
    search(ipam, &schema, "ipam", &mut |path, key| {
        let suggestion = suggestion(path, key, &schema);
        found.push(UnknownKey { path: path.to_owned(), key: key.to_owned(), suggestion });
    });
    found
}

/// Which key may have been meant, or where this one belongs. `object` is the path of the object that has it.
pub(super) fn suggestion(object: &str, key: &str, schema: &Value) -> Option<String> {
    let siblings = schema_of(object, schema).and_then(properties)?;
    let names = siblings.keys().map(String::as_str);
    // From the surest to the vaguest: the key in another spelling, another tool's word for it, one of ours that stands in the
    // wrong object, a typing error.
    if let Some(name) = names.clone().find(|name| is_same(key, name)) {
        return Some(format!("did you mean {name:?}?"));
    }
    if let Some(name) = synonym(key, |name| siblings.contains_key(name)) {
        return Some(format!("did you mean {name:?}?"));
    }
    match place_of(key, schema) {
        Some((place, name)) if name == key => Some(format!("it belongs in {place}")),
        Some((place, name)) => Some(format!("did you mean {name:?}, which belongs in {place}?")),
        None => Some(format!("did you mean {:?}?", alike(key, names)?)),
    }
}

/// The one place where a key is known, and how it is spelt there.
fn place_of(key: &str, schema: &Value) -> Option<(String, String)> {
    let mut places = Vec::new();
    places_of(key, schema, "ipam", &mut places);
    // `etcdConfig` may have a kubeConfig, and a shadow has settings, too: whoever misplaces some means the outer one.
    let mut outer = places.iter().filter(|(place, _)| !places.iter().any(|(other, _)| is_inside(place, other)));
    let place = outer.next()?;
    if outer.next().is_some() { None } else { Some(place.clone()) }
}

fn is_inside(place: &str, other: &str) -> bool {
    place.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}

/// Where in the section a key would be known, and how it is spelt there.
fn places_of(key: &str, schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    if let Some(items) = items(schema) {
        return places_of(key, items, &format!("{path}[]"), found);
    }
    let Some(properties) = properties(schema) else { return };
    found.extend(properties.keys().filter(|name| is_same(key, name)).map(|name| (path.to_owned(), name.clone())));
    for (name, schema) in properties {
        places_of(key, schema, &format!("{path}.{name}"), found);
    }
}

#[cfg(test)]
mod tests;
