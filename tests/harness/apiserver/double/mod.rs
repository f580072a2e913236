//! The double: what it knows behind a lock, served by a thread of its own.
//!
//! ```text
//!   serve ── a request ──> answer: who asks? ──> what is meant? ──> may they? ──> does it exist?
//!                              access            route              access        objects, list
//! ```

mod access;
mod answer;
mod discovery;
mod kind;
mod list;
mod objects;
mod query;
mod route;
mod select;
mod serve;
mod status;
mod time;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::{Cluster, Fault, Recorded, Rule, uuid};
use crate::authority::Authority;
use crate::etcd::free_port;
use access::Access;
use answer::Asked;
use kind::Kind;
use objects::Objects;
use serve::Server;

/// Namespaces every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

#[derive(Debug)]
pub(super) struct Double {
    port: u16,
    state: Arc<Mutex<State>>,
    server: Option<Server>,
}

#[derive(Debug)]
struct State {
    objects: Objects,
    access: Access,
    requests: Vec<Recorded>,
    /// What happens to the next requests instead of an answer, and to how many.
    fault: (Fault, usize),
}

impl Double {
    pub(super) fn start(authority: &Authority) -> Self {
        let mut objects = Objects::default();
        NAMESPACES.iter().for_each(|name| objects.ensure_namespace(name));
        let (access, requests, fault) = (Access::default(), Vec::new(), (Fault::Unavailable, 0));
        let state = Arc::new(Mutex::new(State { objects, access, requests, fault }));
        let mut double = Self { port: free_port(), state, server: None };
        double.listen(authority);
        double
    }

    pub(super) fn listen(&mut self, authority: &Authority) {
        self.server = Some(Server::start(self.port, authority, Arc::clone(&self.state)));
    }

    pub(super) fn stop(&mut self) {
        self.server = None;
    }

    pub(super) fn expire(&self, token: &str) {
        self.state().access.expire(token);
    }

    pub(super) fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    pub(super) fn fail(&self, fault: Fault, times: usize) {
        self.state().fault = (fault, times);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Cluster for Double {
    fn port(&self) -> u16 {
        self.port
    }

    fn create(&self, resource: &str, namespace: &str, object: &Value) -> String {
        self.state().objects.create(Kind::of(resource), namespace, object)
    }

    fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) {
        self.state().objects.patch(Kind::of(resource), namespace, name, patch);
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str, gracefully: bool) {
        self.state().objects.delete(Kind::of(resource), namespace, name, gracefully);
    }

    fn uid(&self, resource: &str, namespace: &str, name: &str) -> String {
        let key = objects::key(Kind::of(resource), namespace, name);
        self.state().objects.get(&key).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    fn compact(&self) {
        self.state().objects.compact();
    }

    fn user(&self, name: &str, rules: &[Rule]) -> String {
        let token = uuid();
        self.state().access.admit(&token, name, rules);
        token
    }
}

impl State {
    fn next_fault(&mut self, asked: &Asked) -> Option<Fault> {
        let (fault, times) = self.fault;
        if fault == Fault::Compacted && !asked.query.contains("continue=") {
            return None;
        }
        self.fault.1 = times.saturating_sub(1);
        (times > 0).then_some(fault)
    }
}
