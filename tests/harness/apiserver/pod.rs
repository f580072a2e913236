//! Pods as tests describe them.

use serde_json::{Value, json};

use super::workload::{ReplicaSet, controller};
use super::{ApiServer, uuid};

/// A pod, yet to be created: one container, on no node, in no phase but the first.
#[derive(Debug)]
#[must_use]
pub struct PodBuilder<'server> {
    server: &'server ApiServer,
    namespace: String,
    pod: Value,
    status: Value,
}

impl<'server> PodBuilder<'server> {
    pub(super) fn new(server: &'server ApiServer, namespace: &str, name: &str) -> Self {
        let container = json!({"name": "main", "image": "pause"});
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": [container]}});
        Self { server, namespace: namespace.to_owned(), pod, status: json!({}) }
    }

    /// Bound to a node.
    pub fn on(mut self, node: &str) -> Self {
        self.pod["spec"]["nodeName"] = json!(node);
        self
    }

    /// In the network namespace of its node.
    pub fn on_host_network(mut self) -> Self {
        self.pod["spec"]["hostNetwork"] = json!(true);
        self
    }

    /// With a label.
    pub fn labelled(mut self, key: &str, value: &str) -> Self {
        self.pod["metadata"]["labels"][key] = json!(value);
        self
    }

    /// With an annotation.
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        self.pod["metadata"]["annotations"][key] = json!(value);
        self
    }

    /// Owned by an object of this kind and name.
    pub fn owned_by(self, kind: &str, name: &str) -> Self {
        self.owned_by_object(kind, name, &uuid())
    }

    /// One of this ReplicaSet's.
    pub fn of(self, set: &ReplicaSet) -> Self {
        self.owned_by_object("ReplicaSet", &set.name, &set.uid)
    }

    /// Owned by an object with this uid, or so it says.
    pub fn owned_by_object(mut self, kind: &str, name: &str, uid: &str) -> Self {
        self.pod["metadata"]["ownerReferences"] = json!([controller(kind, name, uid)]);
        self
    }

    /// In this phase.
    pub fn phase(mut self, phase: &str) -> Self {
        self.status["phase"] = json!(phase);
        self
    }

    /// With an address its status tells.
    pub fn address(mut self, address: &str) -> Self {
        self.status["podIP"] = json!(address);
        self.status["podIPs"] = json!([{"ip": address}]);
        self
    }

    /// Create it and return its uid.
    pub fn create(self) -> String {
        let uid = self.server.create("pods", &self.namespace, &self.pod);
        if self.status != json!({}) {
            let name = self.pod["metadata"]["name"].as_str().unwrap();
            self.server.patch("pods", &self.namespace, name, &json!({"status": self.status}));
        }
        uid
    }
}
