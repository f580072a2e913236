//! `deploy/` is what a cluster can use: every object is valid, asks for no more than it needs, fits the others, and the
//! programs in it do on a node's directories what they are there for.

mod manifests;
mod node;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::program;
use manifests::{containers, examples, files, network_attachments, of_kind, pod, rendered, text, texts};
use serde_json::{Value, json};

const KUBECONFIG: &str = "/etc/cni/net.d/kube-ipam.kubeconfig";

#[test]
fn every_object_is_valid() {
    let mut kinds: Vec<String> = rendered().iter().chain(&examples()).map(|thing| text(&thing["kind"])).collect();
    kinds.extend(network_attachments().iter().map(|thing| text(&thing["kind"])));
    for kind in ["ConfigMap", "CronJob", "DaemonSet", "Deployment", "NetworkAttachmentDefinition", "StatefulSet"] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in {kinds:?}");
    }
}

/// A validator that accepts everything would not help.
#[test]
fn an_invalid_object_is_found() {
    let source = fs::read_to_string(&files("", "yaml")[0]).unwrap();
    assert_eq!(manifests::validated(&source).map(|things| things.len()), Ok(1));
    for (right, wrong) in [("hostNetwork:", "hostNetworks:"), ("cpu: 5m", "cpu: [5]"), ("DaemonSet", "DemonSet")] {
        let broken = source.replacen(right, wrong, 1);
        assert!(broken != source && manifests::validated(&broken).is_err(), "{wrong} is accepted");
    }
}

#[test]
fn rights_are_exactly_these() {
    let roles = of_kind(&rendered(), "ClusterRole");
    let granted: Vec<Value> = roles.iter().map(|role| json!([role["metadata"]["name"], role["rules"]])).collect();
    let expected = [
        json!(["kube-ipam-node", [
            {"apiGroups": [""], "resources": ["pods", "nodes", "namespaces"], "verbs": ["get"]},
            {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
        ]]),
        json!(["kube-ipam-reclaim", [
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
        ]]),
    ];
    assert_eq!(granted, expected);
    let rbac = |thing: &&Value| text(&thing["apiVersion"]).starts_with("rbac.");
    assert_eq!(rendered().iter().filter(rbac).count(), 4, "two roles and two bindings");
    for binding in of_kind(&rendered(), "ClusterRoleBinding") {
        let name = &binding["roleRef"]["name"];
        let subject = json!([{"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}]);
        assert_eq!(binding["subjects"], subject, "each role has its own service account");
    }
    let account = |kind: &str| pod(&of_kind(&rendered(), kind)[0])["serviceAccountName"].clone();
    assert_eq!((account("DaemonSet"), account("CronJob")), (json!("kube-ipam-node"), json!("kube-ipam-reclaim")));
}

#[test]
fn every_container_is_locked_down() {
    for workload in ["DaemonSet", "CronJob"].map(|kind| of_kind(&rendered(), kind).remove(0)) {
        for container in containers(pod(&workload)) {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{container}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{container}");
            assert_eq!(context.get("privileged"), None, "{container}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{container}");
            assert_eq!(container["image"], "kube-ipam:0.1.0", "kustomize sets the image: {container}");
        }
    }
    let reclaim = of_kind(&rendered(), "CronJob").remove(0);
    assert_eq!(pod(&reclaim)["securityContext"]["runAsNonRoot"], true);
    assert_eq!(reclaim["spec"]["concurrencyPolicy"], "Forbid");
}

/// A DaemonSet that installs the network must not wait for it, and no taint may keep it from a node.
#[test]
fn the_daemon_set_runs_on_every_node_before_there_is_a_network() {
    let daemon_set = of_kind(&rendered(), "DaemonSet").remove(0);
    let pod = pod(&daemon_set);
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!((&pod["hostNetwork"], &pod["priorityClassName"]), (&json!(true), &json!("system-node-critical")));
    let paths: Vec<String> = texts(&pod["volumes"], "/hostPath/path");
    let expected = ["/opt/cni/bin", "/etc/cni/net.d", "/opt/cni/policies", "/var/lib/cni/kube-ipam"];
    assert_eq!(paths, expected, "nothing else of the node is mounted");
}

/// The patch of `examples/` as deploy/README.md shows it.
#[test]
fn the_daemon_set_can_be_told_to_rebuild_the_store() {
    let patched = manifests::with_patch("examples/rebuild-books.patch", "{ kind: DaemonSet, name: kube-ipam }");
    let daemon_set = of_kind(&patched, "DaemonSet").remove(0);
    let pod = pod(&daemon_set);
    let arguments = texts(&pod["containers"][0]["args"], "");
    assert!(arguments.contains(&"--rebuild-books=/etc/cni/net.d/10-blue.conflist".to_owned()), "{arguments:?}");
    assert!(arguments.contains(&"--watch=30s".to_owned()), "the rest stays as it is: {arguments:?}");
    let paths = texts(&pod["volumes"], "/hostPath/path");
    assert!(
        ["/var/lib/cni", "/etc/machine-id"].iter().all(|path| paths.iter().any(|known| known == path)),
        "{paths:?}"
    );
    every_path_is_mounted(&daemon_set);
    every_path_is_mounted(&of_kind(&rendered(), "DaemonSet")[0]);
}

#[test]
fn every_mount_has_a_volume_and_every_path_a_mount() {
    for workload in ["DaemonSet", "CronJob"].map(|kind| of_kind(&rendered(), kind).remove(0)) {
        every_path_is_mounted(&workload);
    }
}

fn every_path_is_mounted(workload: &Value) {
    let volumes = texts(&pod(workload)["volumes"], "/name");
    for container in containers(pod(workload)) {
        let mounted = texts(&container["volumeMounts"], "/mountPath");
        assert!(texts(&container["volumeMounts"], "/name").iter().all(|name| volumes.contains(name)), "{container}");
        for path in texts(&container["args"], "").iter().filter_map(|argument| argument.split_once("=/")) {
            let path = PathBuf::from(format!("/{}", path.1));
            assert!(mounted.iter().any(|mount| path.starts_with(mount)), "{} is not mounted", path.display());
        }
    }
}

/// The reclaim reads the nodes' network: what it names has to be where the network says.
#[test]
fn the_reclaim_finds_what_its_network_names() {
    let network = of_kind(&rendered(), "ConfigMap").remove(0);
    let network: Value = serde_json::from_str(network["data"]["network.conflist"].as_str().unwrap()).unwrap();
    let ipam = &network["plugins"][0]["ipam"];
    let cron_job = of_kind(&rendered(), "CronJob").remove(0);
    let reclaim = &pod(&cron_job)["containers"][0];
    assert_eq!(reclaim["args"], json!(["reclaim", "--conf=/etc/kube-ipam/network.conflist", "--grace=15m"]));
    let mounted = texts(&reclaim["volumeMounts"], "/mountPath");
    for key in ["etcdTrustedCAFileFile", "etcdCertFile", "etcdKeyFile"] {
        let file = PathBuf::from(text(&ipam["etcdConfig"][key]));
        assert!(mounted.iter().any(|mount| file.parent() == Some(Path::new(mount))), "{}", file.display());
    }
    let daemon_set = of_kind(&rendered(), "DaemonSet").remove(0);
    let argument = json!(format!("--kubeconfig={KUBECONFIG}"));
    assert!(pod(&daemon_set)["containers"][0]["args"].as_array().unwrap().contains(&argument), "{daemon_set}");
    assert_eq!(ipam["kubeConfig"], KUBECONFIG);
    // The reclaim itself asks with its pod's service account, not with the nodes' kubeconfig.
    assert_eq!(pod(&cron_job)["automountServiceAccountToken"], Value::Null);
}

#[test]
fn the_example_networks_have_no_errors_and_no_warnings() {
    let networks = [files("networks", "conflist"), files("networks", "yaml")].concat();
    assert_eq!(networks.len(), 4);
    for file in networks {
        let output = Command::new(program()).args(["config", "check", "-o", "json"]).arg(&file).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        // The certificates that they name are not on this machine.
        let notes = findings.iter().filter(|finding| finding["severity"] == "note").count();
        assert!(output.status.success() && findings.len() == notes, "{}: {findings:?}", file.display());
        assert_eq!(report["networks"], 1, "{}", file.display());
    }
}

#[test]
fn the_example_networks_ask_for_the_annotations() {
    let mut networks: Vec<String> = network_attachments().iter().map(|thing| text(&thing["spec"]["config"])).collect();
    networks.extend(files("networks", "conflist").iter().map(|file| fs::read_to_string(file).unwrap()));
    assert_eq!(networks.len(), 4);
    for network in networks {
        let network: Value = serde_json::from_str(&network).unwrap();
        let capability = &network["plugins"][0]["capabilities"]["io.kubernetes.cri.pod-annotations"];
        assert_eq!(capability, true, "{network}: without it the runtime keeps the annotations");
    }
}
