//! A broken property as a test case for `kube-ipam policy test`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::annotations::is_ours;
use super::scene::Scene;
use crate::lab::TrialRequester;
use ipam::{Kind, Metadata, Span};

/// The file of a test case.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Case<'a> {
    pub(super) about: String,
    #[serde(flatten)]
    pub(super) steps: &'a Steps,
}

/// Everything of a test case but its title: the network, what is held in it, and the steps.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Steps {
    network: Map<String, Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    settings: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    held: Vec<Held>,
    steps: Vec<Step>,
}

/// Addresses that are held. Dynamic ones count as claimed last.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Held {
    Fixed(String),
    Dynamic { address: String, kind: Kind },
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Step {
    #[serde(flatten)]
    pub(super) action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Expect>,
}

/// What happens in a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Allocate(Box<Who>),
    Contend(Vec<Who>),
    Release(String),
    Advance(String),
}

/// A requester as it is written into the case.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Metadata>,
    node: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_metadata: Option<Metadata>,
    container: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requested: Vec<IpAddr>,
}

/// What should come of a step. The keys are those of a case's expectation.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Expect {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inside: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outside: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Box<Self>>,
}

impl Steps {
    pub(super) fn new(
        network: &Map<String, Value>,
        settings: &Map<String, Value>,
        held: &[(Span, Kind)],
        steps: Vec<Step>,
    ) -> Self {
        let mut written = Vec::new();
        for (span, kind) in held {
            written.push(match kind {
                Kind::Fixed => Held::Fixed(span.to_string()),
                Kind::Dynamic => Held::Dynamic { address: span.to_string(), kind: *kind },
            });
        }
        Self { network: network.clone(), settings: settings.clone(), held: written, steps }
    }
}

impl Expect {
    /// An address, whichever it is.
    pub(super) fn served(scene: &Scene) -> Self {
        let ranges = scene.range_sets.iter().flat_map(|set| set.ranges());
        Self { inside: ranges.map(|range| range.subnet().to_string()).collect(), ..Self::default() }
    }

    /// An address for each of several requesters.
    pub(super) fn all_served(scene: &Scene) -> Self {
        Self { all: Some(Box::new(Self::served(scene))), ..Self::default() }
    }

    /// A refusal where the requester names something, and otherwise an address.
    pub(super) fn no_fault(scene: &Scene, requester: &TrialRequester) -> Self {
        let annotations = requester.pod.iter().flat_map(|pod| pod.annotations.keys());
        let names_something = !requester.requested.is_empty() || annotations.map(String::as_str).any(is_ours);
        if names_something { Self::refused("invalid", None) } else { Self::served(scene) }
    }

    /// An address, but none of these.
    pub(super) fn none_of(addresses: &[IpAddr]) -> Self {
        Self { outside: addresses.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// A refusal of this kind whose text has this in it.
    pub(super) fn refused(kind: &'static str, says: Option<&str>) -> Self {
        Self { refused: Some(kind), says: says.map(str::to_owned), ..Self::default() }
    }

    /// An answer, whichever it is, that costs no more fuel.
    pub(super) fn within(fuel: u64) -> Self {
        Self { fuel: Some(fuel), ..Self::default() }
    }
}

impl From<&TrialRequester> for Who {
    fn from(requester: &TrialRequester) -> Self {
        let pod = requester.pod.as_ref();
        Self {
            pod: pod.map(|pod| pod.name.to_string()),
            uid: pod.and_then(|pod| pod.name.uid.clone()),
            annotations: pod.map(|pod| pod.annotations.clone()).unwrap_or_default(),
            labels: pod.map(|pod| pod.labels.clone()).unwrap_or_default(),
            owner: pod.and_then(|pod| pod.owner.as_ref()).map(|owner| format!("{}/{}", owner.kind, owner.name)),
            namespace: requester.namespace.clone(),
            node: requester.node.clone(),
            node_metadata: requester.node_metadata.clone(),
            container: requester.attachment.container.clone(),
            requested: requester.requested.clone(),
        }
    }
}
