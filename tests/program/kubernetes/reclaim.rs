//! Nothing leaked, and nothing freed that lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Output;
use std::thread;

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::Fault;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::node::command;
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::{RECLAIM, Site, add, del};

impl Site {
    fn reclaim(&self, network: &Value, options: &[&str]) -> Output {
        let token = self.server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &RECLAIM);
        let kubeconfig = self.server.kubeconfig(&token).display().to_string();
        let mut command = vec!["reclaim", "--yes", "--kubeconfig", &kubeconfig, "--pause", "100ms"];
        command.extend(options);
        operate(&command, network)
    }

    /// Reclaim without a period of grace: what it released.
    fn reclaimed(&self, network: &Value) -> BTreeSet<String> {
        let output = self.reclaim(network, &["--grace", "0s", "-o", "json"]);
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let leaks = report["leaks"].as_array().unwrap();
        leaks.iter().for_each(|leak| assert_eq!(leak["outcome"], "released", "{leak}"));
        leaks.iter().map(|leak| leak["container"].as_str().unwrap().to_owned()).collect()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn what_is_gone_is_released_and_what_lives_stays() {
    let site = Site::new();
    let network = site.network(&json!({}));
    for name in ["lives", "deleted", "finished", "failed", "replaced", "leaves"] {
        let uid = site.pod(name).create();
        add(&network, &format!("c-{name}"), name, &uid).success();
    }
    Call::new("ADD", "c-no-pod", &network).run().success();
    site.server.delete_pod("shop", "deleted");
    site.server.set_phase("shop", "finished", "Succeeded");
    site.server.set_phase("shop", "failed", "Failed");
    site.server.delete_pod("shop", "replaced");
    site.pod("replaced").create();
    site.server.terminate_pod("shop", "leaves");

    let dry = site.reclaim(&network, &["--grace", "0s", "--dry-run"]);
    assert!(text(&dry).contains("4 of 7 claims would be released"), "{}", text(&dry));
    assert!(text(&dry).contains("pod shop/deleted is deleted"), "{}", text(&dry));
    assert!(text(&dry).contains("; left 2 whose pod exists"), "{}", text(&dry));
    assert_eq!(held(&network).len(), 7);
    let young = site.reclaim(&network, &[]);
    assert!(text(&young).contains("0 of 7 claims released; skipped 1 that belongs to no pod"), "{}", text(&young));
    assert!(text(&young).contains("; left 6 younger than 15m (--grace)"), "{}", text(&young));
    let elsewhere = site.reclaim(&network, &["--grace", "0s", "--node", "node-2"]);
    assert!(text(&elsewhere).contains("0 of 7 claims released"), "{}", text(&elsewhere));
    assert!(text(&elsewhere).contains("; left 6 of another node than node-2 (--node)"), "{}", text(&elsewhere));

    let expected = ["c-deleted", "c-failed", "c-finished", "c-replaced"].map(str::to_owned);
    assert_eq!(site.reclaimed(&network), BTreeSet::from(expected));
    let left: BTreeSet<_> = held(&network).into_values().collect();
    assert_eq!(left, BTreeSet::from(["c-lives", "c-leaves", "c-no-pod"].map(str::to_owned)));
    assert!(site.reclaimed(&network).is_empty());
}

/// As the CronJob of `deploy/` sees the networks of the nodes, which keeps none of their disks.
#[test]
fn one_run_looks_after_all_networks_of_the_nodes() {
    let site = Site::new();
    let networks = tempfile::tempdir().unwrap();
    let token = site.server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &RECLAIM);
    let kubeconfig = site.server.kubeconfig(&token).display().to_string();
    let directory = networks.path().display().to_string();
    let run = || {
        let arguments =
            ["reclaim", "--all", "--yes", "--conf", &directory, "--kubeconfig", &kubeconfig, "--grace", "0s"];
        let mut command = command(&arguments);
        command.args(["--pause", "100ms"]).output().unwrap()
    };
    fs::write(networks.path().join("05-taken-off.conf"), "").unwrap();
    let output = run();
    assert!(output.status.success() && text(&output).contains("nothing to reclaim"), "{}", text(&output));

    let blue = site.network(&json!({}));
    let uid = site.pod("deleted").create();
    add(&blue, "c-deleted", "deleted", &uid).success();
    site.server.delete_pod("shop", "deleted");
    let mut on_nodes = site.network(&json!({"subnet": "10.189.0.0/24", "dataDir": networks.path().join("none")}));
    on_nodes["name"] = json!("red");
    let mut silent = site.network(&json!({"subnet": "10.190.0.0/24", "etcdConfig": {"etcdURL": "http://127.0.0.1:1"}}));
    silent["name"] = json!("green");
    for (file, network) in [("10-green.conf", &silent), ("20-red.conf", &on_nodes), ("30-blue.conf", &blue)] {
        fs::write(networks.path().join(file), network.to_string()).unwrap();
    }
    let output = run();
    let told = text(&output);
    assert!(told.contains("network red keeps its addresses on its nodes"), "{told}");
    assert!(told.contains("network blue: 1 of 1 claim released"), "{told}");
    assert!(!output.status.success() && told.contains("network green: "), "the others are looked after: {told}");
    assert!(held(&blue).is_empty());
    assert!(!networks.path().join("none").exists(), "nothing is made to look at it");
}

#[test]
fn a_node_by_another_name_loses_nothing() {
    let site = Site::new();
    // Kubernetes knows the node by another name than we do.
    let network = site.network(&json!({"nodeName": "ip-10-0-0-1"}));
    let uid = site.pod("web-0").create();
    add(&network, "c1", "web-0", &uid).success();
    assert!(site.reclaimed(&network).is_empty());
    // None of its nodes is known: it might be another cluster.
    site.server.delete_node("node-1");
    let output = site.reclaim(&network, &["--grace", "0s"]);
    assert!(!output.status.success() && text(&output).contains("none of the 1 nodes"), "{}", text(&output));
    assert!(text(&output).contains("node node-1 is deleted") && text(&output).contains("--force"), "{}", text(&output));
    assert_eq!(held(&network).len(), 1);
    let output = site.reclaim(&network, &["--grace", "0s", "--force"]);
    assert!(output.status.success() && text(&output).contains("1 of 1 claim released"), "{}", text(&output));
    assert!(held(&network).is_empty());
}

/// An API server that was restored from an old backup knows none of the pods that were started since.
#[test]
fn very_many_leaks_at_once_are_shown_and_left() {
    let site = Site::new();
    let network = site.network(&json!({}));
    let start = |name: &str| {
        let uid = site.pod(name).create();
        add(&network, &format!("c-{name}"), name, &uid).success();
    };
    (0..30).for_each(|nth| start(&format!("p{nth}")));
    (0..10).for_each(|nth| site.server.delete_pod("shop", &format!("p{nth}")));
    assert_eq!(site.reclaimed(&network).len(), 10, "ten are believed");
    (10..21).for_each(|nth| site.server.delete_pod("shop", &format!("p{nth}")));
    for options in [&["--grace", "0s"][..], &["--grace", "0s", "--dry-run"]] {
        let output = site.reclaim(&network, options);
        assert!(!output.status.success() && text(&output).contains("11 of the 20 claims"), "{}", text(&output));
        assert!(text(&output).contains("pod shop/p10 is deleted"), "{}", text(&output));
        assert_eq!(held(&network).len(), 20);
    }
    let output = site.reclaim(&network, &["--grace", "0s", "--force"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(held(&network).len(), 9);
}

#[test]
fn a_list_that_breaks_off_frees_nothing() {
    let mut site = Site::double();
    let network = site.network(&json!({}));
    let uid = site.pod("web-0").create();
    add(&network, "c1", "web-0", &uid).success();
    site.server.delete_pod("shop", "web-0");
    let nodes_only = site.server.user("system:serviceaccount:kube-system:half", &super::NODE);
    let kubeconfig = site.server.kubeconfig(&nodes_only).display().to_string();
    let output = operate(&["reclaim", "--yes", "--grace", "0s", "--kubeconfig", &kubeconfig], &network);
    assert!(!output.status.success());
    assert!(text(&output).contains("a node's account may not list pods"), "{}", text(&output));
    let output = {
        site.server.stop();
        site.reclaim(&network, &["--grace", "0s"])
    };
    assert!(!output.status.success() && text(&output).contains("refused"), "{}", text(&output));
    assert_eq!(held(&network).len(), 1);
}

/// More pods than one page of a list takes.
#[test]
fn a_list_that_became_too_old_starts_over_and_not_for_ever() {
    let site = Site::double();
    let network = site.network(&json!({}));
    (0..505).for_each(|nth| drop(site.server.pod("crowd", &format!("p{nth}")).create()));
    let lives = site.pod("lives").create();
    add(&network, "c-lives", "lives", &lives).success();
    let leaks = site.pod("leaks").create();
    add(&network, "c-leaks", "leaks", &leaks).success();
    site.server.delete_pod("shop", "leaks");

    site.server.fail(Fault::Compacted, usize::MAX);
    let output = site.reclaim(&network, &["--grace", "0s"]);
    assert!(!output.status.success() && text(&output).contains("answers 410 to list pods"), "{}", text(&output));
    assert_eq!(held(&network).len(), 2, "half a list frees nothing");
    let begun = site.asked().iter().filter(|asked| asked.contains("/pods?") && !asked.contains("continue=")).count();
    assert_eq!(begun, 3);

    site.server.fail(Fault::Compacted, 2);
    assert_eq!(site.reclaimed(&network), BTreeSet::from(["c-leaks".to_owned()]));
}

const PODS: usize = 500;

/// Five hundred attachments on three nodes: some never get a DEL, some get theirs after the address moved on, others
/// live on; new ones come while the dead are buried.
#[test]
fn after_a_storm_of_leaks_the_store_holds_the_living_exactly() {
    let site = Site::new();
    let etcd = Setup::single().start();
    let network_of = |node: &str| {
        let mut network = etcd.network(&json!({
            "subnet": "10.188.0.0/20", "nodeName": node, "fixedStart": "10.188.8.0", "fixedEnd": "10.188.8.255",
        }));
        network["ipam"]["kubeConfig"] = json!(site.kubeconfig);
        network
    };
    let nodes = ["node-1", "node-2", "node-3"];
    nodes[1..].iter().for_each(|node| drop(site.server.node(node)));
    let networks = nodes.map(network_of);
    let on = |nth: usize| &networks[nth % 3];
    // Every tenth wants an address by name, so that it can move on to an heir.
    let moves_on = |nth: usize| nth.is_multiple_of(10);
    let leaks = |nth: usize| !moves_on(nth) && nth % 10 < 4;
    let address = |nth: usize| format!("10.188.8.{}", 1 + nth / 10);
    let start = |name: &str, container: &str, nth: usize| {
        let pod = site.server.pod("shop", name).on(nodes[nth % 3]).phase("Running");
        let uid = if moves_on(nth) { pod.annotated("kube-ipam.ip", &address(nth)) } else { pod }.create();
        Call::new("ADD", container, on(nth)).for_pod("shop", name, &uid).start()
    };
    let mut living: BTreeMap<String, String> = BTreeMap::new();
    for batch in (0..PODS).collect::<Vec<_>>().chunks(25) {
        let started: Vec<_> = batch.iter().map(|nth| start(&format!("p{nth}"), &format!("c{nth}"), *nth)).collect();
        for (nth, child) in batch.iter().zip(started) {
            living.insert(wait(child).addresses().remove(0), format!("c{nth}"));
        }
    }
    assert_eq!(living.len(), PODS);
    (0..PODS)
        .filter(|nth| leaks(*nth) || moves_on(*nth))
        .for_each(|nth| site.server.delete_pod("shop", &format!("p{nth}")));
    living.retain(|_, container| !leaks(container[1..].parse().unwrap()));
    for nth in (0..PODS).filter(|nth| moves_on(*nth)) {
        assert_eq!(wait(start(&format!("heir-{nth}"), &format!("h{nth}"), nth)).addresses(), [address(nth)]);
        living.insert(address(nth), format!("h{nth}"));
        del(on(nth), &format!("c{nth}"));
    }
    // Node 1's runtime collects its own garbage; the rest is reclaimed while new pods come.
    let mut garbage = networks[0].clone();
    let alive = living.values().map(|container| json!({"containerID": container, "ifname": "eth0"}));
    garbage["cni.dev/valid-attachments"] = alive.collect();
    Call::new("GC", "", &garbage).run().success();
    let late: Vec<(String, String)> = thread::scope(|scope| {
        let burial = scope.spawn(|| site.reclaimed(&networks[1]));
        let born = |nth: usize| {
            (wait(start(&format!("late-{nth}"), &format!("l{nth}"), nth)).addresses().remove(0), format!("l{nth}"))
        };
        let late = (1..40).filter(|nth| !moves_on(*nth)).map(born).collect();
        let buried = burial.join().unwrap();
        assert!(buried.iter().all(|container| leaks(container[1..].parse().unwrap())), "{buried:?}");
        late
    });
    living.extend(late);
    assert_eq!(held(&networks[0]), living);
    let output = operate(&["fsck"], &networks[0]);
    assert!(output.status.success(), "{}", text(&output));
}
