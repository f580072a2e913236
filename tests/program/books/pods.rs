//! `fsck --pods`: the store beside what the API server says of pods.

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use serde_json::json;

use super::Node;
use super::node::uid;

#[test]
fn what_pods_have_is_held_against_the_store() {
    let server = ApiServer::double();
    let rules = [
        Rule { verbs: &["list"], resources: &["pods", "nodes"] },
        // Which cluster this is: claims of another are not judged.
        Rule { verbs: &["get"], resources: &["namespaces"] },
    ];
    let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &rules));
    let kubeconfig = kubeconfig.display().to_string();
    server.create("namespaces", "", &json!({"metadata": {"name": "shop"}}));
    server.node("node-1");
    let fsck = ["fsck", "--pods", "--kubeconfig", &kubeconfig];
    for mut node in Node::each(&json!({"subnet": "10.1.0.0/24", "kubeConfig": kubeconfig})) {
        node.configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {}});
        let add = |name: &str, uid: &str| {
            let call = kube_ipam_tests::Call::new("ADD", &format!("c-{name}"), &node.configuration);
            call.for_pod("shop", name, uid).run().addresses().remove(0)
        };
        let well = server.pod("shop", "well").on("node-1").phase("Running").address("10.1.0.2").create();
        assert_eq!(add("well", &well), "10.1.0.2");
        server.pod("shop", "elsewhere").on("node-1").phase("Running").address("10.9.0.2").create();
        server.pod("shop", "on-node").on("node-1").on_host_network().phase("Running").address("10.1.0.9").create();
        let (status, printed) = node.run(&fsck);
        let agreed = "1 pod has addresses of network \"blue\", and the store knows them\n";
        assert_eq!((status, printed.as_str()), (0, agreed));

        let status_of_multus = r#"[{"name": "shop/blue", "interface": "net1", "ips": ["10.1.0.50"]}]"#;
        server
            .pod("shop", "second")
            .on("node-1")
            .phase("Running")
            .annotated("k8s.v1.cni.cncf.io/network-status", status_of_multus)
            .address("10.9.0.3")
            .create();
        server.pod("shop", "forgotten").on("node-1").phase("Running").address("10.1.0.40").create();
        server.pod("shop", "shares").on("node-1").phase("Running").address("10.1.0.2").create();
        let other = server.pod("shop", "other").on("node-1").phase("Running").address("10.1.0.60").create();
        assert_eq!(add("other", &other), "10.1.0.3");
        assert_eq!(add("gone", &uid("gone")), "10.1.0.4");
        let (status, printed) = node.run(&fsck);
        for expected in [
            "pod shop/second on node node-1 has 10.1.0.50, of which the store does not know",
            "pod shop/forgotten on node node-1 has 10.1.0.40, of which the store does not know",
            "run `kube-ipam fsck --containers --repair --conf ",
            "pod shop/shares on node node-1 has 10.1.0.2, and according to the store so does pod shop/well, container c-well",
            "the store has 10.1.0.3 for pod shop/other on node node-1, which reports other addresses",
            "container c-gone on node node-1 holds 10.1.0.4, but pod shop/gone is deleted",
            "`kube-ipam reclaim --conf ",
        ] {
            assert!(printed.contains(expected), "{expected}: {printed}");
        }
        assert!(status == 1 && printed.contains("6 inconsistencies"), "{printed}");
        let (status, printed) = node.run(&[&fsck[..], &["--repair"]].concat());
        assert!(status == 2 && printed.contains("cannot be used with"), "nobody to write a claim for: {printed}");
        for name in ["well", "elsewhere", "on-node", "second", "forgotten", "shares", "other"] {
            server.delete_pod("shop", name);
        }
    }
}
