//! The API server of the tests is one, as an independent client and its answers show. They hold for the double and, with
//! `KUBE_IPAM_APISERVER` naming a kube-apiserver, for the real one alike.

mod answers;
mod faults;
mod kubectl;
mod lists;

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use serde_json::Value;

const READER: &str = "system:serviceaccount:kube-system:reader";
const READ_ALL: Rule = Rule { verbs: &["get", "list"], resources: &["pods", "nodes", "namespaces"] };

/// The names of a list's items.
fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// Three pods on two nodes in two namespaces.
fn populated() -> ApiServer {
    let server = ApiServer::start();
    server.node("node-1");
    server.node("node-2");
    server.pod("blue", "a").on("node-1").labelled("app", "web").phase("Running").address("10.0.0.2").create();
    server.pod("blue", "b").on("node-2").labelled("app", "db").phase("Succeeded").create();
    server.pod("red", "c").on("node-1").annotated("kube-ipam.ip", "10.0.0.7").create();
    server
}
