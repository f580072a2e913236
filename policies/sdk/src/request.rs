//! Who asks, and for what: plain values.

use std::net::IpAddr;

use crate::range::RangeSets;

/// One attachment asks for its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The name of the network in the CNI configuration.
    pub network: String,
    /// `CNI_CONTAINERID` of the container.
    pub container_id: String,
    /// The interface inside the pod, for example `eth0`.
    pub interface_name: String,
    /// The Kubernetes node the attachment is made on.
    pub node: String,
    /// Absent when the runtime named no pod.
    pub pod: Option<Pod>,
    /// What the runtime told of annotations where it named no pod, as podman, nomad and cnitool do.
    pub annotations: Vec<(String, String)>,
    /// Addresses the runtime asked for by `CNI_ARGS`, `args.cni.ips` or `runtimeConfig.ips`.
    pub requested: Vec<IpAddr>,
    /// Addresses that an older attachment of this very pod and interface still holds. To propose them is to take them
    /// over; the others are released.
    pub previous: Vec<IpAddr>,
    /// One set of ranges per address the attachment shall have.
    pub range_sets: RangeSets,
    /// How often every proposal lost its race so far.
    pub attempt: u32,
    /// Of the pod's namespace; absent unless the network's configuration includes namespaces.
    pub namespace: Option<Metadata>,
    /// Of the node; absent unless the network's configuration includes nodes.
    pub node_metadata: Option<Metadata>,
}

/// Labels and annotations of an object of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `metadata.labels`, in no particular order.
    pub labels: Vec<(String, String)>,
    /// `metadata.annotations`, in no particular order.
    pub annotations: Vec<(String, String)>,
}

/// The pod the addresses are for, as far as the runtime or the API server told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace`, never empty.
    pub namespace: String,
    /// `metadata.name`, never empty.
    pub name: String,
    /// `metadata.uid`; absent where neither the runtime nor the API server told it.
    pub uid: Option<String>,
    /// `metadata.annotations`, cut by the host's limits.
    pub annotations: Vec<(String, String)>,
    /// `metadata.labels`; empty unless the network's configuration asks for them.
    pub labels: Vec<(String, String)>,
    /// The controller; absent unless the network's configuration asks for labels.
    pub owner: Option<Owner>,
}

/// The controller of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kind of the controller, for example `StatefulSet`.
    pub kind: String,
    /// The controller's name, in the pod's namespace.
    pub name: String,
}

impl Request {
    /// The annotations of the pod, or of a container without one.
    pub fn annotations(&self) -> &[(String, String)] {
        self.pod.as_ref().map_or(&self.annotations, |pod| &pod.annotations)
    }

    /// The value of an annotation of the pod, or of a container without one.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        value_of(self.annotations(), name)
    }

    /// The value of a label of the pod.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.pod.as_ref().and_then(|pod| value_of(&pod.labels, name))
    }
}

impl Metadata {
    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        value_of(&self.annotations, name)
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        value_of(&self.labels, name)
    }
}

/// Some ten pairs as a rule: a map would cost more to build than the few searches do.
fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
