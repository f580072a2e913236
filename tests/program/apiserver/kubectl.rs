//! kubectl works with it, unchanged.

use std::path::Path;
use std::process::{Command, Output};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use serde_json::Value;

use super::{READ_ALL, READER, names, populated};

fn run(server: &ApiServer, kubeconfig: &Path, arguments: &str) -> Output {
    Command::new("kubectl")
        .env("HOME", server.directory())
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments.split_whitespace())
        .output()
        .expect("the tests need kubectl: apt-get install kubernetes-client")
}

/// What kubectl prints as this reader.
fn succeed(server: &ApiServer, kubeconfig: &Path, arguments: &str) -> String {
    let output = run(server, kubeconfig, arguments);
    assert!(output.status.success(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(server: &ApiServer, kubeconfig: &Path, arguments: &str) -> Value {
    serde_json::from_str(&succeed(server, kubeconfig, &format!("{arguments} -o json"))).unwrap()
}

/// What kubectl says when it is refused.
fn refused(server: &ApiServer, kubeconfig: &Path, arguments: &str) -> String {
    let output = run(server, kubeconfig, arguments);
    assert!(!output.status.success(), "{arguments}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn gets_what_there_is() {
    let server = populated();
    let reader = server.kubeconfig(&server.user(READER, &[READ_ALL]));

    let table = succeed(&server, &reader, "get pods -A");
    assert!(table.starts_with("NAMESPACE ") && table.lines().count() == 4, "{table}");
    assert!(table.contains("blue ") && table.contains("red "), "{table}");
    assert!(succeed(&server, &reader, "get nodes").contains("node-2"));
    assert!(succeed(&server, &reader, "get ns").contains("kube-system"));
    assert!(succeed(&server, &reader, "get po -n red -o wide").contains('c'));
    assert_eq!(succeed(&server, &reader, "get pods -A -o name"), "pod/a\npod/b\npod/c\n");

    let deployment = server.deployment("red", "web");
    server.replica_set("red", "web-1", ("web", &deployment), 1);
    let sets = Rule { verbs: &["get", "list"], resources: &["replicasets", "deployments"] };
    let owner = server.kubeconfig(&server.user("system:serviceaccount:kube-system:owner", &[sets]));
    assert_eq!(
        succeed(&server, &owner, "get rs,deploy -n red -o name"),
        "replicaset.apps/web-1\ndeployment.apps/web\n"
    );

    let pod = json(&server, &reader, "get pod -n red c");
    assert_eq!(pod["kind"], "Pod");
    assert_eq!(pod["apiVersion"], "v1");
    assert_eq!(pod["metadata"]["annotations"]["kube-ipam.ip"], "10.0.0.7");
    assert_eq!(pod["spec"]["nodeName"], "node-1");
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(json(&server, &reader, "get pod -n blue a")["status"]["podIPs"][0]["ip"], "10.0.0.2");
    assert_eq!(json(&server, &reader, "get node node-1")["kind"], "Node");
}

#[test]
fn selects_and_turns_pages() {
    let server = populated();
    let reader = server.kubeconfig(&server.user(READER, &[READ_ALL]));
    for (arguments, expected) in [
        ("get pods -A --chunk-size=1", &["a", "b", "c"][..]),
        ("get pods -A --chunk-size=2", &["a", "b", "c"]),
        ("get pods -A --field-selector spec.nodeName=node-1", &["a", "c"]),
        ("get pods -A --field-selector spec.nodeName=node-1 --chunk-size=1", &["a", "c"]),
        ("get pods -A --field-selector status.phase!=Succeeded,spec.nodeName=node-1", &["a", "c"]),
        ("get pods -A --field-selector status.phase=Running", &["a"]),
        ("get pods -n blue --field-selector metadata.name=b", &["b"]),
        ("get pods -A -l app=web", &["a"]),
        ("get pods -A -l app!=web", &["b", "c"]),
        ("get pods -A -l app", &["a", "b"]),
        ("get pods -n red -l app", &[]),
        ("get nodes --field-selector metadata.name=node-2", &["node-2"]),
    ] {
        assert_eq!(names(&json(&server, &reader, arguments)), expected, "{arguments}");
    }
    let said = refused(&server, &reader, "get pods -A --field-selector spec.colour=red");
    assert!(said.contains("field label not supported: spec.colour"), "{said}");
}

#[test]
fn is_refused_what_may_not_be() {
    let server = populated();
    let nodes_only = Rule { verbs: &["get", "list"], resources: &["nodes"] };
    let token = server.user("system:serviceaccount:kube-system:limited", &[nodes_only]);
    let limited = server.kubeconfig(&token);
    let said = refused(&server, &limited, "get pod -n blue a");
    let user = "User \"system:serviceaccount:kube-system:limited\"";
    let expected = format!(
        "Error from server (Forbidden): pods \"a\" is forbidden: {user} cannot get resource \"pods\" in API group \"\" in the namespace \"blue\"\n"
    );
    assert_eq!(said, expected);
    let said = refused(&server, &limited, "get pods -A");
    assert!(said.ends_with("cannot list resource \"pods\" in API group \"\" at the cluster scope\n"), "{said}");

    let said = refused(&server, &limited, "get node absent");
    assert_eq!(said, "Error from server (NotFound): nodes \"absent\" not found\n");
    let said = refused(&server, &server.kubeconfig("no-token-of-anybody"), "get nodes");
    assert!(said.contains("You must be logged in to the server"), "{said}");
}

#[test]
fn reads_its_token_from_a_file() {
    let server = populated();
    let file = server.directory().join("token");
    let kubeconfig = server.kubeconfig_with_token_file(&file);
    std::fs::write(&file, server.user(READER, &[READ_ALL])).unwrap();
    assert_eq!(succeed(&server, &kubeconfig, "get nodes -o name"), "node/node-1\nnode/node-2\n");
    std::fs::write(&file, "another").unwrap();
    assert!(refused(&server, &kubeconfig, "get nodes").contains("You must be logged in"));
}
