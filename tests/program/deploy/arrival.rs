//! What arrives on a node: modules are examined and compiled first, networks come last and only where an ADD would work, and
//! what is somebody else's stays.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::program::{network, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::node::{Node, Running, arguments, mode, until};

impl Node {
    /// The program of the DaemonSet, until the test ends.
    pub(super) fn installed(&self) -> Running {
        Running(self.command(&arguments()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// What the readiness probe says; nothing where the pod is ready.
    pub(super) fn probe(&self) -> String {
        let state = self.path("run/kube-ipam/state").display().to_string();
        let probed = Command::new(program()).args(["install-node", &format!("--ready={state}")]).output().unwrap();
        assert_eq!(probed.status.success(), probed.stdout.is_empty(), "{probed:?}");
        String::from_utf8(probed.stdout).unwrap()
    }

    pub(super) fn until_ready(&self) {
        until("everything is installed", || self.probe().is_empty());
    }

    /// Until the probe says all of this.
    pub(super) fn until_told(&self, words: &[&str]) -> String {
        let mut told = String::new();
        until(&format!("{words:?} is told"), || {
            told = self.probe();
            words.iter().all(|word| told.contains(word))
        });
        told
    }

    /// A file of a ConfigMap or a Secret, as kubelet changes it.
    pub(super) fn volume(&self, file: &str, content: impl AsRef<[u8]>) {
        let new = self.path("account/new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(file)).unwrap();
    }

    /// A network that keeps its addresses on this node.
    pub(super) fn embedded(&self) -> Value {
        network(&self.path("var/lib/cni/kube-ipam"), &json!({"subnet": "10.0.0.0/24"}))
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(bytes).unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[test]
fn a_module_is_compiled_before_it_is_installed_and_a_refused_one_is_named() {
    let node = Node::new();
    let good = Guest::named("good").module();
    node.volume("policies/cut.wasm", &good[..good.len() / 2]);
    node.volume("policies/packed.wasm.gz", gzip(&good));
    node.volume("policies/torn.wasm.gz", &gzip(&good)[..100]);
    node.volume("policies/wasi.wasm", Guest::named("import_wasi").module());
    let mut running = node.installed();
    let told = node.until_told(&["cut.wasm", "torn.wasm.gz", "wasi.wasm"]);
    assert!(told.contains("is truncated or corrupt") && told.contains("cannot be unpacked"), "{told}");
    assert!(told.contains("imports the system interface"), "{told}");
    assert!(!told.contains("packed.wasm"), "{told}");
    until("the others are installed", || node.names("opt/cni/policies") == ["packed.wasm"]);
    assert_eq!(mode(&node.path("opt/cni/policies/packed.wasm")), 0o644);
    assert!(fs::read(node.path("opt/cni/policies/packed.wasm")).unwrap() == good);
    assert!(node.path("opt/cni/bin/kube-ipam").exists(), "what is right is installed all the same");
    assert!(running.0.try_wait().unwrap().is_none(), "tokens have to be renewed");

    // An ADD finds it compiled: a cache that it cannot write to is as good.
    let kept = node.names("var/lib/cni/kube-ipam/policies");
    let mut configuration = node.embedded();
    configuration["ipam"]["policy"] = json!({"module": node.path("opt/cni/policies/packed.wasm")});
    assert_eq!(Call::new("ADD", "c1", &configuration).run().address(), "10.0.0.2/24");
    let compiled = |names: &[String]| names.iter().filter(|name| name.ends_with(".cwasm")).count();
    assert_eq!(compiled(&kept), compiled(&node.names("var/lib/cni/kube-ipam/policies")));

    for refused in ["cut.wasm", "torn.wasm.gz", "wasi.wasm"] {
        fs::remove_file(node.path("policies").join(refused)).unwrap();
    }
    node.until_ready();
}

#[test]
fn a_network_is_installed_last_and_only_once_an_add_would_work() {
    let (node, etcd) = (Node::new(), Setup::single().start());
    let mut configuration = etcd.network(&json!({"subnet": "10.1.0.0/24", "nodeName": "node-1", "timeout": "1s"}));
    configuration["ipam"]["policy"] = json!({"module": node.path("opt/cni/policies/site.wasm")});
    node.volume("networks/10-blue.conf", configuration.to_string());
    etcd.kill(0);
    let mut running = node.installed();
    node.until_told(&["10-blue.conf", "policy", "site.wasm does not exist"]);
    node.volume("policies/site.wasm", Guest::named("good").module());
    let told = node.until_told(&["10-blue.conf", "etcd"]);
    assert!(!told.contains("site.wasm"), "{told}");
    assert_eq!(node.names("etc/cni/net.d"), ["kube-ipam.kubeconfig"]);
    assert!(node.path("opt/cni/bin/kube-ipam").exists());
    etcd.launch(0);
    etcd.wait_for(0);
    node.until_ready();
    let installed = node.path("etc/cni/net.d/10-blue.conf");
    assert_eq!((fs::read_to_string(&installed).unwrap(), mode(&installed)), (configuration.to_string(), 0o644));

    // A change that would break it is not taken over, and a good one is.
    let mut broken = configuration.clone();
    broken["ipam"]["subnet"] = json!("10.1.0.0/33");
    node.volume("networks/10-blue.conf", broken.to_string());
    node.until_told(&["10-blue.conf", "10.1.0.0/33"]);
    assert_eq!(fs::read_to_string(&installed).unwrap(), configuration.to_string());
    configuration["ipam"]["gateway"] = json!("10.1.0.9");
    node.volume("networks/10-blue.conf", configuration.to_string());
    node.until_ready();
    assert_eq!(fs::read_to_string(&installed).unwrap(), configuration.to_string());

    // Neither the end of the pod nor that of the ConfigMap takes it from the pods of the node.
    kill(Pid::from_raw(running.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    running.0.wait().unwrap();
    fs::remove_file(node.path("networks/10-blue.conf")).unwrap();
    let _again = node.installed();
    node.until_ready();
    assert!(installed.exists());
    // Only a word does.
    node.volume("networks/10-blue.conf", "");
    until("it is removed", || !installed.exists());
    node.until_ready();
}

#[test]
fn credentials_follow_their_secret() {
    let node = Node::new();
    for name in ["ca.crt", "tls.crt", "tls.key"] {
        node.volume(&format!("secrets/etcd/{name}"), format!("first {name}"));
    }
    let _running = node.installed();
    node.until_ready();
    let file = node.path("etc/kube-ipam/etcd/tls.key");
    assert_eq!((fs::read_to_string(&file).unwrap(), mode(&file)), ("first tls.key".to_owned(), 0o600));
    assert_eq!(node.names("etc/kube-ipam/etcd"), ["ca.crt", "tls.crt", "tls.key"]);
    node.volume("secrets/etcd/tls.key", "second");
    until("the key follows", || fs::read_to_string(&file).unwrap() == "second");
    // A Secret that was deleted by mistake takes nothing from the node.
    fs::remove_file(node.path("secrets/etcd/tls.key")).unwrap();
    node.volume("secrets/etcd/ca.crt", "third");
    until("the authority follows", || fs::read_to_string(node.path("etc/kube-ipam/etcd/ca.crt")).unwrap() == "third");
    assert!(file.exists());
}

/// Each of its own kind: put there before us, or changed since.
#[test]
fn what_somebody_else_has_put_there_stays() {
    let node = Node::new();
    let theirs = |file: &str| fs::write(node.path(file), "theirs").unwrap();
    fs::create_dir(node.path("etc/kube-ipam/etcd")).unwrap();
    let files = ["etc/cni/net.d/10-blue.conf", "opt/cni/policies/site.wasm", "etc/kube-ipam/etcd/tls.key"];
    files.iter().copied().for_each(theirs);
    let configuration = node.embedded().to_string();
    node.volume("networks/10-blue.conf", &configuration);
    node.volume("policies/site.wasm", Guest::named("good").module());
    node.volume("secrets/etcd/tls.key", "ours");
    let _running = node.installed();
    node.until_told(&files.map(|file| Path::new(file).file_name().unwrap().to_str().unwrap()));
    for file in files {
        assert_eq!(fs::read_to_string(node.path(file)).unwrap(), "theirs", "{file}");
        fs::remove_file(node.path(file)).unwrap();
    }
    node.until_ready();
    theirs(files[0]);
    node.volume("networks/10-blue.conf", configuration + "\n");
    let told = node.until_told(&["10-blue.conf", "somebody has changed since"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(fs::read_to_string(node.path(files[0])).unwrap(), "theirs");
}

/// By hand, without a loop: the exit status says whether everything is there.
#[test]
fn a_single_look_fails_where_something_is_missing() {
    let node = Node::new();
    node.volume("networks/10-blue.conf", "{}");
    let mut arguments = arguments();
    arguments.retain(|argument| !argument.starts_with("--watch"));
    let output = node.command(&arguments).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("10-blue.conf") && told.contains("(hint: "), "{told}");
    node.volume("networks/10-blue.conf", node.embedded().to_string());
    assert!(node.command(&arguments).output().unwrap().status.success());
    assert_eq!(node.names("etc/cni/net.d"), ["10-blue.conf", "kube-ipam.kubeconfig"]);
}
