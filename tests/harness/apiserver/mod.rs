//! A Kubernetes API server with pods, nodes and namespaces: a double inside the test, or the real one.
//!
//! ```text
//!   ApiServer::start()   the double, or the real server that KUBE_IPAM_APISERVER names
//!   ApiServer::double()  the double, for what a real server does not do on demand: faults, a record of requests
//!        │
//!        ├─ double/      HTTPS on loopback; read-only for its clients, changed by the test through the methods below
//!        └─ real.rs      kube-apiserver on real etcd; changed by the same methods, through its REST API
//! ```
//!
//! One module of tests, `tests/program/apiserver`, runs against both, so that the double stays as strict as the real
//! one. What it does not serve (watches, writes, set-based selectors) it refuses aloud with 501 or 405.

mod client;
mod double;
mod kubeconfig;
mod pod;
mod real;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use client::{Reply, Request};
pub use pod::PodBuilder;
pub use workload::ReplicaSet;

use crate::authority::Authority;
use double::Double;
use real::Real;
pub(crate) use real::{TOKENS, server};

/// What a user may do, in every namespace. `*` is everything.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `get`, `list`, …
    pub verbs: &'static [&'static str],
    /// `pods`, `nodes`, …
    pub resources: &'static [&'static str],
}

/// A request as the double got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// `GET`, …
    pub method: String,
    /// As it was sent.
    pub path_and_query: String,
    /// Who asked; `None` when the token was refused.
    pub user: Option<String>,
}

/// What the double does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It answers, this much later.
    Slow(Duration),
    /// It sends half an answer and closes the connection.
    Cut,
    /// It sends half an answer and then nothing more.
    Stall,
    /// It says 200 and sends what is not JSON.
    Garbage,
    /// 429 with a `Status`, to be tried again after some seconds.
    TooManyRequests {
        /// How many.
        retry_after: u32,
    },
    /// 429 in plain text, as the limit on requests in flight answers.
    Overloaded,
    /// 500: etcd did not answer.
    InternalError,
    /// 503.
    Unavailable,
    /// 410 to whoever asks for another page of a list: what it began with is forgotten. Other requests are answered.
    Compacted,
}

const ONLY_THE_DOUBLE: &str = "the real server cannot do this: start ApiServer::double()";

/// A running API server. Gone when it goes out of scope.
#[derive(Debug)]
pub struct ApiServer {
    backend: Backend,
    authority: Authority,
    directory: TempDir,
}

#[derive(Debug)]
enum Backend {
    Double(Double),
    Real(Box<Real>),
}

/// What either can do.
trait Cluster {
    fn port(&self) -> u16;
    fn create(&self, resource: &str, namespace: &str, object: &Value) -> String;
    fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value);
    fn delete(&self, resource: &str, namespace: &str, name: &str, gracefully: bool);
    fn uid(&self, resource: &str, namespace: &str, name: &str) -> String;
    fn compact(&self);
    fn user(&self, name: &str, rules: &[Rule]) -> String;
}

impl ApiServer {
    /// The double, or the real server that `KUBE_IPAM_APISERVER` names.
    pub fn start() -> Self {
        match std::env::var_os("KUBE_IPAM_APISERVER").filter(|program| !program.is_empty()) {
            None => Self::double(),
            Some(program) => Self::on(|authority| Backend::Real(Real::start(Path::new(&program), authority).into())),
        }
    }

    /// The double, whatever the environment says.
    pub fn double() -> Self {
        Self::on(|authority| Backend::Double(Double::start(authority)))
    }

    fn on(start: impl FnOnce(&Authority) -> Backend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path());
        Self { backend: start(&authority), authority, directory }
    }

    /// Where it is: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.cluster().port())
    }

    /// Who signed its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A directory that lives as long.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A pod, yet to be created.
    pub fn pod(&self, namespace: &str, name: &str) -> PodBuilder<'_> {
        PodBuilder::new(self, namespace, name)
    }

    /// Which cluster it is: the uid of the namespace `kube-system`.
    pub fn cluster_uid(&self) -> String {
        self.cluster().uid("namespaces", "", "kube-system")
    }

    /// The uid of an object that is there.
    pub fn uid(&self, resource: &str, namespace: &str, name: &str) -> String {
        self.cluster().uid(resource, namespace, name)
    }

    /// Create a node and return its uid.
    pub fn node(&self, name: &str) -> String {
        self.create("nodes", "", &json!({"metadata": {"name": name}}))
    }

    /// Create an object, with its namespace where there is none yet, and return its uid. As by the real server's
    /// clients, the status of a pod is not set so, see [`ApiServer::patch`].
    pub fn create(&self, resource: &str, namespace: &str, object: &Value) -> String {
        self.cluster().create(resource, namespace, object)
    }

    /// Change labels, annotations or the status of an object that is there, by a JSON merge patch.
    pub fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) {
        self.cluster().patch(resource, namespace, name, patch);
    }

    /// Say how far a pod has come: `Pending`, `Running`, `Succeeded`, `Failed`.
    pub fn set_phase(&self, namespace: &str, name: &str, phase: &str) {
        self.patch("pods", namespace, name, &json!({"status": {"phase": phase}}));
    }

    /// Delete a pod as users do: one that may run on a node is marked and stays for its node to end it.
    pub fn terminate_pod(&self, namespace: &str, name: &str) {
        self.cluster().delete("pods", namespace, name, true);
    }

    /// Delete a pod as its node does once it has ended: it is gone.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.cluster().delete("pods", namespace, name, false);
    }

    /// Delete a node.
    pub fn delete_node(&self, name: &str) {
        self.cluster().delete("nodes", "", name, false);
    }

    /// Forget what was before now: lists begun earlier cannot be continued.
    pub fn compact(&self) {
        self.cluster().compact();
    }

    /// A token of a user who may do this. The real server has only users named `system:serviceaccount:NAMESPACE:NAME`.
    pub fn user(&self, name: &str, rules: &[Rule]) -> String {
        self.cluster().user(name, rules)
    }

    /// A kubeconfig with this token in it.
    pub fn kubeconfig(&self, token: &str) -> PathBuf {
        kubeconfig::write(self, &format!("token: {token}"))
    }

    /// A kubeconfig that names the file the token is read from.
    pub fn kubeconfig_with_token_file(&self, token_file: &Path) -> PathBuf {
        kubeconfig::write(self, &format!("tokenFile: {}", token_file.display()))
    }

    /// A request, yet to be sent, without any Kubernetes client between.
    pub fn request(&self, method: &str, path_and_query: &str) -> Request {
        Request::new(self.cluster().port(), &self.authority.certificate(), method, path_and_query)
    }

    fn cluster(&self) -> &dyn Cluster {
        match &self.backend {
            Backend::Double(double) => double,
            Backend::Real(real) => real.as_ref(),
        }
    }
}

/// What only the double can do.
impl ApiServer {
    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.as_double().requests()
    }

    /// Do this instead of answering the next requests, so many of them.
    pub fn fail(&self, fault: Fault, times: usize) {
        self.as_double().fail(fault, times);
    }

    /// Answer again.
    pub fn heal(&self) {
        self.as_double().fail(Fault::Unavailable, 0);
    }

    /// Refuse a token from now on, as an expired one.
    pub fn expire(&self, token: &str) {
        self.as_double().expire(token);
    }

    /// Close the port and all connections.
    pub fn stop(&mut self) {
        self.as_double_mut().stop();
    }

    /// Open the port again.
    pub fn resume(&mut self) {
        let Self { backend: Backend::Double(double), authority, .. } = self else { panic!("{ONLY_THE_DOUBLE}") };
        double.listen(authority);
    }

    /// Show a certificate that another authority signed.
    pub fn present_foreign_certificate(&mut self) {
        let elsewhere = self.directory.path().join("foreign");
        std::fs::create_dir_all(&elsewhere).unwrap();
        let foreign = Authority::new(&elsewhere);
        let double = self.as_double_mut();
        double.stop();
        double.listen(&foreign);
    }

    fn as_double(&self) -> &Double {
        match &self.backend {
            Backend::Double(double) => double,
            Backend::Real(_) => panic!("{ONLY_THE_DOUBLE}"),
        }
    }

    fn as_double_mut(&mut self) -> &mut Double {
        match &mut self.backend {
            Backend::Double(double) => double,
            Backend::Real(_) => panic!("{ONLY_THE_DOUBLE}"),
        }
    }
}

/// The API group of a resource, as rules and paths name it.
fn group_of(resource: &str) -> &'static str {
    match resource {
        "*" => "*",
        "replicasets" | "deployments" => "apps",
        _ => "",
    }
}

/// A random UUID of version 4, by the kernel.
pub(crate) fn uuid() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
}
