//! The words that a JSON Schema has, and those of a document that it does not have.

use serde_json::{Map, Value};

/// Keys that begin with this are for whoever writes the document: comments, anchors, notes.
pub const FREE: &str = "x-";

/// The setting that may have been meant by one that the schema of a policy does not have; both are JSON texts.
pub fn nearest_setting(settings: &str, schema: &str) -> Option<String> {
    let (settings, schema): (Value, Value) = (serde_json::from_str(settings).ok()?, serde_json::from_str(schema).ok()?);
    let mut nearest = None;
    search(&settings, &schema, "settings", &mut |object, key| {
        let Some(known) = schema_of(object, &schema).and_then(properties) else { return };
        let name = super::nearest(key, known.keys().map(String::as_str));
        nearest = nearest.take().or_else(|| Some(format!("policy.{object}.{}", name?)));
    });
    nearest
}

/// Tell the path and the key of each key that the schema does not have.
pub fn search(value: &Value, schema: &Value, path: &str, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(object) => {
            let Some(known) = properties(schema) else { return }; // free form
            for (key, value) in object.iter().filter(|(key, _)| !key.starts_with(FREE)) {
                match known.get(key) {
                    Some(schema) => search(value, schema, &format!("{path}.{key}"), found),
                    None => found(path, key),
                }
            }
        }
        Value::Array(values) => {
            let Some(items) = items(schema) else { return };
            for (nth, value) in values.iter().enumerate() {
                search(value, items, &format!("{path}[{nth}]"), found);
            }
        }
        _ => {}
    }
}

/// The schema of what a list of this schema holds.
pub fn items(schema: &Value) -> Option<&Value> {
    alternatives(schema).find_map(|schema| schema.get("items"))
}

/// The keys an object of this schema has; `None` where it is free form.
pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    alternatives(schema).find_map(|schema| schema.get("properties")?.as_object())
}

/// An optional object is written as "this or null", and "this" may be "a path or an object".
fn alternatives(schema: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    let any_of = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    Box::new(std::iter::once(schema).chain(any_of.flat_map(alternatives)))
}

/// The schema of the object with this path, for example `ipam.ranges[0][1]`.
pub fn schema_of<'a>(object: &str, schema: &'a Value) -> Option<&'a Value> {
    object.split('.').skip(1).try_fold(schema, |schema, part| {
        let (name, indexes) = part.split_once('[').map_or((part, 0), |(name, rest)| (name, rest.matches(']').count()));
        (0..indexes).try_fold(properties(schema)?.get(name)?, |schema, _| items(schema))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_nearest_setting_is_that_of_the_modules_schema() {
        let schema = json!({
            "properties": {"strategy": {"enum": ["hash"]}, "limits": {"properties": {"perNode": {"type": "integer"}}}},
            "additionalProperties": false,
        });
        let nearest = |settings: Value| nearest_setting(&settings.to_string(), &schema.to_string()).unwrap_or_default();
        assert_eq!(nearest(json!({"strategie": "hash"})), "policy.settings.strategy");
        assert_eq!(nearest(json!({"strategy": "hash", "limits": {"per_node": 1}})), "policy.settings.limits.perNode");
        assert_eq!(nearest(json!({"strategy": 7})), "");
        assert_eq!(nearest(json!({"colour": "red"})), "");
        assert_eq!(nearest_setting("{}", "no schema"), None);
    }
}
