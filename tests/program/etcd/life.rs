//! What a pod's life looks like where nothing is wrong.

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::{Release, Setup, free_port};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::{add, assert_empty, assert_sound, del};

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

/// Nodes are upgraded one after the other, and one may be left behind: it gives out no address that another has.
#[test]
fn records_of_another_format_are_left_alone() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    add("c1", &network).run().success();
    let key = "/kube-ipam/networks/blue";
    let registered = etcd.control(&["get", key, "--print-value-only"]);
    assert!(registered.contains("\"format\":2"), "{registered}");
    for (format, hint) in [("1", "install that version again"), ("3", "install that version here")] {
        let written = registered.trim().replace("\"format\":2", &format!("\"format\":{format}"));
        etcd.control(&["put", key, &written]);
        for call in [add("c2", &network), Call::new("STATUS", "", &network)] {
            let (code, text) = call.run().failure();
            let says = [&format!("are of format {format}"), "knows format 2", hint];
            assert!(code == 7 || code == 50, "{code} {text}");
            assert!(says.iter().all(|part| text.contains(*part)), "{text}");
        }
        // Whatever is held in the format that is known is released.
        assert_eq!(add("c1", &network).run().addresses(), ["10.1.0.2"]);
    }
    del("c1", &network).run().success();
    etcd.control(&["put", key, registered.trim()]);
    add("c2", &network).run().success();
    assert_sound(&network);
}

/// Those that a killed client may end are told from those that none does.
#[test]
fn the_doctor_names_every_member_and_its_version() {
    for release in Release::all() {
        let etcd = Setup::single().of(&release).start();
        let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
        let (url, absent) = (etcd.endpoints()[0].clone(), format!("http://127.0.0.1:{}", free_port()));
        network["ipam"]["etcdConfig"]["etcdURL"] = json!(format!("{url},{absent}"));
        let output = operate(&["doctor"], &network);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(&format!("✓ etcd           {url} {} (", release.version)), "{printed}");
        // Versions 3.5.0 to 3.5.2 may lose data, which is more than something to look at.
        let loses_data = ["3.5.0", "3.5.1", "3.5.2"].contains(&release.version.as_str());
        assert_eq!(output.status.code(), Some(if loses_data { 2 } else { 1 }), "{printed}");
        assert_eq!(printed.contains("✗ etcd version   "), loses_data, "{printed}");
        assert_eq!(printed.contains("upgrade etcd to 3.5.7"), release.version.starts_with("3.5."), "{printed}");
        assert!(printed.contains("upgrade etcd to 3.4.42, 3.5.28 or 3.6.9"), "{printed}");
        assert!(printed.contains(&format!("! etcd           etcd does not answer: {absent}")), "{printed}");
    }
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
    for prefix in ["/a/v2/", "/a/b/v2/", "/b/v2/"] {
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
