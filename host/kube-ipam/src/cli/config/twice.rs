//! Keys that one JSON object has twice. A reader that makes a map of the object never sees the first of them.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::report::{ConfigFinding, Place};

/// Warns of keys that one JSON object has twice, which readers of JSON understand differently.
pub(super) fn doubts(json: &[u8], place: &Place) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    for path in keys_written_twice(json) {
        let message = format!("{path} is written twice: runtimes take the last value and drop the others");
        findings.push(place.warning(message, Some("remove all but one".to_owned())));
    }
    findings
}

/// The paths of keys that an object has more than once, each as often as it is repeated. Empty for a text that is not JSON.
fn keys_written_twice(json: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let walk = Walk { path: String::new(), found: &mut found };
    match walk.deserialize(&mut serde_json::Deserializer::from_slice(json)) {
        Ok(()) => found,
        Err(_) => Vec::new(),
    }
}

/// A value at a path, of which only the keys are looked at.
struct Walk<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if !keys.insert(key) {
                self.found.push(path.clone());
            }
            map.next_value_seed(Walk { path, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut nth = 0;
        while seq.next_element_seed(Walk { path: format!("{}[{nth}]", self.path), found: &mut *self.found })?.is_some()
        {
            nth += 1;
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_key_is_told_by_its_path() {
        let json = br#"{"ipam": {"subnet": "a", "routes": [{"dst": 1}, {"dst": 1, "dst": null}], "subnet": "b"}, "x": 1.5, "ipam": true}"#;
        assert_eq!(keys_written_twice(json), ["ipam.routes[1].dst", "ipam.subnet", "ipam"]);
        assert_eq!(keys_written_twice(br#"{"a": {"b": -1}, "b": {"b": []}}"#), [""; 0]);
        assert_eq!(keys_written_twice(br#"{"a": 1, "a":"#), [""; 0]);
    }
}
