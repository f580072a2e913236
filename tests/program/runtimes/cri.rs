//! A kubelet's part of the Container Runtime Interface: pods are run, stopped and removed over the socket of the runtime.

use std::collections::HashMap;
use std::future::Future;

use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    LinuxPodSandboxConfig, ListPodSandboxRequest, PodSandboxConfig, PodSandboxMetadata, PodSandboxStatusRequest,
    PortMapping, RemovePodSandboxRequest, RunPodSandboxRequest, StopPodSandboxRequest,
};
use kube_ipam_tests::machine::PATIENCE;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::containerd::Containerd;

/// A client of one runtime.
pub(crate) struct Cri {
    runtime: Runtime,
    client: RuntimeServiceClient<Channel>,
    cgroup: String,
}

/// A pod, yet to be run.
#[derive(Clone)]
pub(crate) struct Pod {
    name: String,
    attempt: u32,
    annotations: HashMap<String, String>,
    ports: Vec<PortMapping>,
}

impl Pod {
    /// In the namespace `shop`; its uid tells its name.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), attempt: 0, annotations: HashMap::new(), ports: Vec::new() }
    }

    pub(crate) fn annotated(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The next sandbox of the same pod.
    pub(crate) fn again(mut self) -> Self {
        self.attempt += 1;
        self
    }

    /// A port of the node that leads to the pod's port 80.
    pub(crate) fn published(mut self, port: i32) -> Self {
        self.ports.push(PortMapping { protocol: 0, container_port: 80, host_port: port, host_ip: String::new() });
        self
    }

    pub(crate) fn uid(&self) -> String {
        format!("uid-{}", self.name)
    }

    fn config(self, cgroup: &str) -> PodSandboxConfig {
        let uid = self.uid();
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                uid,
                name: self.name,
                namespace: "shop".to_owned(),
                attempt: self.attempt,
            }),
            annotations: self.annotations,
            port_mappings: self.ports,
            linux: Some(LinuxPodSandboxConfig { cgroup_parent: cgroup.to_owned(), ..Default::default() }),
            ..Default::default()
        }
    }
}

impl Cri {
    pub(crate) fn connect(containerd: &Containerd) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::try_from(format!("unix://{}", containerd.socket().display())).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        let cgroup = containerd.machine.cgroup().to_owned();
        Self { runtime, client: RuntimeServiceClient::new(channel), cgroup }
    }

    /// The ID of its sandbox, or what the kubelet would log.
    pub(crate) fn run(&self, pod: &Pod) -> Result<String, String> {
        let config = Some(pod.clone().config(&self.cgroup));
        let mut client = self.client.clone();
        let request = RunPodSandboxRequest { config, runtime_handler: String::new() };
        self.answer(client.run_pod_sandbox(request)).map(|response| response.pod_sandbox_id)
    }

    pub(crate) fn stop(&self, sandbox: &str) {
        let request = StopPodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.answer(self.client.clone().stop_pod_sandbox(request)).unwrap();
    }

    pub(crate) fn remove(&self, sandbox: &str) {
        let request = RemovePodSandboxRequest { pod_sandbox_id: sandbox.to_owned() };
        self.answer(self.client.clone().remove_pod_sandbox(request)).unwrap();
    }

    /// The pod's addresses as the kubelet reads them, the first one first.
    pub(crate) fn addresses(&self, sandbox: &str) -> Vec<String> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose: false };
        let status = self.answer(self.client.clone().pod_sandbox_status(request)).unwrap();
        let network = status.status.unwrap().network.unwrap();
        std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|more| more.ip)).collect()
    }

    /// All sandboxes the runtime knows.
    pub(crate) fn sandboxes(&self) -> Vec<String> {
        let answer = self.answer(self.client.clone().list_pod_sandbox(ListPodSandboxRequest { filter: None })).unwrap();
        answer.items.into_iter().map(|sandbox| sandbox.id).collect()
    }

    fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, String> {
        let bounded = async { timeout(PATIENCE, call).await.expect("no answer from the runtime") };
        self.runtime.block_on(bounded).map(Response::into_inner).map_err(|status| status.message().to_owned())
    }
}
