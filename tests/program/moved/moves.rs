//! Another domain, another name of the network, another prefix, all in one etcd.

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::{add, assert_sound, check, del, gc, import, printed, refused, refused_add, rows, with};

/// A network whose `c1`, `c2` and `c3` have .2, .3 and .4, and what `c1` was answered.
fn populated(etcd: &Etcd) -> (Value, Value) {
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    let answer = add("c1", &network).for_pod("shop", "c1", "u1").run().success();
    ["c2", "c3"].iter().for_each(|container| drop(add(container, &network).run().success()));
    (network, answer)
}

fn named(network: &Value, name: &str) -> Value {
    let mut renamed = network.clone();
    renamed["name"] = json!(name);
    renamed
}

/// Everything in etcd, with its values.
fn all(etcd: &Etcd) -> String {
    etcd.control(&["get", "/", "--prefix"])
}

#[test]
fn a_domain_that_is_added_takes_over_what_the_network_holds() {
    let etcd = Setup::single().start();
    let (before, answer) = populated(&etcd);
    let now = with(&before, &json!({"domain": "shared"}));
    let text = refused("c4", &now);
    assert!(text.contains("\"shared\"") && text.contains("--domain blue --network blue"), "{text}");
    assert_eq!(held(&before).len(), 3);

    // The pods of before live on, and end.
    check("c1", &answer, &now).run().success();
    del("c2", &now).run().success();
    assert_eq!(held(&before).into_values().collect::<Vec<_>>(), ["c1", "c3"]);
    gc(&["c1"], &now).run().success();
    assert_eq!(held(&before).into_values().collect::<Vec<_>>(), ["c1"]);

    let unchanged = all(&etcd);
    assert_eq!(import(&now, &["--domain", "blue", "--dry-run"]), (0, rows("would-import", &["10.1.0.2"])));
    assert_eq!(all(&etcd), unchanged, "a rehearsal changes nothing");
    assert_eq!(import(&now, &["--domain", "blue"]), (0, rows("imported", &["10.1.0.2"])));
    assert_eq!(import(&now, &["--domain", "blue"]), (0, vec![]), "once");

    assert_eq!(add("c1", &now).run().json(), answer);
    check("c1", &answer, &now).run().success();
    let others: Vec<_> = ["c5", "c6"].iter().flat_map(|container| add(container, &now).run().addresses()).collect();
    assert!(!others.contains(&"10.1.0.2".to_owned()), "{others:?}");
    assert_sound(&now);
    assert!(printed(&operate(&["doctor"], &now)).contains("✓ books"), "{}", printed(&operate(&["doctor"], &now)));
    // A node that has not heard of it yet.
    assert!(refused("c7", &before).contains("--domain shared"));
    ["c1", "c5", "c6"].iter().for_each(|container| drop(del(container, &now).run().success()));
    assert_eq!(held(&now).len(), 0);
    add("c8", &before).run().success();
}

#[test]
fn without_a_domain_to_name_the_registry_says_which() {
    let etcd = Setup::single().start();
    let (before, _) = populated(&etcd);
    let now = with(&before, &json!({"domain": "shared"}));
    let (status, moved) = import(&now, &[]);
    assert_eq!((status, moved.len()), (0, 3));
    let output = operate(&["import", "--from", "kube-ipam"], &now);
    assert!(!output.status.success() && printed(&output).contains("--domain"), "{}", printed(&output));
    for options in [&["--from", "host-local", "--domain", "x"][..], &["--from", "kube-ipam", "--set-aside"]] {
        let output = operate(&[&["import"], options].concat(), &now);
        assert!(!output.status.success() && printed(&output).contains("is only for --from"), "{}", printed(&output));
    }
}

#[test]
fn a_network_that_is_renamed_takes_over_what_it_held() {
    let etcd = Setup::single().start();
    let (blue, answer) = populated(&etcd);
    let green = named(&blue, "green");
    let text = refused("c4", &green);
    for part in ["\"green\" is new here", "\"blue\"", "--former-network blue --network green", "set ipam.domain"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    check("c1", &answer, &green).run().success();
    del("c3", &green).run().success();
    gc(&[], &green).run().success();
    assert_eq!(
        held(&blue).len(),
        2,
        "a runtime's list is of the network by its name: GC of green frees nothing of blue"
    );

    assert_eq!(import(&green, &["--former-network", "blue"]), (0, rows("imported", &["10.1.0.2", "10.1.0.3"])));
    assert_eq!(add("c1", &green).run().json(), answer);
    assert_eq!(add("c4", &green).run().addresses(), ["10.1.0.4"]);
    let registry = etcd.keys("/kube-ipam/networks/");
    assert_eq!(registry, ["/kube-ipam/networks/blue", "/kube-ipam/networks/green"], "with a word of the new name");
    assert_sound(&green);
    ["c1", "c2", "c4"].iter().for_each(|container| drop(del(container, &green).run().success()));
    assert_eq!(held(&green).len(), 0);
}

#[test]
fn two_networks_that_both_exist_have_domains_or_subnets_of_their_own() {
    let etcd = Setup::single().start();
    let (blue, _) = populated(&etcd);
    let apart = with(&named(&blue, "apart"), &json!({"subnet": "10.2.0.0/24"}));
    assert_eq!(add("c1", &apart).run().addresses(), ["10.2.0.2"]);
    let chosen = with(&named(&blue, "chosen"), &json!({"domain": "lab"}));
    assert_eq!(add("c1", &chosen).run().addresses(), ["10.1.0.2"], "the same address on purpose");
    let shared = with(&named(&blue, "sharing"), &json!({"domain": "blue"}));
    assert_eq!(add("c9", &shared).run().addresses(), ["10.1.0.5"], "the same addresses, each once");
    refused_add("c9", &with(&apart, &json!({"subnet": "10.0.0.0/14"})));
    let told = printed(&operate(&["doctor"], &blue));
    assert!(told.contains("✓ books") && told.contains("network chosen in domain lab"), "{told}");
}

/// No ADD can know of it: a prefix is how clusters keep apart. `doctor` looks under the default one.
#[test]
fn another_prefix_is_told_by_doctor_and_taken_over() {
    let etcd = Setup::single().start();
    let (before, answer) = populated(&etcd);
    let mut section = etcd.section();
    section["etcdPrefix"] = json!("/site/");
    let now = with(&before, &json!({"etcdConfig": section}));
    let told = printed(&operate(&["doctor"], &now));
    let command = "kube-ipam import --from kube-ipam --etcd-prefix /kube-ipam --domain blue";
    assert!(told.contains("! books") && told.contains(command), "{told}");
    let options = ["--etcd-prefix", "/kube-ipam", "--domain", "blue"];
    assert_eq!(import(&now, &options), (0, rows("imported", &["10.1.0.2", "10.1.0.3", "10.1.0.4"])));
    assert_eq!(add("c1", &now).run().json(), answer);
    let left = etcd.keys("/kube-ipam/");
    assert!(left.iter().all(|key| key.contains("/l/")), "{left:?}");
    assert!(printed(&operate(&["doctor"], &now)).contains("✓ books"));
    assert_sound(&now);
}

#[test]
fn what_cannot_move_is_told_and_stays() {
    let etcd = Setup::single().start();
    let (blue, _) = populated(&etcd);
    // Another network's pod has one of the addresses in the domain that is to be shared.
    let red = with(&named(&blue, "red"), &json!({"domain": "shared"}));
    add("thief", &red).run().success();
    let now = with(&blue, &json!({"domain": "shared"}));
    let (status, moved) = import(&now, &["--domain", "blue"]);
    let mut expected = rows("held-by-another", &["10.1.0.2"]);
    expected.extend(rows("imported", &["10.1.0.3", "10.1.0.4"]));
    assert_eq!((status, moved), (1, expected));
    assert_eq!(held(&blue).into_values().collect::<Vec<_>>(), ["c1"]);
    refused("c9", &now);
    del("thief", &red).run().success();
    assert_eq!(import(&now, &["--domain", "blue"]), (0, rows("imported", &["10.1.0.2"])));
    add("c9", &now).run().success();
    assert_sound(&now);
}

/// Pods come and go on nodes with the old configuration while the books move to the new one.
#[test]
fn pods_come_and_go_while_their_books_move() {
    let etcd = Setup::single().start();
    let before = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "20s"}));
    let now = with(&before, &json!({"domain": "shared"}));
    let names: Vec<String> = (0..24).map(|nth| format!("c{nth}")).collect();
    let first: Vec<_> = names.iter().map(|name| add(name, &before).start()).collect();
    first.into_iter().for_each(|child| drop(wait(child).success()));
    // Every third ends, by either configuration, and as many begin, with the old one.
    let late: Vec<String> = (24..32).map(|nth| format!("c{nth}")).collect();
    let mut ending = Vec::new();
    for (nth, name) in names.iter().step_by(3).enumerate() {
        ending.push(del(name, if nth % 2 == 0 { &before } else { &now }).start());
    }
    let beginning: Vec<_> = late.iter().map(|name| add(name, &before).start()).collect();
    let (status, _) = import(&now, &["--domain", "blue"]);
    ending.into_iter().for_each(|child| drop(wait(child).success()));
    let answers: Vec<_> = beginning.into_iter().map(wait).collect();
    assert!([0, 1].contains(&status));
    let (status, _) = import(&now, &["--domain", "blue"]);
    assert_eq!(status, 0, "what was in motion is at rest by now");
    assert_eq!(held(&before).len(), 0);

    let mut living: Vec<&str> =
        names.iter().enumerate().filter(|(nth, _)| nth % 3 != 0).map(|(_, name)| name.as_str()).collect();
    living.extend(
        late.iter().zip(&answers).filter(|(_, answer)| answer.status == Some(0)).map(|(name, _)| name.as_str()),
    );
    let holders = held(&now);
    for name in &living {
        assert!(holders.values().any(|holder| holder == name), "{name} lost its address: {holders:?}");
    }
    assert_sound(&now);
}
