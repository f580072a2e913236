//! NetworkAttachmentDefinitions: the objects in which Kubernetes keeps the networks of Multus, with the configuration as a
//! text inside.

use serde_json::{Value, json};

use super::report::{Place, Severity};
use super::sources::Source;
use cni::syntax::problem;

const KIND: &str = "NetworkAttachmentDefinition";

/// Take the networks of ours out of a document: an object for Multus, a list of objects, or a configuration as it is.
pub(super) fn take_apart(document: Value, place: &Place, source: &mut Source) {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if document.get("apiVersion").is_none() || kind.is_empty() {
        return source.add(&document, place);
    }
    if kind == KIND {
        return attachment(&document, place, source);
    }
    // What `kubectl get -o yaml` prints of several objects. Other kinds have nothing for us.
    if let (true, Some(Value::Array(items))) = (kind.ends_with("List"), document.get("items")) {
        for item in items {
            take_apart(item.clone(), place, source);
        }
    }
}

fn attachment(object: &Value, place: &Place, source: &mut Source) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let full_name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    let place = place.part(format!("{KIND} {full_name}").trim_end());
    match object.pointer("/spec/config") {
        Some(Value::String(config)) if !config.trim().is_empty() => match serde_json::from_str(config) {
            Ok(configuration) => {
                source.doubt_repeated_keys(config.as_bytes(), &place);
                source.add(&named(configuration, name), &place);
            }
            Err(error) => {
                let hint = "spec.config must be a string with the JSON of one .conf or .conflist".to_owned();
                source.findings.push(
                    place.error(format!("spec.config is not JSON: {}", problem(config.as_bytes(), &error)), Some(hint)),
                );
            }
        },
        None | Some(Value::Null | Value::String(_)) => {
            let message =
                format!("spec.config is empty: Multus looks for a network {name:?} among the files of its node");
            let hint = "nothing to check here; on a node: kube-ipam config check /etc/cni/net.d".to_owned();
            source.findings.push(place.finding(Severity::Note, message, Some(hint)));
        }
        Some(other) => {
            let hint = "write the JSON as a string: begin with spec.config: | and put the JSON below it".to_owned();
            source
                .findings
                .push(place.error("spec.config is not a string: the API server refuses the object", Some(hint)));
            source.add(&named(other.clone(), name), &place);
        }
    }
}

/// As Multus does: a configuration without a name is called like its object.
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
