//! Which share of the ranges a node's pods have.

use kube_ipam_policy::{Metadata, Refusal, Request, Share, list};

use crate::Settings;

/// The share of the first label whose value is a place, or else the default.
pub(crate) fn share<'a>(request: &Request, settings: &'a Settings) -> Result<Share<'a>, Refusal> {
    let node = &request.node;
    // Not "no labels", which the default would be for: a site that forgot the setting would hand out the wrong addresses.
    let Some(metadata) = &request.node_metadata else {
        return Err(Refusal::Denied(format!(
            "nothing is known of node {node:?}: by-topology needs \"kubernetes\": {{\"include\": [\"node\"]}} in the \
             configuration of network {:?}",
            request.network
        )));
    };
    for label in settings.label.iter() {
        let Some(value) = metadata.label(label) else { continue };
        // A label may name what nobody gave addresses to, such as a rack: then the next one counts, its zone perhaps.
        if let Some(spans) = settings.places.get(value) {
            let setting = format!("policy.settings.places.{value}");
            return Ok(Share { whom: format!("node {node:?} ({label} {value:?})"), setting, spans });
        }
    }
    let whom = format!("node {node:?} ({})", list(settings.label.iter().map(|label| told(metadata, label))));
    match &settings.default {
        Some(spans) => Ok(Share { whom, setting: "policy.settings.default".to_owned(), spans }),
        None => Err(Refusal::Denied(format!(
            "{whom} has no addresses in network {:?}: policy.settings.places does not name its place and there is no \
             policy.settings.default",
            request.network
        ))),
    }
}

fn told(metadata: &Metadata, label: &str) -> String {
    match metadata.label(label) {
        Some(value) => format!("{label} {value:?}"),
        None => format!("no label {label}"),
    }
}
