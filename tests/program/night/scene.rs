//! The node that is broken, and the operator in front of it: what a hint says to type is typed here as it stands.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kube_ipam_tests::etcd::Etcd;
use kube_ipam_tests::node::Node;
use kube_ipam_tests::{Answer, Call, is_root, program};
use serde_json::{Value, json};

/// Directories that the node has for itself, so that files are where they are on every node and no other test sees them.
const OWN: [&str; 4] = ["etc/cni", "opt", "var/lib", "var/log"];

/// `$1` is where these directories are kept. Whatever else is mounted on the node ends with this process.
const INIT: &str = r#"
set -e
directory=$1
shift
mkdir -p /etc/cni
for part; do mount --bind "$directory/$part" "/$part"; done
echo ready
exec sleep infinity
"#;

/// Where a runtime looks for the network of this node.
const NETWORK: &str = "/etc/cni/net.d/10-blue.conf";

/// A node with a network `blue` in its usual place.
pub(super) struct Scene {
    node: Node,
    init: Child,
    /// What the operator's shell has set.
    variables: Vec<(String, String)>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

impl Scene {
    /// The embedded store, and this much of an `ipam` section. `None`, with a word, where there can be no such node (not root).
    pub(super) fn new(ipam: &Value) -> Option<Self> {
        if !is_root("a bad night") {
            return None;
        }
        let node = Node::new();
        for directory in OWN.into_iter().chain(["etc/cni/net.d", "opt/cni/policies", "var/lib/cni/results", "bin"]) {
            fs::create_dir_all(node.path(directory)).unwrap();
        }
        symlink(program().canonicalize().unwrap(), node.path("bin/kube-ipam")).unwrap();
        let init = boot(&node.path(""));
        let scene = Self { node, init, variables: Vec::new() };
        let mut section = json!({"type": "kube-ipam", "nodeName": "node-1", "subnet": "10.0.0.0/24"});
        section.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        scene.write(NETWORK, &json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": section}));
        Some(scene)
    }

    /// The same on an etcd, which the operator's shell knows, too.
    pub(super) fn on(etcd: &Etcd, ipam: &Value) -> Option<Self> {
        let mut ipam = ipam.clone();
        if ipam["etcdConfig"].is_null() {
            ipam["etcdConfig"] = etcd.section();
        }
        let scene = Self::new(&ipam)?;
        Some(scene.set("ETCDCTL_API", "3").set("ETCDCTL_ENDPOINTS", &etcd.endpoints().join(",")))
    }

    /// Set a variable of the operator's shell.
    pub(super) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path of the node as the test sees it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.node.path(path.trim_start_matches('/'))
    }

    pub(super) fn write(&self, path: &str, json: &Value) {
        fs::write(self.path(path), json.to_string()).unwrap();
    }

    /// The network as its file has it.
    pub(super) fn network(&self) -> Value {
        self.read(NETWORK)
    }

    /// A file of JSON.
    pub(super) fn read(&self, path: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// Change the `ipam` section in the network's file.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut network = self.network();
        change(&mut network["ipam"]);
        self.write(NETWORK, &network);
    }

    /// A call of the plugin, yet to be made.
    pub(super) fn call(&self, verb: &str, container: &str) -> Call {
        self.call_in(&self.network(), verb, container)
    }

    pub(super) fn call_in(&self, network: &Value, verb: &str, container: &str) -> Call {
        Call::new(verb, container, network).with("KUBE_IPAM_LOG_FILE", "").by(&["/usr/bin/nsenter", &self.mounts()])
    }

    /// An ADD, and what libcni keeps of it where it succeeds.
    pub(super) fn add(&self, container: &str) -> Answer {
        let answer = self.call("ADD", container).run();
        if answer.status == Some(0) {
            self.remember(container, &answer.json());
        }
        answer
    }

    /// An ADD of a pod.
    pub(super) fn add_pod(&self, container: &str, pod: &str, uid: &str) -> Answer {
        self.call("ADD", container).for_pod("shop", pod, uid).run()
    }

    /// An ADD of a pod whose annotations the runtime passes.
    pub(super) fn add_annotated(&self, container: &str, annotation: (&str, &str)) -> Answer {
        let mut network = self.network();
        network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {annotation.0: annotation.1}});
        self.call_in(&network, "ADD", container).for_pod("shop", container, "u1").run()
    }

    pub(super) fn del(&self, container: &str) {
        self.call("DEL", container).run().success();
        let _ = fs::remove_file(self.result(container));
    }

    fn result(&self, container: &str) -> PathBuf {
        self.path("var/lib/cni/results").join(format!("blue-{container}-eth0"))
    }

    /// As libcni does, whose container runs until its DEL.
    fn remember(&self, container: &str, answer: &Value) {
        let mut result = answer.clone();
        let netns = format!("/var/run/netns/night-{container}");
        result["interfaces"] = json!([{"name": "eth0", "sandbox": netns}]);
        let cached = json!({
            "kind": "cniCacheV1", "containerId": container, "ifName": "eth0", "networkName": "blue", "netns": netns,
            "result": result,
        });
        fs::write(self.result(container), cached.to_string()).unwrap();
    }

    fn mounts(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.init.id())
    }

    /// Type a line into the operator's shell. A question is answered with yes.
    pub(super) fn type_in(&self, line: &str) -> (Option<i32>, String) {
        // A question is only asked on a terminal, which `script` is.
        self.shell(&["/usr/bin/script", "--quiet", "--return", "--command", line, "/dev/null"])
    }

    fn shell(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut shell = Command::new("/usr/bin/nsenter");
        shell.arg(self.mounts()).args(words);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        shell.env_clear().env("PATH", path).env("HOME", "/root").env("NO_COLOR", "1");
        shell.envs(self.variables.iter().map(|(name, value)| (name, value)));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let _ = shell.stdin.take().unwrap().write_all(b"y\n");
        let output = shell.wait_with_output().unwrap();
        (output.status.code(), printed(&output))
    }

    /// What doctor says of the network, by its checks: name, verdict, detail, hint.
    pub(super) fn doctor(&self) -> Vec<Value> {
        let (_, told) = self.shell(&["/bin/sh", "-c", "kube-ipam doctor --network blue -o json 2>/dev/null"]);
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
    }
}

/// Run this node until the test is over; also where the test is killed.
fn boot(directory: &Path) -> Child {
    let mut init = Command::new("setpriv");
    init.args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "sh", "-c", INIT, "sh"]).arg(directory).args(OWN);
    let mut init = init.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(init.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "the node does not start");
    init
}

/// What a terminal shows.
fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).replace('\r', "")).concat()
}
