//! The kinds of objects it serves.

use serde_json::{Value, json};

/// One kind of core/v1.
#[derive(Debug)]
pub(super) struct Kind {
    /// `pods`, as in paths.
    pub(super) resource: &'static str,
    /// `Pod`.
    pub(super) name: &'static str,
    pub(super) namespaced: bool,
    pub(super) short: &'static str,
    /// What field selectors may name besides `metadata.name`.
    pub(super) fields: &'static [&'static str],
}

const PODS: Kind = Kind {
    resource: "pods",
    name: "Pod",
    namespaced: true,
    short: "po",
    fields: &[
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ],
};
const NODES: Kind =
    Kind { resource: "nodes", name: "Node", namespaced: false, short: "no", fields: &["spec.unschedulable"] };
const NAMESPACES: Kind =
    Kind { resource: "namespaces", name: "Namespace", namespaced: false, short: "ns", fields: &["status.phase"] };

impl Kind {
    pub(super) const ALL: [&'static Self; 3] = [&NAMESPACES, &NODES, &PODS];

    /// By its name in paths.
    pub(super) fn find(resource: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|kind| kind.resource == resource)
    }

    /// One that tests name.
    pub(super) fn of(resource: &str) -> &'static Self {
        Self::find(resource).unwrap_or_else(|| panic!("the double has no {resource}"))
    }

    /// What the server puts into an object that says nothing of it.
    pub(super) fn defaults(&self) -> Value {
        match self.resource {
            "pods" => json!({
                "spec": {
                    "dnsPolicy": "ClusterFirst",
                    "enableServiceLinks": true,
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            }),
            "nodes" => json!({"spec": {}, "status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}, "nodeInfo": {
                "architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "",
                "systemUUID": "",
            }}}),
            _ => json!({"spec": {"finalizers": ["kubernetes"]}}),
        }
    }

    /// The status of a new object, whatever its creator says of it; `None` where the creator's is taken.
    pub(super) fn first_status(&self) -> Option<Value> {
        match self.resource {
            "pods" => Some(json!({"phase": "Pending", "qosClass": "BestEffort"})),
            "namespaces" => Some(json!({"phase": "Active"})),
            _ => None,
        }
    }
}
