//! Keys that nobody understands. The plugin ignores them, because configurations are shared with main plugins; whoever
//! writes one is told. Which keys there are is read off the schema, the schema off the types that are decoded.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::synonyms::synonym;
use crate::cni::netconf;

/// The JSON Schema of the `ipam` section.
pub fn schema() -> Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<netconf::Ipam>().to_value()
}

/// A key the schema does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The object that has it, for example `ipam.ranges[0]`.
    pub path: String,
    /// The key.
    pub key: String,
    /// Where it belongs, or which key may have been meant.
    pub suggestion: Option<String>,
}

/// Every unknown key of an `ipam` section.
pub fn unknown_keys(ipam: &Value) -> Vec<UnknownKey> {
    let schema = schema();
    let mut found = Vec::new();
    search(ipam, &schema, "ipam", &mut |path, key, siblings| {
        let suggestion = suggestion(key, siblings, &schema);
        found.push(UnknownKey { path: path.to_owned(), key: key.to_owned(), suggestion });
    });
    found
}

fn search(value: &Value, schema: &Value, path: &str, found: &mut impl FnMut(&str, &str, &Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            let Some(known) = properties(schema) else { return }; // free form, as a policy's settings
            for (key, value) in object {
                match known.get(key) {
                    Some(schema) => search(value, schema, &format!("{path}.{key}"), found),
                    None => found(path, key, known),
                }
            }
        }
        Value::Array(values) => {
            let Some(items) = alternatives(schema).find_map(|schema| schema.get("items")) else { return };
            for (nth, value) in values.iter().enumerate() {
                search(value, items, &format!("{path}[{nth}]"), found);
            }
        }
        _ => {}
    }
}

/// The keys an object of this schema has; `None` where it is free form.
pub(crate) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    alternatives(schema).find_map(|schema| schema.get("properties")?.as_object())
}

/// An optional object is written as "this or null", and "this" may be "a path or an object".
fn alternatives(schema: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    let any_of = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    Box::new(std::iter::once(schema).chain(any_of.flat_map(alternatives)))
}

fn suggestion(key: &str, siblings: &Map<String, Value>, schema: &Value) -> Option<String> {
    if let Some(ours) = synonym(key, |key| siblings.contains_key(key)) {
        return Some(format!("did you mean {ours:?}?"));
    }
    let mut places = Vec::new();
    places_of(key, schema, "ipam", &mut places);
    // A shadow has settings, too; whoever misplaces some means the policy's.
    let part_of_another = |place: &String| places.iter().any(|other| is_part_of(place, other));
    let places: Vec<&String> = places.iter().filter(|place| !part_of_another(place)).collect();
    match (places.as_slice(), alike(key, siblings.keys().map(String::as_str))) {
        ([place], _) => Some(format!("it belongs into {place}")),
        (_, Some(known)) => Some(format!("did you mean {known:?}?")),
        _ => None,
    }
}

/// The known word that is most like this one, if any is.
pub fn alike<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_lowercase(), &word.to_lowercase());
    let known = known.into_iter().map(|known| (likeness(known), known));
    let best = known.max_by(|(one, _), (two, _)| one.total_cmp(two));
    best.filter(|&(likeness, _)| likeness > 0.78).map(|(_, known)| known)
}

/// Whether a place lies inside another below the section itself.
fn is_part_of(place: &str, other: &str) -> bool {
    other.contains('.') && place.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
}

/// Where in the section a key would be known.
fn places_of(key: &str, schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(items) = alternatives(schema).find_map(|schema| schema.get("items")) {
        return places_of(key, items, &format!("{path}[]"), found);
    }
    let Some(properties) = properties(schema) else { return };
    if properties.contains_key(key) {
        found.push(path.to_owned());
    }
    properties.iter().for_each(|(name, schema)| places_of(key, schema, &format!("{path}.{name}"), found));
}
