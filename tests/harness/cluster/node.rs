//! A node of the cluster: a machine with containerd and a kubelet.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use serde_json::{Value, json};

use super::census::Census;
use super::{NEWER_IMAGE, Network, Site};
use crate::machine::{Machine, wait_until};
use crate::namespace::{Namespace, ip};
use crate::{image, leftovers};

/// `$1` is the machine's directory, `$2` the machine's ID. What a machine keeps when it is switched off is the disk's:
/// the cache of libcni, and kube-ipam's own files. Settings of the kernel that a kubelet changes are every machine's,
/// so it gets files in their place.
const FURNISH: &str = r#"
set -e
echo "$2" >/etc/machine-id
mkdir -p "$1/cni" "$1/kernel" /var/lib/cni
mount --bind "$1/cni" /var/lib/cni
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  file=$1/kernel/$(basename "$setting")
  cat "/proc/sys/$setting" >"$file"
  mount --bind "$file" "/proc/sys/$setting"
done
containerd --config "$1/containerd.toml" >>"$1/containerd.log" 2>&1 &
"#;

/// `$1` is the machine's directory, the rest the kubelet and its arguments.
const KUBELET: &str = r#"
directory=$1
shift
"$@" >>"$directory/kubelet.log" 2>&1 &
echo $! >"$directory/kubelet.pid"
"#;

/// Where a cloud would tell machines about themselves.
const METADATA: &str = "169.254.169.254";

/// A node.
#[derive(Debug)]
pub struct Node {
    name: String,
    address: String,
    machine: Machine,
    site: Site,
    census: Arc<Census>,
    is_on: bool,
    has_kubelet: bool,
}

impl Node {
    /// On the machine of this namespace, which has this address on the cluster's bridge.
    pub(super) fn start(name: &str, address: &str, namespace: &Namespace, site: &Site, census: &Arc<Census>) -> Self {
        let hub = format!("{}.1", address.rsplit_once('.').unwrap().0);
        // A kubelet wants to know by which interface the world is reached, and waits for a cloud to tell what it is.
        ip(&["-n", namespace.name(), "route", "add", "default", "via", &hub]);
        ip(&["-n", namespace.name(), "route", "add", "unreachable", METADATA]);
        let mut node = Self {
            name: name.to_owned(),
            address: address.to_owned(),
            machine: Machine::inside(namespace),
            site: site.clone(),
            census: Arc::clone(census),
            is_on: false,
            has_kubelet: false,
        };
        let directory = node.machine.directory();
        fs::create_dir(node.static_pods()).unwrap();
        fs::write(directory.join("containerd.toml"), containerd(&node.machine)).unwrap();
        fs::write(directory.join("kubelet.json"), node.kubelet_configuration().to_string()).unwrap();
        node.set_network(&Network::new());
        node.boot();
        let image = node.machine.image().display().to_string();
        node.machine.run(&["ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "native", &image]);
        node.machine.run(&["ctr", "--namespace", "k8s.io", "images", "tag", image::NAME, NEWER_IMAGE]);
        node.start_kubelet();
        node
    }

    /// As the cluster knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it runs on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What kube-ipam logged here.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// An operator's command of the binary under test, on the node and about its network.
    pub fn operate(&self, command: &[&str]) -> Output {
        let network = self.machine.directory().join(format!("networks/10-{}.conflist", Network::NAME));
        let (program, network) = (crate::program().display().to_string(), network.display().to_string());
        let mut whole = vec![program.as_str()];
        whole.extend(command);
        whole.extend(["--conf", &network]);
        self.machine.attempt(&whole)
    }

    /// Give it this network.
    pub(super) fn set_network(&self, network: &Network) {
        self.machine.network(Network::NAME, &network.plugins(&self.name, &self.log_file(), &self.site));
    }

    /// Have the kubelet run a pod that no API server ordered.
    pub fn add_static_pod(&self, pod: &Value) {
        let name = pod["metadata"]["name"].as_str().unwrap();
        fs::write(self.static_pods().join(format!("{name}.json")), pod.to_string()).unwrap();
    }

    /// Have the kubelet end such pods.
    pub fn remove_static_pods(&self) {
        for file in fs::read_dir(self.static_pods()).unwrap().flatten() {
            fs::remove_file(file.path()).unwrap();
        }
    }

    /// End the kubelet without a warning; its pods live on.
    pub fn kill_kubelet(&mut self) {
        let directory = self.machine.directory().display().to_string();
        self.machine.run(&["sh", "-c", r#"kill -9 "$(cat "$1/kubelet.pid")""#, "sh", &directory]);
        self.has_kubelet = false;
    }

    /// Start the kubelet.
    pub fn start_kubelet(&mut self) {
        let directory = self.machine.directory().display().to_string();
        let kubelet = self.site.programs.join("kubelet").display().to_string();
        self.machine.run(&[
            "sh",
            "-c",
            KUBELET,
            "sh",
            &directory,
            &kubelet,
            &format!("--config={directory}/kubelet.json"),
            &format!("--kubeconfig={}", self.site.kubeconfig(&self.name).display()),
            &format!("--root-dir={directory}/kubelet"),
            &format!("--hostname-override={}", self.name),
            &format!("--node-ip={}", self.address),
            "--container-runtime=remote",
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
        ]);
        self.has_kubelet = true;
    }

    /// Cut its power: nothing lives on it any more.
    pub fn power_off(&mut self) {
        self.census.forget(&self.name);
        self.machine.power_off();
        leftovers::remove_container_groups();
        (self.is_on, self.has_kubelet) = (false, false);
    }

    /// Switch it on again, with the disk it had.
    pub fn power_on(&mut self) {
        self.machine.power_on();
        self.boot();
        self.start_kubelet();
    }

    /// Bring back what a test took away.
    pub(super) fn heal(&mut self) {
        self.remove_static_pods();
        if !self.is_on {
            self.power_on();
        } else if !self.has_kubelet {
            self.start_kubelet();
        }
    }

    fn boot(&mut self) {
        let directory = self.machine.directory().display().to_string();
        let number = self.name.rsplit('-').next().unwrap();
        self.machine.run(&["sh", "-c", FURNISH, "sh", &directory, &format!("{number:0>32}")]);
        let answers = || self.machine.attempt(&["ctr", "version"]).status.success();
        let log = || fs::read_to_string(self.machine.directory().join("containerd.log")).unwrap_or_default();
        assert!(wait_until(answers), "containerd does not answer:\n{}", log());
        self.census.count(&self.name, self.machine.pid());
        self.is_on = true;
    }

    fn static_pods(&self) -> PathBuf {
        self.machine.directory().join("static-pods")
    }

    fn log_file(&self) -> PathBuf {
        self.machine.directory().join("kube-ipam.log")
    }

    fn kubelet_configuration(&self) -> Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "staticPodPath": self.static_pods(),
            "resolvConf": "",
            "syncFrequency": "5s",
            "nodeStatusUpdateFrequency": "4s",
            "nodeLeaseDurationSeconds": 20,
            "kubeAPIQPS": 50,
            "kubeAPIBurst": 100,
            // The control groups and the disk are those of the machine around it.
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "evictionHard": {
                "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%",
            },
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The native snapshotter works on every file system, an overlay included. What belongs in /run lies there, so that it
/// is gone with the power.
fn containerd(machine: &Machine) -> String {
    let (directory, image) = (machine.directory().display(), image::NAME);
    format!(
        r#"
version = 2
root = "{directory}/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{directory}/plugins"
    conf_dir = "{directory}/networks"
"#
    )
}
