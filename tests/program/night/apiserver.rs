//! The API server and whom it lets in.

use std::fs;

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use serde_json::json;

use super::fault;
use super::scene::Scene;

const PODS: Rule = Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] };
const OTHERS: Rule = Rule { verbs: &["get"], resources: &["nodes", "namespaces"] };

/// A cluster with a pod, and a node in the name of a user who may do this. The pod's uid, and the user's token.
fn cluster(rules: &[Rule]) -> Option<(ApiServer, Scene, String, String)> {
    let server = ApiServer::double();
    server.node("node-1");
    let token = server.user("node", rules);
    let scene = Scene::new(&json!({"kubeConfig": server.kubeconfig(&token), "timeout": "4s"}))?;
    let uid = server.pod("shop", "web").on("node-1").phase("Running").create();
    Some((server, scene, uid, token))
}

#[test]
fn the_api_server_does_not_accept_the_token() {
    let Some((server, scene, uid, token)) = cluster(&[PODS]) else { return };
    server.expire(&token);
    let told = fault("the API server does not accept the token").named(&scene, &scene.add_pod("c1", "web", &uid));
    let file = super::word_after(&told.message, "does not accept the token of ");
    let renewed = server.kubeconfig(&server.user("node", &[PODS]));
    fs::copy(renewed, file).unwrap();
    scene.add_pod("c1", "web", &uid).address();
}

#[test]
fn the_api_server_refuses() {
    let Some((server, scene, uid, _)) = cluster(&[OTHERS]) else { return };
    let told = fault("the API server refuses").named(&scene, &scene.add_pod("c1", "web", &uid));
    let rule = "{apiGroups: [\"\"], resources: [\"pods\"], verbs: [\"get\"]}";
    assert!(told.hint.contains(&format!("the ClusterRole needs {rule}")), "{}", told.hint);
    let granted = server.kubeconfig(&server.user("node", &[PODS]));
    scene.edit(|ipam| ipam["kubeConfig"] = json!(granted));
    scene.add_pod("c1", "web", &uid).address();
}

#[test]
fn the_api_server_cannot_be_reached() {
    let Some((mut server, scene, uid, _)) = cluster(&[PODS]) else { return };
    server.stop();
    let fault = fault("the API server cannot be reached");
    let told = fault.named(&scene, &scene.add_pod("c1", "web", &uid));
    assert!(told.command("kube-ipam doctor").ends_with("--network blue"));
    let found = fault.said_by(&scene, "API server");
    assert!(found.message.contains("Connection refused") && found.message.contains(&server.url()), "{}", found.message);
    server.resume();
    scene.add_pod("c1", "web", &uid).address();
}
