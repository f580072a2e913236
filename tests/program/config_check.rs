//! `kube-ipam config check` as operators and pipelines run it: over folders, on a node, with the files that a network names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::program::{module, program};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The exit status and the findings.
fn check(arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(program()).args(["config", "check", "-o", "json"]).args(arguments).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

/// A file with one network, and what is found in it.
struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The exit status, and severity and message of every finding.
    fn check(&self, ipam: &Value, options: &[&str]) -> (i32, Vec<(String, String)>) {
        let mut network = json!({"cniVersion": "1.1.0", "name": "blue", "type": "macvlan"});
        network["ipam"] = json!({"type": "kube-ipam", "nodeName": "node-1", "subnet": "10.188.0.0/16"});
        network["ipam"].as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        let file = self.path("10-blue.conf");
        fs::write(&file, network.to_string()).unwrap();
        let (status, report) = check(&[options, &[file.to_str().unwrap()]].concat());
        let mut told = Vec::new();
        for finding in report["findings"].as_array().unwrap() {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            told.push((text("severity"), text("message")));
        }
        (status, told)
    }
}

/// What lies beside the sources as one case each, all at once: nothing of it passes for a network that is right.
#[test]
fn a_folder_of_faults_is_told_file_by_file() {
    let folder = Path::new(PROJECT).join("host/kube-ipam/src/cli/cases");
    let (status, report) = check(&[folder.to_str().unwrap()]);
    let files = report["files"].as_array().unwrap();
    assert!(status == 1 && files.len() > 130, "{status}, {} files", files.len());
    let findings = report["findings"].as_array().unwrap();
    let is_told = |file: &Value| findings.iter().any(|finding| finding["file"] == *file);
    let told = files.iter().filter(|file| is_told(file)).count();
    assert!(told > 120, "{told} of {} files", files.len());
}

#[test]
fn a_module_is_asked_whether_it_understands_its_settings() {
    let site = Site::new();
    let policy = |settings: Value| json!({"policy": {"module": module("by-namespace"), "settings": settings}});
    assert_eq!(site.check(&policy(json!({"namespaces": {"lab": ["10.188.0.32/27"]}})), &[]), (0, vec![]));
    let (status, told) = site.check(&policy(json!({"namspaces": {}})), &[]);
    assert_eq!((status, told.len()), (1, 1), "{told:?}");
    let message = &told[0].1;
    assert!(
        message.starts_with("ipam.policy.settings: policy by-namespace.wasm") && message.contains("namspaces"),
        "{message}"
    );
    // A shadow that is at fault costs no pod its address.
    let shadow = json!({"policy": {"shadow": {"module": module("by-namespace"), "settings": {"namspaces": {}}}}});
    let (status, told) = site.check(&shadow, &[]);
    assert_eq!((status, told.len(), told[0].0.as_str()), (0, 1, "warning"), "{told:?}");
    assert!(
        !site.path("policies").exists() && fs::read_dir(site.directory.path()).unwrap().count() == 1,
        "nothing is kept"
    );
}

#[test]
fn a_file_that_is_missing_is_an_error_on_the_node_only() {
    let site = Site::new();
    let absent = json!({"policy": {"module": site.path("site.wasm")}});
    let (status, told) = site.check(&absent, &[]);
    assert!(status == 0 && told.len() == 1 && told[0].0 == "note" && told[0].1.contains("site.wasm"), "{told:?}");
    let (status, told) = site.check(&absent, &["--on-node"]);
    assert!(status == 1 && told.len() == 1 && told[0].1.ends_with("does not exist: an ADD fails"), "{told:?}");
}

#[test]
fn a_kubeconfig_is_read_and_the_program_it_names_is_not_run() {
    let site = Site::new();
    let (kubeconfig, trace) = (site.path("kubeconfig"), site.path("trace"));
    let etcd = json!({"etcdURL": "http://10.0.0.1:2379"});
    let network = json!({"etcdConfig": etcd, "kubeConfig": kubeconfig});
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [trace],
        "interactiveMode": "Never"}});
    let mut config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://10.0.0.1:6443"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    fs::write(&kubeconfig, config.to_string()).unwrap();
    assert_eq!(site.check(&network, &[]), (0, vec![]));
    assert!(!trace.exists(), "a check runs nothing");
    config["current-context"] = json!("another");
    fs::write(&kubeconfig, config.to_string()).unwrap();
    let (status, told) = site.check(&network, &[]);
    assert!(status == 1 && told.len() == 1 && told[0].1.starts_with("ipam.kubeConfig: "), "{told:?}");
}

#[test]
fn a_password_that_is_not_text_and_a_certificate_that_is_none_are_named() {
    let site = Site::new();
    fs::write(site.path("password"), [0xff, 0xfe]).unwrap();
    fs::write(site.path("ca.pem"), "not PEM").unwrap();
    let etcd = json!({"etcdURL": "https://10.0.0.1:2379", "etcdTrustedCAFileFile": site.path("ca.pem"),
        "etcdUsername": "kube-ipam", "etcdPasswordFile": site.path("password")});
    let (status, told) = site.check(&json!({ "etcdConfig": etcd }), &[]);
    let messages: Vec<&str> = told.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!((status, messages.len()), (1, 2), "{messages:?}");
    assert!(messages[0].starts_with("ipam.etcdConfig.etcdTrustedCAFileFile "), "{messages:?}");
    assert!(messages[1].starts_with("ipam.etcdConfig.etcdPasswordFile "), "{messages:?}");
}
