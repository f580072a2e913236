//! What the doctor says of a node and of etcd as they are at night: open files, a quota that fills, nobody who compacts, faults of
//! the policy, and the archive for whoever helps from afar.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::node::{Node, command, printed};
use serde_json::{Value, json};

/// Exit status and what the doctor prints of this network.
fn doctor(network: &Value) -> (Option<i32>, String) {
    let output = operate(&["doctor"], network);
    (output.status.code(), printed(&output))
}

#[test]
fn a_data_directory_and_a_module_that_others_can_write_are_named() {
    let node = Node::new();
    let network = node.network(json!({"module": node.guest("good")}));
    node.call("ADD", "c1", &network).success();
    let (_, told) = doctor(&network);
    assert!(told.contains("✓ permissions"), "{told}");
    fs::set_permissions(node.path("data"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(node.path("good.wasm"), fs::Permissions::from_mode(0o666)).unwrap();
    let (status, told) = doctor(&network);
    assert_eq!(status, Some(2), "{told}");
    for path in [node.path("data"), node.path("good.wasm")] {
        assert!(told.contains(&format!("✗ permissions    {} has mode 0", path.display())), "{told}");
        assert!(told.contains(&format!("hint: `chmod go-w {}`", path.display())), "{told}");
    }
}

#[test]
fn a_key_that_others_can_read_is_named() {
    let node = Node::new();
    let password = node.write("password", b"hunter2");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let mut network = node.network(json!({}));
    let etcd = json!({"etcdURL": "https://127.0.0.1:1", "etcdUsername": "node", "etcdPasswordFile": password});
    network["ipam"]["etcdConfig"] = etcd;
    let (_, told) = doctor(&network);
    let says = format!("! permissions    {} has mode 0644: other users can read it", password.display());
    assert!(told.contains(&says), "{told}");
}

#[test]
fn a_policy_is_tried_and_its_faults_are_counted_by_namespace() {
    let node = Node::new();
    let mut network = node.network(json!({"module": node.guest("unreachable")}));
    network["ipam"]["logFile"] = json!(node.path("log"));
    for (namespace, container) in [("shop", "c1"), ("shop", "c2"), ("lab", "c3")] {
        let call = Call::new("ADD", container, &network).for_pod(namespace, "web", "u1");
        assert_eq!(call.run().failure().0, 105);
    }
    let (status, told) = doctor(&network);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("! calls          3 in the last 24 hours, 3 of them failed, 3 with code 105"), "{told}");
    assert!(told.contains("faults of the policy by namespace: shop 2, lab 1"), "{told}");
    assert!(told.contains("✗ decision"), "{told}");
    let network = node.network(json!({}));
    let (_, told) = doctor(&network);
    assert!(told.contains("✓ decision       a pod in namespace default would get 10.0.0.2"), "{told}");
    assert!(node.call("ADD", "c9", &network).address().starts_with("10.0.0.2/"), "nothing was claimed");
}

#[test]
fn etcd_that_fills_its_quota_or_is_never_compacted_is_named() {
    let etcd = Setup::single().with(&["--quota-backend-bytes", "20000000"]).start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    Call::new("ADD", "c1", &network).run().success();
    let (status, told) = doctor(&network);
    assert!(status < Some(2) && told.contains("% of the quota of 19.1 MiB"), "{told}");
    assert!(told.contains("✓ etcd history   not compacted yet"), "{told}");
    assert!(told.contains("✓ clock          as that of etcd at http://127.0.0.1:"), "{told}");
    assert!(told.contains(", leader)") && told.contains("; an ADD could write ("), "{told}");

    let value = "x".repeat(120_000);
    for nth in 0..140 {
        etcd.control(&["put", &format!("/filler/{nth}"), &value]);
    }
    let (_, told) = doctor(&network);
    assert!(told.contains("! etcd size      ") && told.contains("--quota-backend-bytes"), "{told}");

    let revision =
        |text: &str| text.split("\"revision\":").nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
    let now = revision(&etcd.control(&["get", "x", "-w", "json"]));
    etcd.control(&["compact", &now]);
    let (_, told) = doctor(&network);
    assert!(told.contains("✓ etcd history   it is compacted"), "{told}");
}

#[test]
fn the_archive_has_what_helps_and_no_secret() {
    const PLANTED: &str = "hunter2-planted";
    let node = Node::new();
    let mut network = node.network(json!({}));
    network["ipam"]["logFile"] = json!(node.path("log"));
    network["ipam"]["x-note"] = json!(PLANTED);
    network["apiToken"] = json!(PLANTED);
    node.call("ADD", "c1", &network).success();
    let log = fs::read_to_string(node.path("log")).unwrap();
    fs::write(node.path("log"), format!("{log}2026-01-01T00:00:00Z WARN password={PLANTED}\n")).unwrap();
    let archive = node.path("bundle.tar");
    let run = || {
        command(&["doctor", "--conf", &node.conf(&network), "--bundle", archive.to_str().unwrap()]).output().unwrap()
    };
    let told = printed(&run());
    assert!(told.contains("✓ bundle ") && told.contains("networks/blue.json"), "{told}");
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);
    let content = String::from_utf8_lossy(&fs::read(&archive).unwrap()).into_owned();
    assert!(!content.contains(PLANTED), "a secret is in the archive");
    for part in ["outcome=claimed", "✓ store", "\"subnet\": \"10.0.0.0/24\"", "kube-ipam 0."] {
        assert!(content.contains(part), "{part} is not in the archive");
    }
    let listed = std::process::Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
    assert!(printed(&listed).contains("kube-ipam/doctor.txt"), "{}", printed(&listed));
    let again = run();
    assert!(!again.status.success() && printed(&again).contains("File exists"), "{}", printed(&again));
    assert!(Path::new(&archive).exists());
}
