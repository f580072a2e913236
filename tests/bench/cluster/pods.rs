//! The pods of the cluster that is described: names as long as real ones, so that records are as large as real ones.

use kube_ipam_tests::Call;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Namespaces that pods are spread over.
const NAMESPACES: usize = 30;

/// How many pods a node has at most, by the kubelet's default.
pub(super) const PODS_OF_A_NODE: usize = 110;

/// The node whose calls are timed.
pub(super) const OUR_NODE: &str = "node-0000";

/// A pod with the container that its node has made for it.
#[derive(Clone, Debug)]
pub(super) struct BenchPod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) node: String,
    pub(super) container: String,
}

impl BenchPod {
    /// One of those that hold addresses before anything is timed. Those of [`OUR_NODE`] come first.
    pub(super) fn held(n: usize, nodes: usize) -> Self {
        let node = if n < PODS_OF_A_NODE { 0 } else { 1 + n % nodes.saturating_sub(1).max(1) };
        Self::new("held", n, &node_name(node))
    }

    /// One of a kind.
    pub(super) fn new(kind: &str, n: usize, node: &str) -> Self {
        let digest = hex(&format!("{kind} {n}"));
        let uid = [&digest[..8], &digest[8..12], &digest[12..16], &digest[16..20], &digest[20..32]].join("-");
        Self {
            namespace: format!("team-{}", n % NAMESPACES),
            name: format!("{kind}-{n}-{}-{}", &digest[32..41], &digest[41..46]),
            uid,
            node: node.to_owned(),
            container: hex(&format!("container of {kind} {n}")),
        }
    }

    /// The same pod, once its node has made a new container for it.
    pub(super) fn restarted(&self, times: usize) -> Self {
        Self { container: hex(&format!("{} {times}", self.container)), ..self.clone() }
    }

    /// A call for this pod, on a network of its node.
    pub(super) fn call(&self, verb: &str, network: &Value) -> Call {
        Call::new(verb, &self.container, network).for_pod(&self.namespace, &self.name, &self.uid)
    }

    /// The slot that it takes where its namespace has a quota: its number, for the first namespace alone.
    pub(super) fn slot(n: usize) -> Option<u32> {
        if !n.is_multiple_of(NAMESPACES) {
            return None;
        }
        u32::try_from(n / NAMESPACES).ok().filter(|number| *number < SLOTS_TAKEN)
    }
}

/// The namespace whose quota is measured, and how many of its slots are taken at most.
pub(super) const QUOTA_NAMESPACE: &str = "team-0";
const SLOTS_TAKEN: u32 = 4_000;

pub(super) fn node_name(n: usize) -> String {
    format!("node-{n:04}")
}

/// 64 hexadecimal digits, as container IDs have.
pub(super) fn hex(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}
