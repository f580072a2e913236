//! The pod network of the cluster: Debian's bridge plugin, with the binary under test as its IPAM.

use serde_json::{Map, Value, json};

use super::Site;
use super::control::KUBE_IPAM;

/// The pod network, as every node gets it with its own name in it.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Keys of `ipam` that differ from the usual ones.
    differs: Map<String, Value>,
}

impl Network {
    /// How the network is called.
    pub const NAME: &'static str = "blue";

    /// The usual one: the predecessor's addresses, on etcd, with the API server, and with time to wait for a pod that ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with another value of one key of `ipam`.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.differs.insert(key.to_owned(), value);
        self
    }

    /// Its chain of plugins on a node that keeps its log in this file.
    pub(super) fn plugins(&self, node: &str, log: &std::path::Path, site: &Site) -> Vec<Value> {
        let mut ipam = json!({
            "type": "kube-ipam",
            "nodeName": node,
            "kubeConfig": site.kubeconfig(KUBE_IPAM),
            "etcdConfig": {"etcdURL": site.books},
            "subnet": "10.188.0.0/16",
            "rangeStart": "10.188.0.10",
            "rangeEnd": "10.188.0.200",
            "gateway": "10.188.0.1",
            "routes": [{"dst": "0.0.0.0/0"}],
            "timeout": "60s",
            "logFile": log,
            "logLevel": "info",
        });
        ipam.as_object_mut().unwrap().extend(self.differs.clone());
        let capabilities = json!({"io.kubernetes.cri.pod-annotations": true});
        vec![json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "capabilities": capabilities, "ipam": ipam})]
    }
}
