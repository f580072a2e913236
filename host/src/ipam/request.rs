//! What a policy is told, by value.

use std::net::IpAddr;

use super::attachment::{Attachment, Metadata, Pod};
use super::range_set::RangeSets;

/// One attachment asks for its addresses. Mirrors `request` of the policy world.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub attachment: Attachment,
    /// The Kubernetes node.
    pub node: String,
    /// The pod, when the runtime named one.
    pub pod: Option<Pod>,
    /// Addresses the runtime asked for.
    pub requested: Vec<IpAddr>,
    /// Addresses an older attachment of this pod and interface still holds.
    pub previous: Vec<IpAddr>,
    /// One set per address the attachment shall have.
    pub range_sets: RangeSets,
    /// How often every proposal lost its race so far.
    pub attempt: u32,
    /// Of the pod's namespace, when the configuration includes it.
    pub namespace: Option<Metadata>,
    /// Of the node, when the configuration includes it.
    pub node_metadata: Option<Metadata>,
}
