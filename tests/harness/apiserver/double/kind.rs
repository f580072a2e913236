//! The kinds of objects it serves.

use serde_json::{Value, json};

use super::super::group_of;

/// One kind of core/v1 or apps/v1.
#[derive(Debug)]
pub(super) struct Kind {
    /// Empty for the core.
    pub(super) group: &'static str,
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
    group: "",
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
const NODES: Kind = Kind {
    group: "",
    resource: "nodes",
    name: "Node",
    namespaced: false,
    short: "no",
    fields: &["spec.unschedulable"],
};
const NAMESPACES: Kind = Kind {
    group: "",
    resource: "namespaces",
    name: "Namespace",
    namespaced: false,
    short: "ns",
    fields: &["status.phase"],
};
const REPLICA_SETS: Kind = Kind {
    group: "apps",
    resource: "replicasets",
    name: "ReplicaSet",
    namespaced: true,
    short: "rs",
    fields: &["metadata.namespace", "status.replicas"],
};
const DEPLOYMENTS: Kind = Kind {
    group: "apps",
    resource: "deployments",
    name: "Deployment",
    namespaced: true,
    short: "deploy",
    fields: &["metadata.namespace"],
};

impl Kind {
    pub(super) const ALL: [&'static Self; 5] = [&NAMESPACES, &NODES, &PODS, &REPLICA_SETS, &DEPLOYMENTS];

    /// By its group and its name in paths.
    pub(super) fn find(group: &str, resource: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|kind| kind.group == group && kind.resource == resource)
    }

    /// `v1` or `apps/v1`.
    pub(super) fn version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    /// One that tests name.
    pub(super) fn of(resource: &str) -> &'static Self {
        Self::find(group_of(resource), resource).unwrap_or_else(|| panic!("the double has no {resource}"))
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
            "namespaces" => json!({"spec": {"finalizers": ["kubernetes"]}}),
            _ => json!({"spec": {"replicas": 1}}),
        }
    }

    /// The status of a new object, whatever its creator says of it; `None` where the creator's is taken.
    pub(super) fn first_status(&self) -> Option<Value> {
        match self.resource {
            "pods" => Some(json!({"phase": "Pending", "qosClass": "BestEffort"})),
            "namespaces" => Some(json!({"phase": "Active"})),
            "replicasets" => Some(json!({"replicas": 0})),
            "deployments" => Some(json!({})),
            _ => None,
        }
    }
}
