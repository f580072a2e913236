//! What the scenarios apply: pods that wait to be ended, and what makes pods.

use kube_ipam_tests::cluster::ABSENT_IMAGE;
use kube_ipam_tests::image;
use serde_json::{Map, Value, json};

/// A Deployment, a StatefulSet or a pod by itself, all made of one kind of pod.
#[derive(Clone)]
pub(crate) struct Workload {
    kind: &'static str,
    name: String,
    annotations: Map<String, Value>,
    /// How many seconds a pod takes to end.
    ending: u32,
    /// Fields of `spec` beside the template.
    spec: Map<String, Value>,
}

impl Workload {
    /// One replica, with the strategy that Kubernetes gives it.
    pub(crate) fn deployment(name: &str) -> Self {
        Self::of("Deployment", name)
    }

    pub(crate) fn stateful_set(name: &str) -> Self {
        let set = Self::of("StatefulSet", name);
        set.spec("serviceName", json!(name)).spec("podManagementPolicy", json!("Parallel"))
    }

    pub(crate) fn pod(name: &str) -> Self {
        Self::of("Pod", name)
    }

    fn of(kind: &'static str, name: &str) -> Self {
        Self { kind, name: name.to_owned(), annotations: Map::new(), ending: 0, spec: Map::new() }
    }

    pub(crate) fn replicas(self, replicas: u32) -> Self {
        self.spec("replicas", json!(replicas))
    }

    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), json!(value));
        self
    }

    /// Its pods want this address, as the predecessor's documentation has it.
    pub(crate) fn fixed(self, address: &str) -> Self {
        self.annotated("kube-ipam.ip", address)
            .annotated("kube-ipam.netmask", "255.255.0.0")
            .annotated("kube-ipam.gateway", "10.188.0.1")
    }

    /// Its pods go on for this long after they are told to end.
    pub(crate) fn ending_slowly(mut self, seconds: u32) -> Self {
        self.ending = seconds;
        self
    }

    pub(crate) fn spec(mut self, field: &str, value: Value) -> Self {
        self.spec.insert(field.to_owned(), value);
        self
    }

    /// For the kubelet, or for `kubectl apply`.
    pub(crate) fn object(&self, namespace: &str) -> Value {
        let labels = json!({"app": self.name});
        if self.kind == "Pod" {
            let metadata =
                json!({"name": self.name, "namespace": namespace, "labels": labels, "annotations": self.annotations});
            return json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.pod_spec()});
        }
        let template = json!({
            "metadata": {"labels": labels, "annotations": self.annotations},
            "spec": self.pod_spec(),
        });
        let mut spec = json!({"selector": {"matchLabels": labels}, "template": template});
        spec.as_object_mut().unwrap().extend(self.spec.clone());
        json!({
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": spec,
        })
    }

    fn pod_spec(&self) -> Value {
        let script = format!("trap 'busybox sleep {}; exit 0' TERM; busybox sleep 1000000 & wait", self.ending);
        json!({
            "containers": [{
                "name": "app",
                "image": image::NAME,
                "imagePullPolicy": "Never",
                "command": ["sh", "-c", script],
            }],
            "automountServiceAccountToken": false,
            "dnsPolicy": "Default",
        })
    }
}

/// `kubectl set image` to what no node has: the new pod gets its sandbox and never starts.
pub(crate) fn to_an_absent_image() -> String {
    format!("app={ABSENT_IMAGE}")
}
