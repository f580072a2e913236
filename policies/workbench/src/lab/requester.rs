//! Who asks in a world, and what a cluster would tell of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::world::attachment;
use cni::args::Requested;
use ipam::{Attachment, Metadata, Pod};
use kube_ipam::verbs::add::metadata::RequesterMetadata;
use store::Requester;

/// An attachment that asks for addresses, with all that the runtime and the API server would tell of it.
#[derive(Clone, Debug)]
pub struct TrialRequester {
    pub attachment: Attachment,
    /// The name of its Kubernetes node.
    pub node: String,
    pub pod: Option<Pod>,
    /// The annotations of a container without a pod, as a runtime passes them.
    pub annotations: BTreeMap<String, String>,
    /// Labels and annotations of the pod's namespace, where the network includes them.
    pub namespace: Option<Metadata>,
    /// Labels and annotations of the node, where the network includes them.
    pub node_metadata: Option<Metadata>,
    /// Addresses that the runtime asks for by name.
    pub requested: Vec<IpAddr>,
}

impl TrialRequester {
    /// A container without a pod on `node-1`.
    pub fn container(container: &str) -> Self {
        Self {
            attachment: attachment(container),
            node: "node-1".to_owned(),
            pod: None,
            annotations: BTreeMap::new(),
            namespace: None,
            node_metadata: None,
            requested: Vec::new(),
        }
    }

    /// The addresses that the runtime asks for, as it passes them.
    pub(super) fn requested(&self) -> Vec<Requested> {
        self.requested.iter().map(|&address| Requested { address, prefix_length: None }).collect()
    }
}

impl From<&TrialRequester> for Requester {
    fn from(requester: &TrialRequester) -> Self {
        Self {
            attachment: requester.attachment.clone(),
            node: requester.node.clone(),
            machine: String::new(),
            pod: requester.pod.as_ref().map(|pod| pod.name.clone()),
        }
    }
}

impl From<&TrialRequester> for RequesterMetadata {
    fn from(requester: &TrialRequester) -> Self {
        Self {
            pod: requester.pod.clone(),
            annotations: requester.annotations.clone(),
            namespace: requester.namespace.clone(),
            node: requester.node_metadata.clone(),
            confirmed: false,
        }
    }
}
