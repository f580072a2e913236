//! Who asks: an attachment, and the pod behind it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What holds an address, in the words of the CNI specification: a container's interface in a network.
/// The parts were checked when the environment was read; nothing downstream re-checks them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attachment {
    /// `name` of the network configuration.
    pub network: String,
    /// `CNI_CONTAINERID` as the runtime gave it.
    pub container: String,
    /// `CNI_IFNAME`: the interface inside the pod.
    pub interface: String,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {} interface {} in network {:?}", self.container, self.interface, self.network)
    }
}

/// A pod's name, which of the pods that bore this name it is, and in which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodName {
    pub namespace: String,
    pub name: String,
    /// `metadata.uid`; two pods of one name one after the other differ in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its cluster, when known: the uid of the namespace `kube-system`, or whatever `ipam.cluster` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

impl PodName {
    /// Whether both name one and the same pod: equal names, and equal uids where both are known. Clusters use the same
    /// names, so pods of two clusters are never the same, nor are those of which one's cluster is unknown, unless the
    /// uid says so.
    pub fn is_same_pod(&self, other: &Self) -> bool {
        if self.namespace != other.namespace || self.name != other.name {
            return false;
        }
        match (&self.uid, &other.uid) {
            (Some(one), Some(two)) if one != two => false,
            // A uid is unique in all clusters: an unknown cluster is no reason to doubt it, another cluster is.
            (Some(_), Some(_)) => self.is_in_cluster(other.cluster.as_deref()),
            // Names alone are equal in many clusters.
            _ => self.cluster == other.cluster,
        }
    }

    /// Whether the pod is known to have been created through the API, which gives every object a UUID. A static pod is
    /// made on its node and has a hash in its place, so that the API server need not know of it.
    pub fn has_uuid(&self) -> bool {
        self.uid.as_deref().is_some_and(is_uuid)
    }

    /// Whether the pod may be one of this cluster. Where either is unknown it may.
    fn is_in_cluster(&self, cluster: Option<&str>) -> bool {
        match (self.cluster.as_deref(), cluster) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Labels and annotations of an object of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The controller of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The kind of the controller, for example `StatefulSet`.
    pub kind: String,
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// A pod as far as it is known: from the runtime, or from the API server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Namespace, name and uid.
    #[serde(flatten)]
    pub name: PodName,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// `metadata.labels`; empty unless the configuration asks for them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The controller; absent unless the configuration asks for labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}
