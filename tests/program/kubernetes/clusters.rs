//! Several clusters on one store: each knows its own pods and no others.

use std::collections::BTreeSet;
use std::thread;

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::{RECLAIM, Site, add, del};

const ADDRESS: &str = "10.188.0.216";

/// Two clusters whose nodes share one etcd, the default prefix and the network's name.
struct Flat {
    etcd: Etcd,
    east: Site,
    west: Site,
}

impl Flat {
    fn new() -> Self {
        Self { etcd: Setup::single().start(), east: Site::new(), west: Site::new() }
    }

    /// The network as a node of this cluster has it.
    fn network(&self, site: &Site) -> Value {
        let mut network = self.etcd.network(&json!({"subnet": "10.188.0.0/24", "handOverWait": "0s"}));
        network["ipam"]["kubeConfig"] = json!(site.kubeconfig);
        network["ipam"]["dataDir"] = json!(site.directory());
        network
    }

    fn networks(&self) -> [Value; 2] {
        [self.network(&self.east), self.network(&self.west)]
    }
}

/// A reclaim of this network with the credentials of that cluster. Whether it succeeded, and what it said.
fn reclaim(site: &Site, network: &Value, options: &[&str]) -> (bool, String) {
    let token = site.server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &RECLAIM);
    let kubeconfig = site.server.kubeconfig(&token).display().to_string();
    let mut command = vec!["reclaim", "--yes", "--kubeconfig", &kubeconfig, "--pause", "50ms", "--grace", "0s"];
    command.extend(options);
    let output = operate(&command, network);
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Who holds an address, by which cluster's pod.
fn cluster_of(network: &Value, address: &str) -> Value {
    let output = operate(&["show", address, "-o", "json"], network);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    shown[0]["pod"]["cluster"].clone()
}

#[test]
fn a_living_pod_of_another_cluster_keeps_its_address() {
    let flat = Flat::new();
    let [east, west] = flat.networks();
    let theirs = flat.west.fixed_pod("web", ADDRESS);
    assert_eq!(add(&west, "c-west", "web", &theirs).addresses(), [ADDRESS]);
    assert_eq!(cluster_of(&west, ADDRESS), json!(flat.west.server.cluster_uid()));

    // A pod of another name, one of the same name, and one that only wants any address.
    for name in ["heir", "web"] {
        let ours = flat.east.fixed_pod(name, ADDRESS);
        let (code, text) = add(&east, &format!("c-{name}"), name, &ours).failure();
        assert_eq!(code, 102, "{text}");
        assert!(text.contains("belongs to cluster") && text.contains(&flat.west.server.cluster_uid()), "{text}");
    }
    let dynamic = flat.west.pod("db-0").create();
    let theirs = add(&west, "c-db-west", "db-0", &dynamic).addresses();
    let same_name = flat.east.pod("db-0").create();
    assert_ne!(add(&east, "c-db-east", "db-0", &same_name).addresses(), theirs);
    assert_eq!(held(&west).len(), 3);
    // Nothing else than its own word ends it.
    del(&west, "c-west");
    let ours = flat.east.server.uid("pods", "shop", "heir");
    assert_eq!(add(&east, "c-heir", "heir", &ours).addresses(), [ADDRESS]);
    assert_eq!(cluster_of(&west, ADDRESS), json!(flat.east.server.cluster_uid()));
}

#[test]
fn each_cluster_reclaims_its_own_leaks_only() {
    let flat = Flat::new();
    let [east, west] = flat.networks();
    for (site, network, side) in [(&flat.east, &east, "east"), (&flat.west, &west, "west")] {
        for name in ["lives", "leaks"] {
            let uid = site.pod(name).create();
            add(network, &format!("c-{name}-{side}"), name, &uid).success();
        }
        site.server.delete_pod("shop", "leaks");
    }
    let (done, said) = reclaim(&flat.east, &east, &[]);
    assert!(done && said.contains("1 of 4 claims released; 2 belong to another cluster"), "{said}");
    let left: BTreeSet<_> = held(&east).into_values().collect();
    assert_eq!(left, BTreeSet::from(["c-lives-east", "c-lives-west", "c-leaks-west"].map(str::to_owned)));
    let (done, said) = reclaim(&flat.west, &west, &[]);
    assert!(done && said.contains("1 of 3 claims released"), "{said}");
    assert_eq!(held(&east).len(), 2);
}

/// One cluster, and a kubeconfig whose context is another's.
#[test]
fn the_api_server_of_another_cluster_is_not_believed() {
    let flat = Flat::new();
    let east = flat.network(&flat.east);
    let old = flat.east.fixed_pod("old", ADDRESS);
    assert_eq!(add(&east, "c-old", "old", &old).addresses(), [ADDRESS]);
    let (done, said) = reclaim(&flat.west, &east, &[]);
    assert!(!done && said.contains("refused: the API server belongs to cluster"), "{said}");
    let (done, said) = reclaim(&flat.west, &east, &["--force"]);
    assert!(done && said.contains("0 of 1 claim released"), "what is not ours is not judged: {said}");

    let mut misled = east.clone();
    misled["ipam"]["kubeConfig"] = json!(flat.west.kubeconfig);
    misled["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    let new = flat.east.fixed_pod("new", ADDRESS);
    let (code, text) = add(&misled, "c-new", "new", &new).failure();
    assert!(
        code == 102 && text.contains("does not know pod shop/new") && text.contains("ipam.kubeConfig"),
        "{code} {text}"
    );
    assert_eq!(held(&east)[ADDRESS], "c-old");
}

#[test]
fn claims_on_one_disk_that_do_not_name_their_cluster_are_of_this_one() {
    let site = Site::new();
    let mut network = site.hurried(&json!({}));
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    let mut blind = network.clone();
    blind["ipam"].as_object_mut().unwrap().remove("kubeConfig");
    let old = site.pod("old").create();
    add(&blind, "c-old", "old", &old).success();
    assert_eq!(cluster_of(&network, ADDRESS), Value::Null);
    let new = site.pod("new").create();
    assert_eq!(add(&network, "c-new", "new", &new).failure().0, 102);
    site.server.delete_pod("shop", "old");
    assert_eq!(add(&network, "c-new", "new", &new).addresses(), [ADDRESS]);
}

#[test]
fn claims_in_etcd_that_do_not_name_their_cluster_stay() {
    let flat = Flat::new();
    let east = flat.network(&flat.east);
    let mut blind = east.clone();
    blind["ipam"].as_object_mut().unwrap().remove("kubeConfig");
    blind["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    add(&blind, "c-old", "old", "11111111-1111-4111-8111-111111111111").success();
    let new = flat.east.fixed_pod("new", ADDRESS);
    let (code, text) = add(&east, "c-new", "new", &new).failure();
    assert!(code == 102 && text.contains("the cluster of pod shop/old is not known"), "{code} {text}");
    let (done, said) = reclaim(&flat.east, &east, &[]);
    assert!(!done && said.contains("1 belongs to another cluster, or to an unknown one, and was not judged"), "{said}");
    // A name that was configured needs no API server to be learnt.
    blind["ipam"]["cluster"] = json!("east");
    blind["runtimeConfig"]["io.kubernetes.cri.pod-annotations"] = Value::Null;
    let address = add(&blind, "c-named", "named", "uid-1").addresses().remove(0);
    assert_eq!(cluster_of(&east, &address), "east");
}

/// The nodes may not ask for their cluster: whoever bears the pod's name may be the other cluster's.
#[test]
fn a_pod_of_that_name_keeps_its_address_where_the_clusters_are_not_known() {
    let flat = Flat::new();
    let blind = |site: &Site| {
        let pods = Rule { verbs: &["get"], resources: &["pods"] };
        let token = site.server.user("system:serviceaccount:kube-system:limited", &[pods]);
        let mut network = flat.network(site);
        network["ipam"]["kubeConfig"] = json!(site.server.kubeconfig(&token));
        network
    };
    let (east, west) = (blind(&flat.east), blind(&flat.west));
    let theirs = flat.west.pod("db-0").create();
    let address = add(&west, "c-west", "db-0", &theirs).addresses();
    let ours = flat.east.pod("db-0").create();
    assert_ne!(add(&east, "c-east", "db-0", &ours).addresses(), address);
    assert_eq!(held(&east).len(), 2);
}

#[test]
fn a_configured_name_tells_the_clusters_apart() {
    let flat = Flat::new();
    let [mut east, mut west] = flat.networks();
    east["ipam"]["cluster"] = json!("east");
    west["ipam"]["cluster"] = json!("west");
    let theirs = flat.west.fixed_pod("web", ADDRESS);
    assert_eq!(add(&west, "c-west", "web", &theirs).addresses(), [ADDRESS]);
    assert_eq!(cluster_of(&west, ADDRESS), "west");
    let ours = flat.east.fixed_pod("web", ADDRESS);
    let (code, text) = add(&east, "c-east", "web", &ours).failure();
    assert!(code == 102 && text.contains("belongs to cluster west"), "{code} {text}");
    flat.west.server.delete_pod("shop", "web");
    let (done, said) = reclaim(&flat.west, &west, &[]);
    assert!(done && said.contains("1 of 1 claim released"), "{said}");
    assert_eq!(add(&east, "c-east", "web", &ours).addresses(), [ADDRESS]);
}

/// The node remembers which cluster it is in; a kubeconfig that was changed is asked again when something is asked anyway.
#[test]
fn what_a_node_remembers_follows_its_kubeconfig() {
    let (first, second) = (ApiServer::double(), ApiServer::double());
    let site = Site::with(first);
    let other = Site::with(second);
    let file = site.directory().join("kubeconfig");
    std::fs::copy(&site.kubeconfig, &file).unwrap();
    let network = site.network(&json!({"kubeConfig": file}));
    let cluster_of_new = |site: &Site, name: &str| {
        let uid = site.pod(name).create();
        let address = add(&network, name, name, &uid).addresses().remove(0);
        cluster_of(&network, &address)
    };
    let [old, new] = [&site, &other].map(|site| json!(site.server.cluster_uid()));
    assert_eq!(cluster_of_new(&site, "one"), old);
    let notes: Vec<_> = std::fs::read_dir(site.directory().join("clusters")).unwrap().collect();
    assert_eq!(notes.len(), 1);
    std::fs::write(&file, std::fs::read(&other.kubeconfig).unwrap()).unwrap();
    assert_eq!(
        cluster_of_new(&other, "two"),
        new,
        "a file that has changed may lead elsewhere: asked before the claim"
    );
    assert_eq!(cluster_of_new(&other, "three"), new);
}

/// A pod of one cluster never ends what a pod of that name has in the other.
#[test]
fn after_a_storm_in_two_clusters_each_has_its_own() {
    let flat = Flat::new();
    let networks = flat.networks();
    let sites = [&flat.east, &flat.west];
    let pods: Vec<[String; 2]> = (0..40).map(|nth| sites.map(|site| site.pod(&format!("p{nth}")).create())).collect();
    let living = thread::scope(|scope| {
        let run = |side: usize| {
            let (site, network, pods) = (sites[side], &networks[side], &pods);
            scope.spawn(move || {
                let mut living = Vec::new();
                for (nth, uids) in pods.iter().enumerate() {
                    let (name, container) = (format!("p{nth}"), format!("c{nth}-{side}"));
                    let call = Call::new("ADD", &container, network).for_pod("shop", &name, &uids[side]);
                    living.push((wait(call.start()).addresses().remove(0), container.clone()));
                    match nth % 4 {
                        0 => {
                            // Its DEL is lost.
                            site.server.delete_pod("shop", &name);
                            living.pop();
                        }
                        1 => {
                            site.server.delete_pod("shop", &name);
                            del(network, &container);
                            living.pop();
                        }
                        _ => {}
                    }
                    if nth % 13 == 12 {
                        let (done, said) = reclaim(site, network, &[]);
                        assert!(done, "{said}");
                    }
                }
                living
            })
        };
        let started = [run(0), run(1)];
        started.into_iter().flat_map(|side| side.join().unwrap()).collect::<Vec<_>>()
    });
    for side in 0..2 {
        let (done, said) = reclaim(sites[side], &networks[side], &[]);
        assert!(done, "{said}");
    }
    assert_eq!(held(&networks[0]), living.into_iter().collect());
    assert!(operate(&["fsck"], &networks[0]).status.success());
}
