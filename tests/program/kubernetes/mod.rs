//! The whole program and an API server: who asks, fixed addresses that survive their pods, and nothing leaked.

mod clusters;
mod hand_over;
mod look_up;
mod reclaim;
mod rolling;
mod topology;
mod waiting;
mod workloads;

use std::path::Path;

use kube_ipam_tests::apiserver::{ApiServer, PodBuilder, Rule};
use kube_ipam_tests::program::network;
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the nodes' ClusterRole grants.
const NODE: [Rule; 2] = [PODS, Rule { verbs: &["get"], resources: &["replicasets"] }];
/// The same without the right to look at ReplicaSets.
const PODS: Rule = Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] };
/// What the reclaim's ClusterRole grants.
const RECLAIM: [Rule; 2] =
    [Rule { verbs: &["list"], resources: &["pods", "nodes"] }, Rule { verbs: &["get"], resources: &["namespaces"] }];
/// What is asked to learn which cluster this is.
const KUBE_SYSTEM: &str = "/api/v1/namespaces/kube-system";

/// An API server, a node with the embedded store, and a network that looks pods up.
struct Site {
    server: ApiServer,
    directory: TempDir,
    kubeconfig: String,
}

impl Site {
    /// With the double of an API server, or the real one where the tests are told of it.
    fn new() -> Self {
        Self::with(ApiServer::start())
    }

    /// With the double: it can fail on demand, and remembers what it was asked.
    fn double() -> Self {
        Self::with(ApiServer::double())
    }

    fn with(server: ApiServer) -> Self {
        server.create("namespaces", "", &json!({"metadata": {"name": "shop", "labels": {"tier": "front"}}}));
        server.node("node-1");
        let token = server.user("system:serviceaccount:kube-system:kube-ipam", &NODE);
        let kubeconfig = server.kubeconfig(&token).display().to_string();
        Self { server, directory: tempfile::tempdir().unwrap(), kubeconfig }
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// With this much more in its `ipam` section.
    fn network(&self, ipam: &Value) -> Value {
        let mut section = json!({"subnet": "10.188.0.0/24", "kubeConfig": self.kubeconfig});
        section.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        network(self.directory(), &section)
    }

    /// The same, where an ADD does not wait for a holder that is on its way out.
    fn hurried(&self, ipam: &Value) -> Value {
        let mut network = self.network(ipam);
        network["ipam"]["handOverWait"] = json!("0s");
        network
    }

    /// A running pod on node-1, yet to be created.
    fn pod(&self, name: &str) -> PodBuilder<'_> {
        self.server.pod("shop", name).on("node-1").phase("Running")
    }

    /// A running pod that wants this address. Its uid.
    fn fixed_pod(&self, name: &str, address: &str) -> String {
        self.pod(name).annotated("kube-ipam.ip", address).create()
    }

    /// What the API server was asked, in order.
    fn asked(&self) -> Vec<String> {
        self.server.requests().into_iter().map(|request| request.path_and_query).collect()
    }
}

/// ADD of a pod's sandbox, as containerd makes it without the annotations capability.
fn add(network: &Value, container: &str, pod: &str, uid: &str) -> Answer {
    Call::new("ADD", container, network).for_pod("shop", pod, uid).run()
}

fn del(network: &Value, container: &str) {
    Call::new("DEL", container, network).run().success();
}
