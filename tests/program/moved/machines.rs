//! Machines of one name on one etcd, and names that many machines have.

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::{has_machines, network};
use serde_json::json;

use super::{add, assert_sound, check, del, gc, printed, with};

const ONE: &str = "0123456789abcdef0123456789abcdef";
const TWO: &str = "fedcba9876543210fedcba9876543210";

#[test]
fn machines_of_one_name_free_nothing_of_each_other() {
    if !has_machines() {
        return;
    }
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "nodeName": "worker"}));
    for (container, machine) in [("a1", ONE), ("a2", ONE), ("b1", TWO), ("b2", TWO)] {
        add(container, &network).on_machine(machine).run().success();
    }
    let holders = || held(&network).into_values().collect::<Vec<_>>();
    gc(&["a1"], &network).on_machine(ONE).run().success();
    assert_eq!(holders(), ["a1", "b1", "b2"], "its own garbage, and not what the other machine's runtime knows");
    gc(&[], &network).on_machine(TWO).run().success();
    assert_eq!(holders(), ["a1"]);
    // A machine whose ID is not set yet is neither of them.
    gc(&[], &network).on_machine("uninitialized").run().success();
    assert_eq!(holders(), ["a1"]);
    del("a1", &network).on_machine(TWO).run().success();
    assert_eq!(held(&network).len(), 0, "a DEL names its container");
    assert_sound(&network);
}

#[test]
fn a_name_that_many_machines_have_is_refused_on_a_shared_store() {
    let etcd = Setup::single().start();
    let good = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let answer = add("c1", &good).run().success();
    for name in ["localhost", "localhost.localdomain", "4711"] {
        let bad = with(&good, &json!({"nodeName": name}));
        for call in [add("c2", &bad), Call::new("STATUS", "", &bad), gc(&[], &bad)] {
            let (code, text) = call.run().failure();
            assert!(code == 7 && text.contains(name) && text.contains("set ipam.nodeName"), "{code} {text}");
        }
        check("c1", &answer, &bad).run().success();
        let doctor = printed(&operate(&["doctor"], &bad));
        assert!(doctor.contains("✗ node") && doctor.contains(name), "{doctor}");
        assert_eq!(held(&good).len(), 1);
    }
    del("c1", &with(&good, &json!({"nodeName": "localhost"}))).run().success();
    assert_eq!(held(&good).len(), 0);

    let directory = tempfile::tempdir().unwrap();
    let alone = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "nodeName": "localhost"}));
    add("c1", &alone).run().success();
    gc(&[], &alone).run().success();
    assert_eq!(held(&alone).len(), 0);
}

#[test]
fn config_check_tells_of_a_node_name_that_many_machines_have() {
    let directory = tempfile::tempdir().unwrap();
    let mut network = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "nodeName": "localhost"}));
    network["ipam"]["etcdConfig"] = json!({"etcdURL": "http://127.0.0.1:2379"});
    let file = directory.path().join("blue.conf");
    std::fs::write(&file, network.to_string()).unwrap();
    let output = std::process::Command::new(kube_ipam_tests::program()).args(["config", "check"]).arg(&file).output();
    let output = output.unwrap();
    assert!(
        !output.status.success() && printed(&output).contains("ipam.nodeName is \"localhost\""),
        "{}",
        printed(&output)
    );
}

#[test]
fn doctor_names_claims_of_a_former_name_and_of_another_machine() {
    if !has_machines() {
        return;
    }
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let doctor = || {
        let output = operate(&["doctor"], &network);
        assert!(output.status.code() < Some(2), "pods get addresses all the same: {}", printed(&output));
        printed(&output)
    };
    add("mine", &network).run().success();
    assert!(doctor().contains("✓ machine"), "{}", doctor());
    let former = with(&network, &json!({"nodeName": "old-name"}));
    ["f1", "f2"].iter().for_each(|container| drop(add(container, &former).run().success()));
    add("twin", &network).on_machine(TWO).run().success();
    let told = doctor();
    for part in [
        "2 claims (for example container f1",
        "\"old-name\"",
        "1 claim (for example container twin",
        "kube-ipam reclaim",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.matches("! machine").count(), 2, "{told}");
}
