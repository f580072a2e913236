//! Deployments and StatefulSets, pod by pod.

use std::collections::BTreeMap;

use kube_ipam_tests::Call;
use kube_ipam_tests::listing::held;
use kube_ipam_tests::namespace::Namespace;
use kube_ipam_tests::program::{module, program};
use serde_json::{Value, json};

use super::{Site, add, del};

#[test]
fn twelve_replicas_share_a_pool_of_ten() {
    let site = Site::new();
    let network = site.network(&json!({}));
    let create = |nth: usize| {
        let name = format!("web-{nth}");
        let uid = site.pod(&name).annotated("kube-ipam.ip-pool", "10.188.0.100-10.188.0.109").create();
        (format!("c{nth}"), name, uid)
    };
    let replicas: Vec<_> = (0..12).map(create).collect();
    let ask = |(container, name, uid): &(String, String, String)| add(&network, container, name, uid);
    let answers: Vec<_> = replicas.iter().map(ask).collect();
    let waiting: Vec<_> = replicas.iter().zip(&answers).filter(|(_, answer)| answer.status != Some(0)).collect();
    assert_eq!(waiting.len(), 2);
    for (_, answer) in &waiting {
        let (code, text) = answer.failure();
        assert!([101, 102].contains(&code), "{text}");
        assert!(text.contains("kube-ipam.ip-pool") && text.contains("10.188.0.100"), "{text}");
    }
    assert_eq!(held(&network).len(), 10);
    del(&network, "c3");
    let (first, second) = (waiting[0].0, waiting[1].0);
    assert_eq!(ask(first).addresses().len(), 1);
    assert_ne!(ask(second).status, Some(0));
    del(&network, "c4");
    assert_eq!(ask(second).addresses().len(), 1);
}

/// On a node of its own: this thread, and whatever it starts, lives in that network namespace.
fn on_a_node(test: impl FnOnce(&Namespace) + Send) {
    let Some(node) = Namespace::create("k8s-node") else { return };
    node.run(&["ip", "link", "set", "lo", "up"]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let entrance = std::fs::File::open(node.path()).unwrap();
            nix::sched::setns(entrance, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            test(&node);
        });
    });
}

/// The fixed-address Deployment of the predecessor's manual: its configuration, its annotations, the real bridge plugin.
#[test]
fn the_predecessors_deployment_keeps_its_address_from_pod_to_pod() {
    on_a_node(|_| {
        let site = Site::double();
        let mut network = site.network(&json!({"subnet": "10.188.0.0/16", "rangeStart": "10.188.0.10",
            "rangeEnd": "10.188.0.200", "fixedStart": "10.188.0.201", "fixedEnd": "10.188.0.255",
            "gateway": "10.188.0.1", "routes": [{"dst": "0.0.0.0/0"}]}));
        network["cniVersion"] = json!("0.3.1");
        network["bridge"] = json!("kube-br");
        let path = format!("{}:/usr/lib/cni", program().parent().unwrap().display());
        let call = |verb: &str, round: usize, pod: &Namespace, uid: &str| {
            let name = format!("fixed-ip-test-{round}");
            let call = Call::new(verb, &format!("c{round}"), &network).of("/usr/lib/cni/bridge");
            let call = call.with("CNI_PATH", &path).with("CNI_NETNS", &pod.path().display().to_string());
            call.for_pod("shop", &name, uid).run()
        };
        for round in 0..3 {
            let pod = Namespace::create(&format!("k8s-pod-{round}")).unwrap();
            let name = format!("fixed-ip-test-{round}");
            let annotated = site.pod(&name).annotated("kube-ipam.ip", "10.188.0.216");
            let annotated = annotated.annotated("kube-ipam.netmask", "255.255.0.0");
            let uid = annotated.annotated("kube-ipam.gateway", "10.188.0.1").create();
            assert_eq!(call("ADD", round, &pod, &uid).addresses(), ["10.188.0.216"]);
            let inside = pod.run(&["ip", "-o", "addr", "show", "dev", "eth0"]).unwrap();
            assert!(inside.contains("10.188.0.216/16"), "{inside}");
            // Once the DEL comes, once the node forgets it: the next pod has the address either way.
            site.server.delete_pod("shop", &name);
            if round == 0 {
                call("DEL", round, &pod, &uid).success();
            }
        }
        assert_eq!(held(&network), BTreeMap::from([("10.188.0.216".to_owned(), "c2".to_owned())]));
    });
}

fn sticky(site: &Site) -> Value {
    site.network(&json!({
        "policy": {"module": module("sticky"), "settings": {"keep": "1h"}, "cacheDir": site.directory().join("cache")},
        "kubernetes": {"include": ["labels"]},
    }))
}

#[test]
fn a_stateful_set_keeps_its_addresses_through_five_two_five() {
    let site = Site::new();
    let network = sticky(&site);
    let start = |nth: usize, round: usize| {
        let name = format!("db-{nth}");
        let uid = site.pod(&name).owned_by("StatefulSet", "db").create();
        add(&network, &format!("c{nth}-{round}"), &name, &uid).addresses().remove(0)
    };
    let stop = |nth: usize, round: usize| {
        site.server.delete_pod("shop", &format!("db-{nth}"));
        del(&network, &format!("c{nth}-{round}"));
    };
    let first: Vec<String> = (0..5).map(|nth| start(nth, 0)).collect();
    (2..5).rev().for_each(|nth| stop(nth, 0));
    // Whoever comes meanwhile gets none of the kept addresses.
    for nth in 0..6 {
        let name = format!("passer-by-{nth}");
        let uid = site.pod(&name).create();
        let address = add(&network, &name, &name, &uid).addresses().remove(0);
        assert!(!first.contains(&address), "{address} is kept");
    }
    let again: Vec<String> = (2..5).map(|nth| start(nth, 1)).collect();
    assert_eq!(again, first[2..]);
    // Deleted and re-created elsewhere.
    stop(0, 0);
    assert_eq!(start(0, 1), first[0]);
    // Its node is lost: no DEL ever comes, and the pod is started elsewhere under a new uid.
    site.server.delete_pod("shop", "db-1");
    assert_eq!(start(1, 1), first[1]);
    del(&network, "c1-0");
    assert_eq!(held(&network)[&first[1]], "c1-1");
}
