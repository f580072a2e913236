//! NetworkAttachmentDefinitions: the Kubernetes objects for networks of Multus. Each has a configuration as a string in it.

use serde_json::{Value, json};

use super::report::{ConfigFinding, Place, Severity};
use super::twice;
use cni::syntax::problem;

const KIND: &str = "NetworkAttachmentDefinition";

/// A configuration taken out of a document.
pub(super) struct Unpacked {
    pub(super) place: Place,
    /// Absent where an object has none, or none that can be read.
    pub(super) configuration: Option<Value>,
    /// What is wrong with the object around it.
    pub(super) findings: Vec<ConfigFinding>,
}

/// Takes the configurations out of a document, which is an object for Multus, a list of objects, or a configuration as it
/// is.
pub(super) fn unpack(document: Value, place: &Place) -> Vec<Unpacked> {
    let kind = document["kind"].as_str().unwrap_or_default();
    if document.get("apiVersion").is_none() || kind.is_empty() {
        return vec![Unpacked { place: place.clone(), configuration: Some(document), findings: Vec::new() }];
    }
    if kind == KIND {
        return vec![unpack_attachment(&document, place)];
    }
    let mut unpacked = Vec::new();
    // A list is what `kubectl get -o yaml` prints of several objects. Other kinds have no networks.
    if kind.ends_with("List")
        && let Value::Array(items) = &document["items"]
    {
        for item in items {
            unpacked.extend(unpack(item.clone(), place));
        }
    }
    unpacked
}

fn unpack_attachment(object: &Value, place: &Place) -> Unpacked {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let name = metadata["name"].as_str().unwrap_or_default();
    let full_name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let place = place.part(format!("{KIND} {full_name}").trim_end());
    let (mut configuration, mut findings) = (None, Vec::new());
    match &object["spec"]["config"] {
        Value::String(config) if !config.trim().is_empty() => match serde_json::from_str(config) {
            Ok(inner) => {
                findings = twice::doubts(config.as_bytes(), &place);
                configuration = Some(named(inner, name));
            }
            Err(error) => {
                let message = format!("spec.config is not JSON: {}", problem(config.as_bytes(), &error));
                let hint = "spec.config must be a string with the JSON of one .conf or .conflist".to_owned();
                findings.push(place.error(message, Some(hint)));
            }
        },
        Value::Null | Value::String(_) => {
            let message =
                format!("spec.config is empty: Multus looks for a network {name:?} among the files of its node");
            let hint = "nothing to check here; on a node: kube-ipam config check /etc/cni/net.d".to_owned();
            findings.push(place.finding(Severity::Note, message, Some(hint)));
        }
        other => {
            let message = "spec.config is not a string: the API server refuses the object";
            let hint = "write the JSON as a string: begin with spec.config: | and put the JSON below it".to_owned();
            findings.push(place.error(message, Some(hint)));
            // Checked all the same, so that the author gets the other findings in the same run.
            configuration = Some(named(other.clone(), name));
        }
    }
    Unpacked { place, configuration, findings }
}

/// Gives a configuration without a name that of its object, as Multus does.
fn named(mut configuration: Value, name: &str) -> Value {
    let given = configuration.get("name").and_then(Value::as_str).unwrap_or_default();
    if !given.is_empty() || name.is_empty() {
        return configuration;
    }
    if let Value::Object(configuration) = &mut configuration {
        configuration.insert("name".to_owned(), json!(name));
    }
    configuration
}
