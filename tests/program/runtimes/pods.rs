//! Pods of a kubelet in containerd: fixed addresses with no API server in sight, and DEL that comes twice.

use std::thread;

use kube_ipam_tests::machine::Machine;
use serde_json::Value;

use super::containerd::Containerd;
use super::cri::{Cri, Pod};
use super::networks;

/// The machine with its network `blue`, and its kubelet.
struct Node {
    containerd: Containerd,
    cri: Cri,
}

impl Node {
    fn start(name: &str, plugins: fn(&Machine) -> Vec<Value>) -> Option<Self> {
        let containerd = Containerd::start(name, plugins)?;
        let cri = Cri::connect(&containerd);
        Some(Self { containerd, cri })
    }

    fn machine(&self) -> &Machine {
        &self.containerd.machine
    }

    fn run(&self, pod: &Pod) -> String {
        self.cri.run(pod).unwrap_or_else(|error| panic!("{error}\n{}", self.containerd.log()))
    }

    /// Address and sandbox of everything held.
    fn held(&self) -> Vec<(String, String)> {
        self.machine().held("blue", &networks::dual_stack(self.machine()))
    }

    fn forget(&self, sandbox: &str) {
        self.cri.stop(sandbox);
        self.cri.remove(sandbox);
    }
}

fn pair(address: &str, sandbox: &str) -> (String, String) {
    (address.to_owned(), sandbox.to_owned())
}

fn life_of_a_pod(name: &str, plugins: fn(&Machine) -> Vec<Value>) {
    let Some(node) = Node::start(name, plugins) else { return };
    let web = node.run(&Pod::new("web"));
    assert_eq!(node.cri.addresses(&web), ["10.88.0.2", "fd88::2"]);
    assert_eq!(node.held(), [pair("10.88.0.2", &web), pair("fd88::2", &web)]);

    node.cri.stop(&web);
    assert_eq!(node.held(), []);
    node.cri.remove(&web);
    assert_eq!(node.held(), []);
    assert_eq!(node.cri.sandboxes(), Vec::<String>::new());

    let calls = node.machine().calls();
    let verbs: Vec<_> = calls.iter().map(|call| (call.verb.as_str(), call.netns.is_empty())).collect();
    assert_eq!(verbs, [("ADD", false), ("DEL", false), ("DEL", true)], "{calls:?}");
    for call in calls {
        assert_eq!(call.container, web);
        assert!(call.args.contains("K8S_POD_NAME=web"), "{call:?}");
        assert!(call.args.contains("K8S_POD_UID=uid-web"), "{call:?}");
    }
}

#[test]
fn bridge() {
    life_of_a_pod("cri-bridge", networks::bridge);
}

#[test]
fn ptp() {
    life_of_a_pod("cri-ptp", networks::ptp);
}

#[test]
fn macvlan() {
    life_of_a_pod("cri-macvlan", networks::macvlan);
}

#[test]
fn an_annotation_fixes_the_address_with_no_api_server() {
    let Some(node) = Node::start("cri-fixed", networks::bridge) else { return };
    let db = Pod::new("db").annotated("kube-ipam.ip", "10.88.0.216,fd88::d8");
    let sandbox = node.run(&db);
    assert_eq!(node.cri.addresses(&sandbox), ["10.88.0.216", "fd88::d8"]);

    let thief = Pod::new("thief").annotated("kube-ipam.ip", "10.88.0.216");
    let error = node.cri.run(&thief).unwrap_err();
    assert!(error.contains("10.88.0.216 is held by pod shop/db"), "{error}");
    assert_eq!(node.held(), [pair("10.88.0.216", &sandbox), pair("fd88::d8", &sandbox)]);

    let wrong = Pod::new("wrong").annotated("kube-ipam.ip", "10.88.0.300");
    let error = node.cri.run(&wrong).unwrap_err();
    assert!(error.contains("kube-ipam.ip") && error.contains("10.88.0.300"), "{error}");

    node.forget(&sandbox);
    assert_eq!(node.held(), []);
    let sandbox = node.run(&thief);
    assert_eq!(node.cri.addresses(&sandbox)[0], "10.88.0.216");
    node.forget(&sandbox);
    assert_eq!(node.held(), []);
}

#[test]
fn the_next_sandbox_of_a_pod_takes_its_fixed_address_over() {
    let Some(node) = Node::start("cri-again", networks::bridge) else { return };
    let db = Pod::new("db").annotated("kube-ipam.ip", "10.88.0.216");
    let old = node.run(&db);
    let new = node.run(&db.again());
    assert_eq!(node.held(), [pair("10.88.0.216", &new), pair("fd88::2", &new)]);

    node.forget(&old);
    assert_eq!(node.held(), [pair("10.88.0.216", &new), pair("fd88::2", &new)]);
    node.forget(&new);
    assert_eq!(node.held(), []);
}

#[test]
fn a_restart_of_the_daemon_leaks_nothing() {
    let Some(mut node) = Node::start("cri-restart", networks::bridge) else { return };
    let (stopped, lives) = (node.run(&Pod::new("stopped")), node.run(&Pod::new("lives")));
    node.cri.stop(&stopped);
    node.containerd.restart();
    node.cri = Cri::connect(&node.containerd);

    assert_eq!(node.cri.addresses(&lives), ["10.88.0.3", "fd88::3"]);
    assert_eq!(node.held(), [pair("10.88.0.3", &lives), pair("fd88::3", &lives)]);
    node.cri.remove(&stopped);
    node.forget(&lives);
    assert_eq!(node.held(), []);
}

/// The result of the ADD in containerd's cache names the pod, and tells a fixed address from a dynamic one.
#[test]
fn a_store_that_was_lost_learns_of_the_pods_that_run() {
    let Some(node) = Node::start("cri-lost", networks::bridge) else { return };
    let fixed = node.run(&Pod::new("fixed").annotated("kube-ipam.ip", "10.88.0.77"));
    let web = node.run(&Pod::new("web"));
    let network = node.machine().directory().join("networks/10-blue.conflist").display().to_string();
    let program = kube_ipam_tests::program().canonicalize().unwrap().display().to_string();
    let operate = |arguments: &[&str]| {
        let whole = [&[program.as_str()], arguments, &["--conf", &network]].concat();
        node.machine().run(&whole)
    };
    let records = |rows: &str| -> Vec<Value> {
        let rows: Value = serde_json::from_str(rows).unwrap();
        let known = |row: &Value| serde_json::json!([row["address"], row["kind"], row["container"], row["pod"]]);
        rows.as_array().unwrap().iter().map(known).collect()
    };
    let before = records(&operate(&["list", "-o", "json"]));
    std::fs::remove_dir_all(node.machine().directory().join("data")).unwrap();
    let done = operate(&["fsck", "--containers", "--repair", "--yes"]);
    assert!(done.contains("2 of 2 repairs done"), "{done}");
    assert_eq!(records(&operate(&["list", "-o", "json"])), before);
    assert!(operate(&["fsck", "--containers"]).contains("2 containers run here"));
    node.forget(&fixed);
    node.forget(&web);
    assert_eq!(node.held(), []);
}

#[test]
fn a_published_port_leads_to_the_pod() {
    let Some(node) = Node::start("cri-port", networks::bridge) else { return };
    let web = node.run(&Pod::new("web").published(8080));
    let page = node.machine().run(&["busybox", "wget", "-q", "-O", "-", "http://10.88.0.1:8080/etc/page"]);
    assert_eq!(page.trim(), "a page of the pod");
    node.forget(&web);
    assert_eq!(node.held(), []);
}

#[test]
fn pods_that_come_all_at_once_have_addresses_of_their_own() {
    const PODS: usize = 8;
    let Some(node) = Node::start("cri-crowd", networks::bridge) else { return };
    let containerd = &node.containerd;
    let run = |nth: usize| Cri::connect(containerd).run(&Pod::new(&format!("pod-{nth}"))).unwrap();
    let sandboxes: Vec<String> = thread::scope(|scope| {
        let starts: Vec<_> = (0..PODS).map(|nth| scope.spawn(move || run(nth))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });

    let mut expected: Vec<_> = sandboxes
        .iter()
        .flat_map(|sandbox| node.cri.addresses(sandbox).into_iter().map(move |address| pair(&address, sandbox)))
        .collect();
    expected.sort();
    assert_eq!(expected.len(), 2 * PODS);
    assert_eq!(node.held(), expected);

    thread::scope(|scope| {
        for sandbox in &sandboxes {
            scope.spawn(move || {
                let cri = Cri::connect(containerd);
                cri.stop(sandbox);
                cri.remove(sandbox);
            });
        }
    });
    assert_eq!(node.held(), []);
}
