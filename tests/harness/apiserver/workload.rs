//! Deployments and their ReplicaSets, as their controllers would make them. None runs here: pods are the test's own.

use serde_json::{Value, json};

use super::ApiServer;

/// A ReplicaSet that is there.
#[derive(Clone, Debug)]
pub struct ReplicaSet {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

impl ApiServer {
    /// Create a Deployment and return its uid.
    pub fn deployment(&self, namespace: &str, name: &str) -> String {
        self.create("deployments", namespace, &json!({"metadata": {"name": name}, "spec": spec(name)}))
    }

    /// Create a ReplicaSet of the Deployment with this name and uid, of this revision.
    pub fn replica_set(&self, namespace: &str, name: &str, deployment: (&str, &str), revision: u32) -> ReplicaSet {
        let metadata = json!({
            "name": name,
            "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [controller("Deployment", deployment.0, deployment.1)],
        });
        let uid = self.create("replicasets", namespace, &json!({"metadata": metadata, "spec": spec(deployment.0)}));
        ReplicaSet { name: name.to_owned(), uid }
    }

    /// Count a ReplicaSet as this revision from now on, as the undoing of a roll-out does.
    pub fn set_revision(&self, namespace: &str, set: &ReplicaSet, revision: u32) {
        let annotations = json!({"deployment.kubernetes.io/revision": revision.to_string()});
        self.patch("replicasets", namespace, &set.name, &json!({"metadata": {"annotations": annotations}}));
    }
}

pub(super) fn controller(kind: &str, name: &str, uid: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true})
}

/// What both must have.
fn spec(app: &str) -> Value {
    let container = json!({"name": "main", "image": "pause"});
    let template = json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}});
    json!({"selector": {"matchLabels": {"app": app}}, "template": template})
}
