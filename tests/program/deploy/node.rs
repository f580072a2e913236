//! What the containers of `deploy/` run, with a node's directories that are temporary ones.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::{Call, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifests::{of_kind, pod, rendered, texts};

const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// Far more than anything takes; reached only by a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node as the DaemonSet's container sees it, below a temporary directory.
pub(super) struct Node(TempDir);

/// As they are mounted, by Kubernetes or from the node.
const DIRECTORIES: [&str; 10] = [
    "opt/cni/bin",
    "opt/cni/policies",
    "etc/cni/net.d",
    "etc/kube-ipam",
    "var/lib/cni/results",
    "policies",
    "networks",
    "secrets/etcd",
    "run/kube-ipam",
    "account",
];

impl Node {
    pub(super) fn new() -> Self {
        let node = Self(tempfile::tempdir().unwrap());
        for directory in DIRECTORIES {
            fs::create_dir_all(node.path(directory)).unwrap();
        }
        node.renew("first", AUTHORITY);
        node
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below.trim_start_matches('/'))
    }

    /// As kubelet does it: a file at a time is enough to see.
    pub(super) fn renew(&self, token: &str, authority: &str) {
        for (name, content) in [("ca.crt", authority), ("token", token)] {
            fs::write(self.path("account/new"), content).unwrap();
            fs::rename(self.path("account/new"), self.path("account").join(name)).unwrap();
        }
    }

    /// The command of a container whose paths lie on this node.
    pub(super) fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(program());
        for argument in arguments {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            match (name, value) {
                ("--watch", _) => command.arg("--watch=100ms"),
                (_, path) if path.starts_with('/') => command.arg(format!("{name}={}", self.path(path).display())),
                _ => command.arg(argument),
            };
        }
        command.arg("--service-account").arg(self.path("account"));
        command.env("KUBERNETES_SERVICE_HOST", "fd00::1").env("KUBERNETES_SERVICE_PORT", "443");
        command
    }

    fn kubeconfig(&self) -> Option<Value> {
        let text = fs::read(self.path("etc/cni/net.d/kube-ipam.kubeconfig")).ok()?;
        Some(serde_json::from_slice(&text).expect("whoever reads it meanwhile reads all of it"))
    }

    fn token(&self) -> Option<String> {
        Some(self.kubeconfig()?["users"][0]["user"]["token"].as_str()?.to_owned())
    }

    pub(super) fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A program that is stopped with the test.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of the DaemonSet.
pub(super) fn arguments() -> Vec<String> {
    texts(&pod(&of_kind(&rendered(), "DaemonSet")[0])["containers"][0]["args"], "")
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(super) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_daemon_set_installs_follows_what_changes_and_ends_when_told() {
    let node = Node::new();
    let binary = node.path("opt/cni/bin/kube-ipam");
    let log = File::create(node.path("log")).unwrap();
    let mut running = Running(node.command(&arguments()).stdout(log).spawn().unwrap());

    until("the binary comes last", || binary.exists());
    assert!(fs::read(&binary).unwrap() == fs::read(program()).unwrap() && mode(&binary) == 0o755);
    assert_eq!(mode(&node.path("etc/cni/net.d/kube-ipam.kubeconfig")), 0o600);
    let kubeconfig = node.kubeconfig().unwrap();
    assert_eq!(kubeconfig["clusters"][0]["cluster"]["server"], "https://[fd00::1]:443");
    assert_eq!(node.token().unwrap(), "first");

    node.renew("second", AUTHORITY);
    until("the kubeconfig follows the token", || node.token().as_deref() == Some("second"));
    node.renew("second", &AUTHORITY.repeat(2));
    until("and the CA", || node.kubeconfig().unwrap()["clusters"] != kubeconfig["clusters"]);
    fs::write(node.path("policies/site.wasm"), Guest::named("good").module()).unwrap();
    until("policies are installed", || node.names("opt/cni/policies") == ["site.wasm"]);
    fs::remove_file(&binary).unwrap();
    until("a lost binary comes back", || binary.exists());

    kill(Pid::from_raw(running.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    let status = running.0.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_eq!(node.names("etc/cni/net.d"), ["kube-ipam.kubeconfig"]);
    let told = fs::read_to_string(node.path("log")).unwrap();
    assert_eq!(told.lines().count(), 7, "what does not change is not told: {told}");
    assert!(!told.contains("second"), "a token is never told: {told}");
}

#[test]
fn kubectl_reads_the_kubeconfig() {
    let node = Node::new();
    let arguments = ["install-node", "--kubeconfig=/etc/cni/net.d/kube-ipam.kubeconfig"].map(str::to_owned);
    let output = node.command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.names("opt/cni/bin").len(), 0, "what is not asked for is not installed");
    let file = node.path("etc/cni/net.d/kube-ipam.kubeconfig");
    let mut view = Command::new("kubectl");
    view.arg("--kubeconfig").arg(file).args(["config", "view", "--raw", "-o", "json"]);
    let view: Value = serde_json::from_slice(&view.output().unwrap().stdout).unwrap();
    assert_eq!(view["current-context"], "kube-ipam");
    assert_eq!(view["users"][0]["user"]["token"], "first");
    assert_eq!(view["clusters"], node.kubeconfig().unwrap()["clusters"]);
}

/// So that no ADD has to ask.
#[test]
fn the_node_learns_which_cluster_it_is_in() {
    let server = ApiServer::double();
    let node = Node::new();
    let right = Rule { verbs: &["get"], resources: &["namespaces"] };
    let token = server.user("system:serviceaccount:kube-system:kube-ipam-node", &[right]);
    node.renew(&token, &fs::read_to_string(server.authority().certificate()).unwrap());
    let mut arguments = vec!["install-node".to_owned(), "--kubeconfig=/etc/cni/net.d/kube-ipam.kubeconfig".to_owned()];
    arguments.extend(["--data-dir=/var/lib/cni/kube-ipam".to_owned()]);
    let run = || {
        let mut command = node.command(&arguments);
        let output = command.args(["--server", &server.url()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run();
    assert!(told.contains(&format!("this is cluster {}", server.cluster_uid())), "{told}");
    let notes = node.names("var/lib/cni/kube-ipam/clusters");
    let note = node.path("var/lib/cni/kube-ipam/clusters").join(&notes[0]);
    assert_eq!((notes.len(), mode(&note)), (1, 0o600));
    assert!(fs::read_to_string(&note).unwrap().contains(&server.cluster_uid()));
    assert_eq!(run(), "", "it is asked once");
    assert_eq!(server.requests().len(), 1);

    // An ADD that finds the note asks for nothing.
    let section = json!({"subnet": "10.0.0.0/24", "kubeConfig": node.path("etc/cni/net.d/kube-ipam.kubeconfig")});
    let mut network = kube_ipam_tests::program::network(&node.path("var/lib/cni/kube-ipam"), &section);
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": Value::Null});
    Call::new("ADD", "c1", &network).for_pod("shop", "web", "uid-1").run().success();
    assert_eq!(server.requests().len(), 1);
    let shown = operate(&["show", "shop/web"], &network);
    assert!(String::from_utf8(shown.stdout).unwrap().contains(&server.cluster_uid()));
}

#[test]
fn a_failure_names_the_file_and_the_way_out() {
    let node = Node::new();
    fs::remove_file(node.path("account/token")).unwrap();
    let output = node.command(&arguments()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told.contains("/account/token: No such file") && told.contains("hint: ") && told.contains("--service-account")
    );
    assert_eq!(node.names("etc/cni/net.d").len() + node.names("opt/cni/bin").len(), 0);
}

/// Any user of the node may lock a directory that all may read. The lock that counts is a file of ours.
#[test]
fn a_lock_on_the_directory_keeps_nobody_waiting() {
    let node = Node::new();
    let anybodys = File::open(node.path("opt/cni/bin")).unwrap();
    anybodys.lock().unwrap();
    let arguments = ["install-node", "--bin-dir=/opt/cni/bin"].map(str::to_owned);
    let mut running = Running(node.command(&arguments).stdout(Stdio::null()).spawn().unwrap());
    until("installed", || running.0.try_wait().unwrap().is_some());
    assert_eq!(node.names("opt/cni/bin"), ["kube-ipam"]);
}

/// Another process that installs was stopped, and never gives its turn back.
#[test]
fn whoever_waits_for_a_turn_ends_when_told() {
    let node = Node::new();
    let stopped = File::create(node.path("opt/cni/bin/.kube-ipam.lock")).unwrap();
    stopped.lock().unwrap();
    let arguments = ["install-node", "--bin-dir=/opt/cni/bin", "--watch=30s"].map(str::to_owned);
    let mut running = Running(node.command(&arguments).stdout(Stdio::null()).spawn().unwrap());
    sleep(Duration::from_millis(500));
    assert!(running.0.try_wait().unwrap().is_none(), "it waits");
    let told = Instant::now();
    kill(Pid::from_raw(running.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

/// During an upgrade two containers install into one directory, and each is process 1 of its own.
#[test]
fn whoever_starts_the_binary_meanwhile_has_a_whole_one() {
    let node = Node::new();
    let binary = node.path("opt/cni/bin/kube-ipam");
    let arguments = ["install-node".to_owned(), "--bin-dir=/opt/cni/bin".to_owned(), "--watch=30s".to_owned()];
    let start = || Running(node.command(&arguments).stdout(Stdio::null()).spawn().unwrap());
    let running = [start(), start(), start()];
    until("installed", || binary.exists());
    for _ in 0..20 {
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o600)).unwrap(); // wrong: it is to be replaced
        until("replaced", || mode(&binary) == 0o755);
        let output = Command::new(&binary).arg("--version").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    drop(running);
}
