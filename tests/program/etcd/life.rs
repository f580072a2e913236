//! What a pod's life looks like where nothing is wrong.

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Release, Setup};
use kube_ipam_tests::listing::held;
use serde_json::{Value, json};

use super::{add, assert_empty, del};

#[test]
fn a_pod_lives_on_every_release_plain_and_with_certificates() {
    for release in Release::all() {
        for setup in [Setup::single(), Setup::single().with_certificates()] {
            let etcd = setup.of(&release).start();
            let ranges = json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]);
            live(&etcd.network(&json!({"ranges": ranges})));
            assert_empty(&etcd, "/kube-ipam/");
        }
    }
}

fn live(network: &Value) {
    Call::new("STATUS", "", network).run().success();
    let first = add("c1", network).for_pod("shop", "web-0", "u1").run();
    assert_eq!(first.addresses(), ["10.1.0.2", "fd00:1::2"]);
    assert_eq!(add("c1", network).for_pod("shop", "web-0", "u1").run().addresses(), first.addresses());
    assert_eq!(add("c2", network).run().addresses(), ["10.1.0.3", "fd00:1::3"]);
    let expected = [("10.1.0.2", "c1"), ("10.1.0.3", "c2"), ("fd00:1::2", "c1"), ("fd00:1::3", "c2")];
    assert_eq!(held(network), expected.map(|(address, holder)| (address.into(), holder.into())).into());

    let mut checked = network.clone();
    checked["prevResult"] = first.json();
    Call::new("CHECK", "c1", &checked).run().success();
    del("c1", network).run().success();
    del("c1", network).run().success();
    assert_eq!(Call::new("CHECK", "c1", &checked).run().failure().0, 106);

    let mut garbage = network.clone();
    // As programs in Go write a list without entries.
    garbage["cni.dev/valid-attachments"] = Value::Null;
    Call::new("GC", "", &garbage).run().success();
    assert_eq!(held(network).len(), 0);
}

#[test]
fn a_prefix_keeps_clusters_apart() {
    let etcd = Setup::single().start();
    let network = |prefix: &str| {
        let mut section = etcd.section();
        section["etcdPrefix"] = json!(prefix);
        etcd.network(&json!({"subnet": "10.1.0.0/24", "etcdConfig": section}))
    };
    for prefix in ["/a", "/a/b", "/b/"] {
        assert_eq!(add("c1", &network(prefix)).run().addresses(), ["10.1.0.2"], "{prefix}");
    }
    for prefix in ["/a/v1/", "/a/b/v1/", "/b/v1/"] {
        assert_eq!(etcd.keys(prefix).len(), 4, "{:?}", etcd.keys("/"));
    }
    for prefix in ["/a", "/a/b", "/b"] {
        assert_eq!(etcd.keys(&format!("{prefix}/networks/")), [format!("{prefix}/networks/blue")]);
    }
    assert_eq!(etcd.keys("").len(), 15, "nothing lies beside the prefixes");

    for prefix in [json!("relative"), json!(5), json!("/with space")] {
        let mut wrong = network("/a");
        wrong["ipam"]["etcdConfig"]["etcdPrefix"] = prefix;
        let (code, text) = add("c1", &wrong).run().failure();
        assert!([6, 7].contains(&code) && text.contains("etcdPrefix"), "{code} {text}");
    }
}
