//! `deploy/` is what a cluster can use: every object is valid, asks for no more than it needs, fits the others, and the
//! programs in it do on a node's directories what they are there for.

mod arrival;
mod manifests;
mod metrics;
mod node;
mod own_etcd;
mod plugin;
mod removal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::program;
use manifests::{
    components, containers, examples, files, networks, of_kind, pod, rendered, rendered_text, root, text, texts,
    with_components,
};
use serde_json::{Value, json};

const KUBECONFIG: &str = "/etc/cni/net.d/kube-ipam.kubeconfig";

#[test]
fn every_object_is_valid() {
    let mut kinds: Vec<String> = rendered().iter().chain(&examples()).map(|thing| text(&thing["kind"])).collect();
    kinds.extend(with_components(&["etcd", "metrics", "multus"]).iter().map(|thing| text(&thing["kind"])));
    let wanted =
        "ConfigMap CronJob DaemonSet Deployment Job NetworkAttachmentDefinition PodMonitor PrometheusRule StatefulSet";
    for kind in wanted.split(' ') {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} in {kinds:?}");
    }
}

/// A validator that accepts everything would not help.
#[test]
fn an_invalid_object_is_found() {
    let source = fs::read_to_string(&files("base", "yaml")[0]).unwrap();
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

/// Each by itself, and all of them together but the one that undoes the others.
#[test]
fn every_component_renders() {
    let all = components();
    assert_eq!(all, ["bridge", "etcd", "ipvlan", "macvlan", "metrics", "multus", "on-path", "rebuild-books", "remove"]);
    for component in &all {
        let rendered = with_components(&[component]);
        for kind in ["DaemonSet", "CronJob", "Deployment", "Job"] {
            of_kind(&rendered, kind).iter().for_each(every_path_is_mounted);
        }
    }
    let together = with_components(&["etcd", "macvlan", "metrics", "multus", "on-path", "rebuild-books"]);
    let daemon_set = named(&together, "DaemonSet", "kube-ipam");
    let arguments = texts(&pod(&daemon_set)["containers"][0]["args"], "");
    for argument in ["--link-dir=/usr/local/bin", "--rebuild-books=/etc/cni/net.d/10-blue.conflist", "--watch=10s"] {
        assert!(arguments.iter().any(|known| known == argument), "{argument}: {arguments:?}");
    }
}

#[test]
fn install_yaml_is_what_is_generated() {
    let kept = fs::read_to_string(root().join("deploy/install.yaml")).unwrap();
    let (_, objects) = kept.split_once('\n').unwrap();
    assert!(objects == rendered_text(&root().join("deploy")), "run `make install-yaml`");
}

/// A container of another type than this may not write to the node's directories there.
fn every_writer_may_write_where_selinux_is_enforced(rendered: &[Value]) {
    let mut writers = 0;
    for workload in ["DaemonSet", "CronJob", "Job"].iter().flat_map(|kind| of_kind(rendered, kind)) {
        let pod = pod(&workload);
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        let of_node: Vec<&Value> =
            volumes.filter(|volume| volume["hostPath"].is_object()).map(|volume| &volume["name"]).collect();
        for container in containers(pod) {
            let mounts = container["volumeMounts"].as_array().into_iter().flatten();
            let mut writable = mounts.filter(|mount| mount["readOnly"] != true && of_node.contains(&&mount["name"]));
            if writable.next().is_some() {
                assert_eq!(container["securityContext"]["seLinuxOptions"], json!({"type": "spc_t"}), "{container}");
                writers += 1;
            }
        }
    }
    assert_eq!(writers, 4, "the installation, two of the members, and the snapshot");
}

/// kubeadm leaves the label's value empty, k3s and RKE2 set it.
#[test]
fn control_plane_nodes_are_known_by_their_label_whatever_its_value() {
    let mut found = 0;
    for workload in ["DaemonSet", "CronJob", "Job"].iter().flat_map(|kind| of_kind(&with_components(&["etcd"]), kind)) {
        let pod = pod(&workload);
        assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}), "{workload}");
        let place = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
        if let Some(terms) = pod.pointer(place) {
            let key = "node-role.kubernetes.io/control-plane";
            assert_eq!(*terms, json!([{"matchExpressions": [{"key": key, "operator": "Exists"}]}]), "{workload}");
            found += 1;
        }
    }
    assert_eq!(found, 4, "members, two of their setup, and snapshots");
}

fn named(things: &[Value], kind: &str, name: &str) -> Value {
    of_kind(things, kind).into_iter().find(|thing| thing["metadata"]["name"] == name).unwrap()
}

#[test]
fn every_container_is_locked_down() {
    let rendered = with_components(&["etcd", "metrics"]);
    let mut judged = 0;
    for workload in ["DaemonSet", "Deployment", "CronJob", "Job"].iter().flat_map(|kind| of_kind(&rendered, kind)) {
        for container in containers(pod(&workload)) {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{container}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{container}");
            assert_eq!(context.get("privileged"), None, "{container}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{container}");
            let image = text(&container["image"]);
            let known = ["kube-ipam:0.1.0", "etcd:v3.5.28", "kube-ipam-etcd-tools:0.1.0"];
            assert!(known.contains(&image.as_str()), "kustomize sets the image: {container}");
            judged += 1;
        }
    }
    assert_eq!(judged, 10);
    every_writer_may_write_where_selinux_is_enforced(&with_components(&["etcd", "remove"]));
    let reclaim = named(&rendered, "CronJob", "kube-ipam-reclaim");
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
    let expected = [
        "/opt/cni/bin",
        "/etc/cni/net.d",
        "/etc/kube-ipam",
        "/opt/cni/policies",
        "/var/lib/cni",
        "/etc/machine-id",
        "/var/run/netns",
    ];
    assert_eq!(paths, expected, "nothing else of the node is mounted");
    for volume in ["policies", "networks", "etcd"] {
        let volume = pod["volumes"].as_array().unwrap().iter().find(|known| known["name"] == volume).unwrap();
        let is_optional = |kind: &str| volume[kind]["optional"] == true;
        assert!(is_optional("configMap") || is_optional("secret"), "it starts without: {volume}");
    }
    // What is not installed keeps the pod from being ready, and so ends a roll-out.
    let container = &pod["containers"][0];
    let state =
        texts(&container["args"], "").iter().find_map(|argument| argument.strip_prefix("--state=").map(str::to_owned));
    let probe = json!(["/kube-ipam", "install-node", format!("--ready={}", state.unwrap())]);
    assert_eq!(container["readinessProbe"]["exec"]["command"], probe);
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
        let arguments = texts(&container["args"], "");
        // What is removed is removed below the root of the node, which is mounted as a whole.
        let root = arguments.iter().find_map(|argument| argument.strip_prefix("--root=")).unwrap_or_default();
        for (_, path) in arguments.iter().filter_map(|argument| argument.split_once("=/")) {
            let path = PathBuf::from(format!("{root}/{path}"));
            assert!(mounted.iter().any(|mount| path.starts_with(mount)), "{} is not mounted", path.display());
        }
    }
}

/// The reclaim reads the nodes' networks: what they name has to be where they say.
#[test]
fn the_reclaim_finds_what_its_networks_name() {
    let rendered = with_components(&["macvlan", "etcd"]);
    let network = named(&rendered, "ConfigMap", "kube-ipam-networks");
    let network: Value = serde_json::from_str(network["data"]["10-blue.conflist"].as_str().unwrap()).unwrap();
    let ipam = &network["plugins"][0]["ipam"];
    let cron_job = named(&rendered, "CronJob", "kube-ipam-reclaim");
    let reclaim = &pod(&cron_job)["containers"][0];
    assert_eq!(reclaim["args"], json!(["reclaim", "--all", "--grace=15m", "--yes"]));
    let mounted = texts(&reclaim["volumeMounts"], "/mountPath");
    assert!(mounted.contains(&"/etc/cni/net.d".to_owned()), "where --all looks: {mounted:?}");
    let daemon_set = named(&rendered, "DaemonSet", "kube-ipam");
    let arguments = &pod(&daemon_set)["containers"][0]["args"];
    for key in ["etcdTrustedCAFileFile", "etcdCertFile", "etcdKeyFile"] {
        let file = PathBuf::from(text(&ipam["etcdConfig"][key]));
        let directory = file.parent().unwrap();
        assert!(mounted.iter().any(|mount| directory == Path::new(mount)), "{}", file.display());
        let installed = json!(format!("--etcd-dir={}", directory.display()));
        assert!(arguments.as_array().unwrap().contains(&installed), "{arguments}");
    }
    assert!(arguments.as_array().unwrap().contains(&json!(format!("--kubeconfig={KUBECONFIG}"))), "{arguments}");
    assert_eq!(ipam["kubeConfig"], KUBECONFIG);
    // The reclaim itself asks with its pod's service account, not with the nodes' kubeconfig.
    assert_eq!(pod(&cron_job)["automountServiceAccountToken"], Value::Null);
    let secret = |workload: &Value| {
        let volumes = pod(workload)["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == "etcd").unwrap()["secret"]["secretName"].clone()
    };
    assert_eq!((secret(&daemon_set), secret(&cron_job)), (json!("kube-ipam-etcd"), json!("kube-ipam-etcd-reclaim")));
}

/// Two components that each bring a file of the nodes' networks.
#[test]
fn networks_of_several_components_are_in_one_object() {
    let rendered = with_components(&["macvlan", "multus"]);
    let keys = |name: &str| {
        let data = named(&rendered, "ConfigMap", name)["data"].clone();
        data.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys("kube-ipam-networks"), ["10-blue.conflist"]);
    assert_eq!(keys("kube-ipam-reclaim-networks"), ["blue.conflist"]);
    let attachment = of_kind(&rendered, "NetworkAttachmentDefinition").remove(0);
    let of_pods: Value = serde_json::from_str(attachment["spec"]["config"].as_str().unwrap()).unwrap();
    let of_reclaim = named(&rendered, "ConfigMap", "kube-ipam-reclaim-networks");
    let of_reclaim: Value = serde_json::from_str(of_reclaim["data"]["blue.conflist"].as_str().unwrap()).unwrap();
    assert_eq!(of_pods, of_reclaim, "the reclaim looks after the network that pods get");
}

#[test]
fn the_example_networks_have_no_errors_and_no_warnings() {
    assert_eq!(networks().len(), 5);
    for file in networks() {
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
fn the_example_networks_ask_for_the_annotations_and_name_their_prefix() {
    for file in networks().iter().filter(|file| file.extension().is_some_and(|end| end == "conflist")) {
        let network: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let capability = &network["plugins"][0]["capabilities"]["io.kubernetes.cri.pod-annotations"];
        assert_eq!(capability, true, "{network}: without it the runtime keeps the annotations");
        let etcd = &network["plugins"][0]["ipam"]["etcdConfig"];
        assert!(etcd.is_null() || etcd["etcdPrefix"] == "/kube-ipam", "{network}");
    }
}
