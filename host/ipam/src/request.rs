//! What a policy is told, by value.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::attachment::{Attachment, Metadata, Pod};
use super::range_set::RangeSets;

/// One attachment asks for its addresses. Mirrors `request` of the policy world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pub attachment: Attachment,
    #[serde(default)]
    pub node: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// What the runtime told of annotations where it named no pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Addresses the runtime asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<IpAddr>,
    /// Addresses an older attachment of this pod and interface still holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<IpAddr>,
    /// One set per address the attachment shall have.
    pub range_sets: RangeSets,
    /// How often every proposal lost its race so far.
    #[serde(default)]
    pub attempt: u32,
    /// Of the pod's namespace, when the configuration includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Metadata>,
    /// Of the node, when the configuration includes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_metadata: Option<Metadata>,
}
