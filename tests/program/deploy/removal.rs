//! The component that removes everything again, on a node whose file system is mounted below a directory.

use std::fs;
use std::process::Stdio;

use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::program::program;
use serde_json::json;

use super::manifests::{of_kind, pod, texts, with_components};
use super::node::{Node, Running, until};

/// What install-node has noted, as it notes it where the paths of the node are its own.
fn note_paths_of_the_node(node: &Node) {
    let manifest = node.path("var/lib/cni/kube-ipam/installed.json");
    let root = node.path("").display().to_string();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(manifest, text.replace(root.trim_end_matches('/'), "")).unwrap();
}

fn uninstalled(node: &Node) -> Running {
    let rendered = with_components(&["remove"]);
    let daemon_set = of_kind(&rendered, "DaemonSet").remove(0);
    let mut command = std::process::Command::new(program());
    for argument in texts(&pod(&daemon_set)["containers"][0]["args"], "") {
        match argument.as_str() {
            "--root=/host" => command.arg("--root").arg(node.path("")),
            "--watch=10s" => command.arg("--watch=100ms"),
            "--state=/run/kube-ipam/state" => command.arg("--state").arg(node.path("run/kube-ipam/state")),
            _ => command.arg(argument),
        };
    }
    Running(command.stdout(Stdio::null()).spawn().unwrap())
}

#[test]
fn nothing_is_left_and_nothing_of_others_is_touched() {
    let node = Node::new();
    node.volume("networks/10-blue.conf", node.embedded().to_string());
    node.volume(
        "networks/20-red.conf",
        json!({"name": "red", "cniVersion": "1.0.0", "type": "bridge", "ipam": {
        "type": "kube-ipam", "dataDir": node.path("var/lib/cni/kube-ipam"), "subnet": "10.2.0.0/24"}})
        .to_string(),
    );
    node.volume("policies/site.wasm", Guest::named("good").module());
    node.volume("secrets/etcd/tls.key", "key");
    let others = ["etc/cni/net.d/05-other.conf", "opt/cni/bin/bridge", "opt/cni/policies/other.wasm"];
    for file in others {
        fs::write(node.path(file), "theirs").unwrap();
    }
    let running = node.installed();
    node.until_ready();
    drop(running);
    // Somebody has changed it since.
    fs::write(node.path("etc/cni/net.d/20-red.conf"), "changed").unwrap();
    note_paths_of_the_node(&node);
    let result = node.path("var/lib/cni/results/blue-c1-eth0");
    let cached = json!({"kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "blue",
        "cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", "web"]],
        "result": {"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24"}]}});
    fs::write(&result, cached.to_string()).unwrap();
    // One that somebody has written by hand: its pods would find no binary.
    let by_hand = node.path("etc/cni/net.d/30-by-hand.conf");
    fs::write(&by_hand, node.embedded().to_string()).unwrap();

    let _removing = uninstalled(&node);
    let told = node.until_told(&["1 container of its network still run"]);
    assert!(told.contains("shop/web") && told.contains("10-blue.conf"), "{told}");
    assert!(!node.path("etc/cni/net.d/10-blue.conf").exists(), "no pod is started any more");
    assert!(node.path("opt/cni/bin/kube-ipam").exists(), "its DEL needs the binary");

    fs::remove_file(&result).unwrap();
    node.until_told(&["30-by-hand.conf: still has a network of kube-ipam"]);
    assert!(node.path("opt/cni/bin/kube-ipam").exists(), "its next pod needs the binary");
    fs::remove_file(&by_hand).unwrap();
    until("the rest is removed", || !node.path("var/lib/cni/kube-ipam").exists());
    node.until_ready();
    assert_eq!(node.names("etc/cni/net.d"), ["05-other.conf", "20-red.conf"]);
    assert_eq!(node.names("opt/cni/bin"), ["bridge"]);
    assert_eq!(node.names("opt/cni/policies"), ["other.wasm"]);
    assert!(!node.path("etc/kube-ipam").exists(), "a directory that only we use goes with its last file");
    for file in others {
        assert_eq!(fs::read_to_string(node.path(file)).unwrap(), "theirs");
    }
}
