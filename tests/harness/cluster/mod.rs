//! A real Kubernetes cluster of two nodes, driven by `kubectl`.
//!
//! ```text
//!   this machine, at the bridge's address              node-1, a Machine        node-2
//!   etcd ◄─ kube-apiserver ◄─ kube-controller-manager  containerd ◄─ kubelet    the same
//!                     ▲    ◄─ kube-scheduler             │ bridge plugin
//!                     └──────── look-ups ─────────────── │ kube-ipam
//!   etcd of kube-ipam ◄───────────────────────────────── ┘
//! ```
//!
//! The two servers of etcd are apart so that a test can empty the one that holds addresses. Everything dies with the
//! process that started it; what cannot die (namespaces, directories, control groups) the next start removes.

mod census;
mod control;
mod network;
mod node;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use census::{Census, Living};
use control::Control;
pub use network::Network;
pub use node::Node;

use crate::etcd::{Etcd, Setup};
use crate::lan::Lan;
use crate::{image, leftovers, machine};

/// The image of [`image::NAME`] under a second name: a newer version of the same program.
pub const NEWER_IMAGE: &str = "localhost/kube-ipam-test:2";

/// An image that no node has: a pod of it gets its sandbox and address, and never starts.
pub const ABSENT_IMAGE: &str = "localhost/kube-ipam-test:absent";

const NODES: usize = 2;

/// How long the cluster may take to become ready on a busy machine.
const READY: Duration = Duration::from_secs(180);

/// A running cluster. It ends when it goes out of scope.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    census: Arc<Census>,
    site: Site,
    _control: Control,
    books: Etcd,
    _lan: Lan,
    _directory: TempDir,
}

/// Where the parts find each other.
#[derive(Clone, Debug)]
struct Site {
    /// The directory of Kubernetes' programs.
    programs: PathBuf,
    directory: PathBuf,
    /// The client URL of the etcd that holds addresses.
    books: String,
}

impl Site {
    fn kubeconfig(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.kubeconfig"))
    }
}

impl Cluster {
    /// Start the programs of this directory and wait until both nodes are ready for pods.
    pub fn start(programs: &Path) -> Self {
        let needed = ["containerd", "ctr", "runc", "kubectl", "etcd", "etcdctl", "/usr/lib/cni/bridge", "busybox"];
        let missing: Vec<_> = needed.into_iter().filter(|program| !machine::installed(program)).collect();
        assert!(missing.is_empty(), "tests/scripts/tools installs what the cluster lacks: {missing:?}");
        leftovers::sweep();
        let directory = leftovers::directory("cluster");
        let lan = Lan::create(NODES).expect("a cluster needs root, to create network namespaces");
        let books = Setup::single().at(&lan.hub()).start();
        let site = Site {
            programs: programs.to_owned(),
            directory: directory.path().to_owned(),
            books: books.endpoints().join(","),
        };
        let names: Vec<String> = (1..=NODES).map(|nth| format!("node-{nth}")).collect();
        let control = Control::start(&site, &lan.hub(), &names);
        let census = Census::start();
        let mut cluster =
            Self { nodes: Vec::new(), census, site, _control: control, books, _lan: lan, _directory: directory };
        // The rights that an installation grants are all that kube-ipam has here.
        cluster.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/base/rbac.yaml")]);
        for (nth, name) in names.iter().enumerate() {
            let (namespace, address) = (cluster._lan.namespace(nth), cluster._lan.address(nth));
            let node = Node::start(name, &address, namespace, &cluster.site, &cluster.census);
            cluster.nodes.push(node);
        }
        cluster.wait_for_nodes();
        cluster
    }

    /// Wait until every node is registered and ready.
    pub fn wait_for_nodes(&self) {
        let start = Instant::now();
        while self.ready_nodes() < self.nodes.len() {
            assert!(start.elapsed() < READY, "the nodes do not become ready:\n{}", self.complaints());
            thread::sleep(Duration::from_millis(250));
        }
    }

    fn ready_nodes(&self) -> usize {
        let listed = self.get(&["nodes"]);
        let mut ready = 0;
        for node in listed["items"].as_array().unwrap() {
            let conditions = node["status"]["conditions"].as_array();
            let is_ready = |condition: &&Value| condition["type"] == "Ready" && condition["status"] == "True";
            ready += usize::from(conditions.into_iter().flatten().any(|condition| is_ready(&condition)));
        }
        ready
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.site.kubeconfig("administrator")
    }

    /// What `kubectl` prints for these arguments; it has to succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Run `kubectl`, whatever comes of it.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["--signal=KILL", &READY.as_secs().to_string(), "kubectl"])
            .arg(format!("--cache-dir={}", self.site.directory.join("kubectl").display()))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .output()
            .unwrap()
    }

    /// `kubectl get …` as JSON.
    pub fn get(&self, arguments: &[&str]) -> Value {
        let mut whole = vec!["get", "-o", "json"];
        whole.extend(arguments);
        serde_json::from_str(&self.kubectl(&whole)).unwrap()
    }

    /// `kubectl apply` of objects.
    pub fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let mut file = tempfile::Builder::new().suffix(".json").tempfile_in(&self.site.directory).unwrap();
        file.write_all(list.to_string().as_bytes()).unwrap();
        self.kubectl(&["apply", "-f", &file.path().display().to_string()]);
    }

    /// Give both nodes this network instead of the one they have. Pods that run keep what they have.
    pub fn set_network(&self, network: &Network) {
        for node in &self.nodes {
            node.set_network(network);
        }
        // containerd sees the new file by inotify and says nowhere when it has read it.
        thread::sleep(Duration::from_secs(1));
    }

    /// The nodes, `node-1` first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of this name, to be switched off or without its kubelet.
    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name() == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The etcd that holds addresses.
    pub fn books(&self) -> &Etcd {
        &self.books
    }

    /// Who lives, as the kernel sees it.
    pub fn census(&self) -> &Census {
        &self.census
    }

    /// Everything that a scenario may have broken works again: both nodes run, are ready and take pods of the usual
    /// network.
    pub fn heal(&mut self) {
        for node in &mut self.nodes {
            node.heal();
        }
        self.set_network(&Network::new());
        self.wait_for_nodes();
        let names: Vec<String> = self.nodes.iter().map(|node| node.name().to_owned()).collect();
        for name in names {
            self.ask(&["uncordon", &name]);
            self.ask(&["taint", "node", &name, &format!("{}-", OUT_OF_SERVICE)]);
        }
    }

    /// The last words of every part, for a test that fails.
    pub fn complaints(&self) -> String {
        let mut files: Vec<PathBuf> = Vec::new();
        for part in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            files.push(self.site.directory.join(format!("{part}.log")));
        }
        for node in &self.nodes {
            files.push(node.machine().directory().join("containerd.log"));
            files.push(node.machine().directory().join("kubelet.log"));
        }
        let mut text = String::new();
        for file in files {
            let log = std::fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(8)..];
            text.push_str(&format!("--- {}\n{}\n", file.display(), last.join("\n")));
        }
        text
    }
}

/// The taint by which an administrator says that a node is off.
pub const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// The names of the images that every node has.
pub const IMAGES: [&str; 2] = [image::NAME, NEWER_IMAGE];
