//! Which share of the ranges a node's pods have.

use kube_ipam_policy::{Metadata, Refusal, Request, Share, list};

use crate::Settings;

/// The share of the first label whose value is a place, or else the default.
pub(crate) fn share<'a>(request: &Request, settings: &'a Settings) -> Result<Share<'a>, Refusal> {
    let node = &request.node;
    let Some(metadata) = &request.node_metadata else {
        return Err(Refusal::Denied(format!(
            "nothing is known of node {node:?}: by-topology needs \"kubernetes\": {{\"include\": [\"node\"]}} in the \
             configuration of network {:?}",
            request.network
        )));
    };
    let mut found = settings.label.iter().filter_map(|label| Some((label, metadata.label(label)?)));
    let place = found.find_map(|(label, value)| Some((label, settings.places.get_key_value(value)?)));
    if let Some((label, (value, spans))) = place {
        let setting = format!("policy.settings.places.{value}");
        return Ok(Share { whom: format!("node {node:?} ({label} {value:?})"), setting, spans });
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
