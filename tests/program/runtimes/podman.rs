//! podman with its CNI back end: a container's name stands where a pod's would, and there is no namespace.

use std::fs;
use std::process::Output;

use kube_ipam_tests::image;
use kube_ipam_tests::machine::Machine;
use serde_json::json;

use super::networks;

/// What has to be installed.
const PROGRAMS: [&str; 3] = ["podman", "conmon", "runc"];

/// Limits above the machine's own cannot be granted.
const CONFIGURATION: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
apparmor_profile = "unconfined"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "runc"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
"#;

/// The machine with its container store.
struct Podman {
    machine: Machine,
}

impl Podman {
    fn on_machine(name: &str) -> Option<Self> {
        let machine = Machine::start(name, &PROGRAMS)?;
        machine.network("blue", &networks::bridge(&machine));
        let green = machine.ipam(&json!([[{"subnet": "10.90.0.0/24"}]]));
        machine.network("green", &[json!({"type": "bridge", "bridge": "cni1", "ipam": green})]);
        fs::write(machine.directory().join("containers.conf"), CONFIGURATION).unwrap();
        let podman = Self { machine };
        podman.run(&["load", "--input", &podman.machine.image().display().to_string()]);
        Some(podman)
    }

    fn attempt(&self, arguments: &[&str]) -> Output {
        let directory = self.machine.directory().display();
        let (configuration, root) =
            (format!("CONTAINERS_CONF={directory}/containers.conf"), format!("{directory}/podman"));
        let program = ["env", &configuration, "podman", "--root", &root, "--runroot", "/run/podman"];
        let whole: Vec<_> = program.iter().chain(&["--storage-driver", "vfs"]).chain(arguments).copied().collect();
        self.machine.attempt(&whole)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.attempt(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Addresses held in a network, each with its container.
    fn held(&self, network: &str) -> Vec<(String, String)> {
        self.machine.held(network, &networks::dual_stack(&self.machine))
    }

    /// A container that lives until it is removed; its ID.
    fn start(&self, name: &str, more: &[&str]) -> String {
        let cgroup = format!("--cgroup-parent={}", self.machine.cgroup());
        let whole: Vec<_> =
            ["run", "--detach", "--name", name, &cgroup].iter().chain(more).chain(&[image::NAME]).copied().collect();
        self.run(&whole).trim().to_owned()
    }

    fn inside(&self, container: &str, interface: &str) -> String {
        self.run(&["exec", container, "ip", "-o", "addr", "show", "dev", interface])
    }

    fn remove(&self, container: &str) {
        self.run(&["rm", "--force", "--time", "0", container]);
    }
}

fn pair(address: &str, container: &str) -> (String, String) {
    (address.to_owned(), container.to_owned())
}

#[test]
fn a_container_sees_its_addresses_until_it_is_removed() {
    let Some(podman) = Podman::on_machine("podman-life") else { return };
    let web = podman.start("web", &["--network", "blue"]);
    let inside = podman.inside("web", "eth0");
    assert!(inside.contains("10.88.0.2/24") && inside.contains("fd88::2/64"), "{inside}");
    let outside = podman.run(&["inspect", "--format", "{{.NetworkSettings.Networks.blue.IPAddress}}", "web"]);
    assert_eq!(outside.trim(), "10.88.0.2");
    assert_eq!(podman.held("blue"), [pair("10.88.0.2", &web), pair("fd88::2", &web)]);

    podman.remove("web");
    assert_eq!(podman.held("blue"), []);
    for call in podman.machine.calls() {
        assert_eq!(call.args, "IgnoreUnknown=1;K8S_POD_NAME=web");
    }
}

#[test]
fn a_container_leaves_one_of_its_networks() {
    let Some(podman) = Podman::on_machine("podman-two") else { return };
    let web = podman.start("web", &["--network", "blue", "--network", "green"]);
    assert_eq!(podman.held("blue"), [pair("10.88.0.2", &web), pair("fd88::2", &web)]);
    assert_eq!(podman.held("green"), [pair("10.90.0.2", &web)]);

    podman.run(&["network", "disconnect", "green", "web"]);
    assert_eq!(podman.held("green"), []);
    assert_eq!(podman.held("blue"), [pair("10.88.0.2", &web), pair("fd88::2", &web)]);
    podman.run(&["network", "connect", "green", "web"]);
    assert_eq!(podman.held("green"), [pair("10.90.0.3", &web)]);

    podman.remove("web");
    assert_eq!(podman.held("blue"), []);
    assert_eq!(podman.held("green"), []);
}

/// libcni's own cache, as this podman's libcni writes it.
#[test]
fn a_store_that_was_lost_learns_of_the_containers_that_run() {
    let Some(podman) = Podman::on_machine("podman-lost") else { return };
    let web = podman.start("web", &["--network", "blue"]);
    let db = podman.start("db", &["--network", "blue", "--ip", "10.88.0.77"]);
    let held = podman.held("blue");
    fs::remove_dir_all(podman.machine.directory().join("data")).unwrap();
    assert_eq!(podman.held("blue"), []);

    let network = podman.machine.directory().join("networks/10-blue.conflist").display().to_string();
    let program = kube_ipam_tests::program().canonicalize().unwrap().display().to_string();
    let fsck = [program.as_str(), "fsck", "--containers", "--repair", "--yes", "--conf", &network];
    let done = podman.machine.run(&fsck);
    assert!(done.contains("2 of 2 repairs done") && done.contains(&web) && done.contains(&db), "{done}");
    assert_eq!(podman.held("blue"), held);
    let new = podman.start("new", &["--network", "blue"]);
    assert_eq!(podman.held("blue").iter().filter(|(_, container)| *container == new).count(), 2);
    assert_eq!(podman.held("blue").len(), 6, "nothing is given out twice");
    for name in ["web", "db", "new"] {
        podman.remove(name);
    }
    assert_eq!(podman.held("blue"), []);
}

#[test]
fn an_address_asked_for_is_given_once() {
    let Some(podman) = Podman::on_machine("podman-ip") else { return };
    let asks = ["--network", "blue", "--ip", "10.88.0.77"];
    let db = podman.start("db", &asks);
    assert_eq!(podman.held("blue"), [pair("10.88.0.77", &db), pair("fd88::2", &db)]);

    let mut thief = vec!["run", "--name", "thief"];
    thief.extend(asks);
    thief.push(image::NAME);
    let refused = podman.attempt(&thief);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("10.88.0.77 is held by"), "{error}");
    assert_eq!(podman.held("blue"), [pair("10.88.0.77", &db), pair("fd88::2", &db)]);

    podman.remove("thief");
    podman.remove("db");
    assert_eq!(podman.held("blue"), []);
}
