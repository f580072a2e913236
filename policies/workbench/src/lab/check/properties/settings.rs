//! What `validate-settings` says, and whether it is true.

use serde_json::{Map, Value, json};

use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Broken, Finding, Ill, Trial, ill};
use engine::PolicyError;

/// Texts that are not a JSON object, so that no policy can accept them.
const GARBAGE: [&str; 14] =
    ["", " ", "null", "true", "1", "\"text\"", "[]", "[{}]", "{", "{\"a\":", "{}}", "{\"a\" 1}", "nonsense", "\u{0}"];

/// A depth that no settings have. A reader that recurses may overflow its stack on it.
const DEEP: usize = 1_000;

/// Garbage is refused; what is accepted in place of the settings can be used.
pub(super) fn are_validated(bench: &Bench, scene: &Scene) -> Finding {
    let settings = Value::Object(bench.settings.clone()).to_string();
    let cut = settings.floor_char_boundary(scene.choice % settings.len());
    let garbage = [
        GARBAGE[scene.choice % GARBAGE.len()].to_owned(),
        settings[..cut].to_owned(),
        format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)),
        format!("{settings}{}", &GARBAGE[scene.choice % 3 + 2]),
    ];
    for text in garbage {
        match bench.policy.validate_settings(&text) {
            Err(PolicyError::Settings { .. }) => {}
            Ok(()) => {
                let what = format!("validate-settings accepts {}, which is not a JSON object", short(&text));
                return Err(Broken::plainly(what));
            }
            Err(error) => return Err(Broken::plainly(format!("given the settings {}: {error}", short(&text)))),
        }
    }
    let Some(changed) = changed(&bench.settings, scene.choice) else { return Ok(true) };
    match bench.policy.validate_settings(&Value::Object(changed.clone()).to_string()) {
        Err(PolicyError::Settings { .. }) => Ok(true),
        Err(error) => Err(Broken::plainly(format!("given the settings {}: {error}", json!(changed)))),
        Ok(()) => can_be_used(bench, scene, changed),
    }
}

fn can_be_used(bench: &Bench, scene: &Scene, changed: Map<String, Value>) -> Finding {
    let trial = Trial::with_settings(bench, scene, changed)?;
    let proposed = trial.propose(&scene.requester, 0, &[]);
    match proposed.verdict.as_ref().err().and_then(ill) {
        Some(Ill::Faulted(why)) => {
            let what = format!("validate-settings accepts these settings, but then {why}");
            Err(trial.broken_asking(&scene.requester, what, Expect::served(scene)))
        }
        _ => Ok(true),
    }
}

/// The settings with one value, anywhere in them, replaced by one of another type.
fn changed(settings: &Map<String, Value>, choice: usize) -> Option<Map<String, Value>> {
    let values = [json!(null), json!(true), json!(-1), json!(1e300), json!(""), json!("text"), json!([]), json!({})];
    let mut whole = Value::Object(settings.clone());
    let places = count(&whole).saturating_sub(1);
    if places == 0 {
        return None;
    }
    let mut nth = choice % places + 1;
    *find(&mut whole, &mut nth)? = values[choice / places % values.len()].clone();
    whole.as_object().cloned()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The n-th value, the whole being number 0.
fn find<'a>(value: &'a mut Value, nth: &mut usize) -> Option<&'a mut Value> {
    if *nth == 0 {
        return Some(value);
    }
    *nth -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| find(value, nth)),
        Value::Object(map) => map.values_mut().find_map(|value| find(value, nth)),
        _ => None,
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}… ({} bytes)", &text[..at], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_changed_in_its_turn() {
        let settings = json!({"a": {"b": [1, 2]}, "c": 3});
        let settings = settings.as_object().unwrap();
        let all: Vec<Value> = (0..6).map(|choice| json!(changed(settings, choice).unwrap())).collect();
        assert_eq!(all[0], json!({"a": null, "c": 3}));
        assert_eq!(all[1], json!({"a": {"b": null}, "c": 3}));
        assert_eq!(all[2], json!({"a": {"b": [null, 2]}, "c": 3}));
        assert_eq!(all[3], json!({"a": {"b": [1, null]}, "c": 3}));
        assert_eq!(all[4], json!({"a": {"b": [1, 2]}, "c": null}));
        assert_eq!(all[5], json!({"a": true, "c": 3}));
        assert_eq!(changed(&Map::new(), 7), None);
    }
}
