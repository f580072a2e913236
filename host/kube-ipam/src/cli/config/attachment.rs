//! NetworkAttachmentDefinitions: the Kubernetes objects for networks of Multus. Each has a configuration as a string in it.

use serde_json::{Value, json};

use super::report::{Place, Severity};
use super::sources::ConfigSource;
use cni::syntax::problem;

const KIND: &str = "NetworkAttachmentDefinition";

/// Adds the kube-ipam networks of a document to its source. The document is an object for Multus, a list of objects, or a
/// configuration as it is.
pub(super) fn take_apart(document: Value, place: &Place, source: &mut ConfigSource) {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if document.get("apiVersion").is_none() || kind.is_empty() {
        return source.add(&document, place);
    }
    if kind == KIND {
        return attachment(&document, place, source);
    }
    // A list is what `kubectl get -o yaml` prints of several objects. Other kinds have no networks.
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = document.get("items")
    {
        for item in items {
            take_apart(item.clone(), place, source);
        }
    }
}

fn attachment(object: &Value, place: &Place, source: &mut ConfigSource) {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let name = metadata["name"].as_str().unwrap_or_default();
    let full_name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let place = place.part(format!("{KIND} {full_name}").trim_end());
    match &object["spec"]["config"] {
        Value::String(config) if !config.trim().is_empty() => match serde_json::from_str(config) {
            Ok(configuration) => {
                source.doubt_repeated_keys(config.as_bytes(), &place);
                source.add(&named(configuration, name), &place);
            }
            Err(error) => {
                let message = format!("spec.config is not JSON: {}", problem(config.as_bytes(), &error));
                let hint = "spec.config must be a string with the JSON of one .conf or .conflist".to_owned();
                source.findings.push(place.error(message, Some(hint)));
            }
        },
        Value::Null | Value::String(_) => {
            let message =
                format!("spec.config is empty: Multus looks for a network {name:?} among the files of its node");
            let hint = "nothing to check here; on a node: kube-ipam config check /etc/cni/net.d".to_owned();
            source.findings.push(place.finding(Severity::Note, message, Some(hint)));
        }
        other => {
            let message = "spec.config is not a string: the API server refuses the object";
            let hint = "write the JSON as a string: begin with spec.config: | and put the JSON below it".to_owned();
            source.findings.push(place.error(message, Some(hint)));
            // The author gets the rest of the findings in the same run.
            source.add(&named(other.clone(), name), &place);
        }
    }
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
