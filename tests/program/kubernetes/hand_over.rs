//! A fixed address passes from a pod that is gone to the next one, and from nobody else.

use kube_ipam_tests::apiserver::Fault;
use kube_ipam_tests::listing::held;
use serde_json::{Value, json};

use super::{Site, add, del};

const ADDRESS: &str = "10.188.0.216";

/// A pod `old` holds the address in container `c-old`; a pod `new` wants it.
struct Succession {
    site: Site,
    network: Value,
    new: String,
}

impl Succession {
    fn new() -> Self {
        Self::at(Site::new())
    }

    fn at(site: Site) -> Self {
        let old = site.fixed_pod("old", ADDRESS);
        let network = site.hurried(&json!({}));
        assert_eq!(add(&network, "c-old", "old", &old).addresses(), [ADDRESS]);
        let new = site.fixed_pod("new", ADDRESS);
        Self { site, network, new }
    }

    fn refused(&self, words: &[&str]) {
        let (code, text) = add(&self.network, "c-new", "new", &self.new).failure();
        assert_eq!(code, 102, "{text}");
        for word in words.iter().chain(&[ADDRESS, "shop/old", "node-1", "since"]) {
            assert!(text.contains(word), "{word:?} is missing in {text}");
        }
        assert_eq!(held(&self.network)[ADDRESS], "c-old");
    }

    fn handed_over(&self) {
        assert_eq!(add(&self.network, "c-new", "new", &self.new).addresses(), [ADDRESS]);
        // The late DEL of the old sandbox frees nothing.
        del(&self.network, "c-old");
        assert_eq!(held(&self.network)[ADDRESS], "c-new");
    }
}

#[test]
fn a_deleted_pod_gives_way_though_no_del_came() {
    let succession = Succession::new();
    succession.refused(&["still exists"]);
    succession.site.server.delete_pod("shop", "old");
    succession.handed_over();
}

#[test]
fn a_finished_or_failed_pod_gives_way() {
    for phase in ["Succeeded", "Failed"] {
        let succession = Succession::new();
        succession.refused(&["still exists"]);
        succession.site.server.set_phase("shop", "old", phase);
        succession.handed_over();
    }
}

#[test]
fn a_pod_that_is_being_deleted_keeps_its_address_until_it_is_gone() {
    let succession = Succession::new();
    succession.site.server.terminate_pod("shop", "old");
    succession.refused(&["being deleted"]);
    succession.site.server.delete_pod("shop", "old");
    succession.handed_over();
}

#[test]
fn a_pod_that_was_replaced_under_its_name_gives_way() {
    let succession = Succession::new();
    succession.site.server.delete_pod("shop", "old");
    succession.site.pod("old").create();
    succession.handed_over();
}

#[test]
fn the_same_name_with_a_new_uid_has_its_address_again() {
    let site = Site::new();
    let network = site.network(&json!({}));
    let first = site.fixed_pod("web-0", ADDRESS);
    add(&network, "c1", "web-0", &first).success();
    site.server.delete_pod("shop", "web-0");
    let second = site.fixed_pod("web-0", ADDRESS);
    assert_eq!(add(&network, "c2", "web-0", &second).addresses(), [ADDRESS]);
}

#[test]
fn a_node_that_is_out_of_service_takes_its_pods_with_it() {
    let succession = Succession::new();
    let taint = |key: &str| json!({"spec": {"taints": [{"key": key, "effect": "NoExecute"}]}});
    let unreachable = taint("node.kubernetes.io/unreachable");
    succession.site.server.patch("nodes", "", "node-1", &unreachable);
    succession.refused(&["still exists"]);
    succession.site.server.terminate_pod("shop", "old");
    succession.refused(&["being deleted"]);
    succession.site.server.patch("nodes", "", "node-1", &taint("node.kubernetes.io/out-of-service"));
    succession.handed_over();
}

/// It registers again, or a cloud's controller was mistaken: its pods run all the while.
#[test]
fn a_node_that_the_api_server_does_not_have_takes_nothing_with_it() {
    let succession = Succession::new();
    succession.site.server.delete_node("node-1");
    succession.refused(&["still exists"]);
    succession.site.server.node("node-1");
    succession.refused(&["still exists"]);
}

/// Admission, a quota or a missing namespace can keep a static pod's mirror away forever.
#[test]
fn a_static_pod_without_a_mirror_keeps_its_address() {
    const HASH: &str = "0123456789abcdef0123456789abcdef";
    let site = Site::new();
    let mut network = site.hurried(&json!({}));
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    assert_eq!(add(&network, "c-old", "old", HASH).addresses(), [ADDRESS]);
    let new = site.fixed_pod("new", ADDRESS);
    let succession = Succession { site, network, new };
    succession.refused(&["static pod", HASH]);
    // Its name is borne by another: that is not proof either.
    let another = succession.site.pod("old").create();
    succession.refused(&["static pod", HASH]);
    let (code, text) = add(&succession.network, "c-another", "old", &another).failure();
    assert!(code == 102 && text.contains("static pod"), "{text}");
    // With its mirror it can be judged.
    succession.site.server.delete_pod("shop", "old");
    let mirror = succession.site.pod("old").annotated("kubernetes.io/config.hash", HASH);
    mirror.create();
    succession.refused(&["still exists"]);
    succession.site.server.set_phase("shop", "old", "Failed");
    succession.handed_over();
}

/// The API server says that the pod of its name is another, which is true of the API server only.
#[test]
fn a_static_pod_keeps_its_address_while_another_bears_its_name() {
    let site = Site::new();
    let network = site.hurried(&json!({}));
    let mut told = network.clone();
    told["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    add(&told, "c-static", "web", "0123456789abcdef0123456789abcdef").success();
    let another = site.fixed_pod("web", ADDRESS);
    let (code, text) = add(&network, "c-another", "web", &another).failure();
    assert!(code == 102 && text.contains("static pod"), "{code} {text}");
    assert_eq!(held(&network)[ADDRESS], "c-static");
}

#[test]
fn whoever_asks_has_to_be_known_to_the_api_server_that_judges() {
    let succession = Succession::new();
    let Succession { site, network, .. } = &succession;
    site.server.delete_pod("shop", "old");
    let mut told = network.clone();
    told["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    for uid in ["33333333-3333-4333-8333-333333333333", ""] {
        let (code, text) = add(&told, "c-stranger", "new", uid).failure();
        assert!(code == 102 && text.contains("cannot tell"), "{code} {text}");
    }
    assert_eq!(held(network)[ADDRESS], "c-old");
    succession.handed_over();
}

#[test]
fn a_holder_nobody_can_ask_about_stays() {
    let succession = Succession::at(Site::double());
    let Succession { site, network, new } = &succession;
    // The annotations come from the runtime, so that only the judging asks.
    let mut told = network.clone();
    told["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": ADDRESS}});
    site.server.delete_pod("shop", "old");
    site.server.fail(Fault::InternalError, 100);
    let (code, text) = add(&told, "c-new", "new", new).failure();
    assert_eq!(code, 102, "{text}");
    assert!(text.contains("could not find out") && text.contains("500"), "{text}");
    told["ipam"].as_object_mut().unwrap().remove("kubeConfig");
    let (code, text) = add(&told, "c-new", "new", new).failure();
    assert_eq!(code, 102, "{text}");
    assert!(text.contains("ipam.kubeConfig"), "{text}");
    assert_eq!(held(network)[ADDRESS], "c-old");
    site.server.heal();
    succession.handed_over();
}

#[test]
fn of_many_that_want_the_address_of_a_dead_pod_one_gets_it() {
    let succession = Succession::new();
    let Succession { site, network, .. } = &succession;
    site.server.delete_pod("shop", "old");
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = |nth: usize| {
            let name = format!("heir-{nth}");
            let uid = site.fixed_pod(&name, ADDRESS);
            scope.spawn(move || add(network, &format!("c-{nth}"), &name, &uid))
        };
        let started: Vec<_> = (0..16).map(ask).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (given, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == Some(0));
    assert_eq!(given.len(), 1, "{answers:?}");
    assert!(refused.iter().all(|answer| answer.failure().0 == 102), "{answers:?}");
    assert_eq!(held(network).len(), 1);
}
