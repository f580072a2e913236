//! A Kubernetes API server with pods, nodes and namespaces: a double inside the test, or the real one.
//!
//! ```text
//!   ApiServer::start()   the double, or the real server that KUBE_IPAM_APISERVER names
//!   ApiServer::double()  the double, for what a real server does not do on demand: faults, a record of requests
//!        │
//!        ├─ double.rs    HTTPS on loopback; read-only for its clients, changed by the test through the methods below
//!        └─ real.rs      kube-apiserver on real etcd; changed by the same methods, through its REST API
//! ```
//!
//! One file of tests, `tests/program/apiserver.rs`, runs against both, so that the double stays as strict as the real
//! one. What it does not serve (watches, writes, set-based selectors) it refuses aloud with 501 or 405.

mod client;
mod double;
mod kubeconfig;
mod pod;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use client::{Reply, Request};
pub use pod::PodBuilder;

use crate::authority::Authority;
use double::Double;

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
    /// It says 200 and sends what is no JSON.
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
}

/// A running API server. Gone when it goes out of scope.
#[derive(Debug)]
pub struct ApiServer {
    backend: Double,
    authority: Authority,
    directory: TempDir,
}

impl ApiServer {
    /// The double.
    pub fn start() -> Self {
        Self::double()
    }

    /// The double, whatever the environment says.
    pub fn double() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path());
        Self { backend: Double::start(&authority), authority, directory }
    }

    /// Where it is: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.backend.port())
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

    /// Create a node and return its uid.
    pub fn node(&self, name: &str) -> String {
        self.create("nodes", "", &json!({"metadata": {"name": name}}))
    }

    /// Create an object, with its namespace where there is none yet, and return its uid. As by the real server's
    /// clients, the status of a pod is not set so, see [`ApiServer::patch`].
    pub fn create(&self, resource: &str, namespace: &str, object: &Value) -> String {
        self.backend.create(resource, namespace, object)
    }

    /// Change labels, annotations or the status of an object that is there, by a JSON merge patch.
    pub fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) {
        self.backend.patch(resource, namespace, name, patch);
    }

    /// Say how far a pod has come: `Pending`, `Running`, `Succeeded`, `Failed`.
    pub fn set_phase(&self, namespace: &str, name: &str, phase: &str) {
        self.patch("pods", namespace, name, &json!({"status": {"phase": phase}}));
    }

    /// Delete a pod as users do: one that may run on a node is marked and stays for its node to end it.
    pub fn terminate_pod(&self, namespace: &str, name: &str) {
        self.backend.delete("pods", namespace, name, true);
    }

    /// Delete a pod as its node does once it has ended: it is gone.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.backend.delete("pods", namespace, name, false);
    }

    /// Delete a node.
    pub fn delete_node(&self, name: &str) {
        self.backend.delete("nodes", "", name, false);
    }

    /// Forget what was before now: lists begun earlier cannot be continued.
    pub fn compact(&self) {
        self.backend.compact();
    }

    /// A token of a user who may do this. The real server has only users named `system:serviceaccount:NAMESPACE:NAME`.
    pub fn user(&self, name: &str, rules: &[Rule]) -> String {
        self.backend.user(name, rules)
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
        Request::new(self.backend.port(), &self.authority.certificate(), method, path_and_query)
    }
}

/// What only the double can do.
impl ApiServer {
    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.backend.requests()
    }

    /// Do this instead of answering the next requests, so many of them.
    pub fn fail(&self, fault: Fault, times: usize) {
        self.backend.fail(fault, times);
    }

    /// Answer again.
    pub fn heal(&self) {
        self.backend.fail(Fault::Unavailable, 0);
    }

    /// Refuse a token from now on, as an expired one.
    pub fn expire(&self, token: &str) {
        self.backend.expire(token);
    }

    /// Close the port and all connections.
    pub fn stop(&mut self) {
        self.backend.stop();
    }

    /// Open the port again.
    pub fn resume(&mut self) {
        self.backend.listen(&self.authority);
    }

    /// Show a certificate that another authority signed.
    pub fn present_foreign_certificate(&mut self) {
        let elsewhere = self.directory.path().join("foreign");
        std::fs::create_dir_all(&elsewhere).unwrap();
        self.backend.stop();
        self.backend.listen(&Authority::new(&elsewhere));
    }
}

/// A random UUID of version 4, by the kernel.
fn uuid() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
}
