//! An embedded store of before: `etcdConfig` was added, or `dataDir`.

use std::fs;

use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::network;
use serde_json::json;

use super::{add, assert_sound, check, del, gc, import, printed, refused, rows, with};

#[test]
fn etcd_that_is_added_takes_over_what_the_node_held() {
    let etcd = Setup::single().start();
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    let before = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    let now = with(&before, &json!({"etcdConfig": etcd.section()}));
    add("c0", &now).run().success();
    del("c0", &now).run().success();
    assert!(!directory.path().join("ipam.mdb").exists(), "nothing is created to look for it");
    let answer = add("c1", &before).for_pod("shop", "c1", "u1").run().success();
    for container in ["c2", "c3", "c4", "c5"] {
        add(container, &before).run().success();
    }
    let taken = |network| held(network).into_values().collect::<Vec<_>>();

    let text = refused("c9", &now);
    assert!(text.contains(&format!("--data-dir {dir} --domain blue --network blue` on this node")), "{text}");
    check("c1", &answer, &now).run().success();
    del("c2", &now).run().success();
    gc(&["c1", "c3", "c4"], &now).run().success();
    assert_eq!(taken(&before), ["c1", "c3", "c4"]);
    assert_eq!(held(&now).len(), 0);

    let options = ["--data-dir", dir];
    let held_before = ["10.1.0.2", "10.1.0.4", "10.1.0.5"];
    let dry = [&options[..], &["--dry-run"]].concat();
    assert_eq!(import(&now, &dry), (0, rows("would-import", &held_before)));
    assert_eq!((taken(&before).len(), held(&now).len()), (3, 0), "a rehearsal changes nothing");
    assert_eq!(import(&now, &options), (0, rows("imported", &held_before)));
    assert_eq!(taken(&now), ["c1", "c3", "c4"]);
    assert_eq!(add("c1", &now).run().json(), answer);
    let told = printed(&operate(&["doctor"], &now));
    assert!(told.contains("✓ books") && told.contains("ipam.mdb is not needed any more"), "{told}");
    gc(&["c1"], &now).run().success();
    assert_eq!(taken(&now), ["c1"], "of the same machine as before");
    assert_sound(&now);
}

#[test]
fn what_moved_into_etcd_is_found_there_and_nothing_twice() {
    let etcd = Setup::single().start();
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    let before = network(directory.path(), &json!({"subnet": "10.1.0.0/24", "cooldown": "1h"}));
    let now = with(&before, &json!({"etcdConfig": etcd.section()}));
    let answer = add("c1", &before).for_pod("shop", "c1", "u1").run().success();
    ["c2", "c3"].iter().for_each(|container| drop(add(container, &before).run().success()));
    del("c2", &before).run().success();
    let (status, moved) = import(&now, &["--data-dir", dir]);
    assert_eq!((status, moved), (0, rows("imported", &["10.1.0.2", "10.1.0.4", "10.1.0.3"])), "claims, then holds");
    assert_eq!(import(&now, &["--data-dir", dir]), (0, vec![]));
    assert_eq!(held(&before).len(), 0);
    assert_eq!(add("c1", &now).run().json(), answer);
    assert_eq!(add("c4", &now).run().addresses(), ["10.1.0.5"], "the address that cools down rests here, too");
    assert_sound(&now);
    ["c1", "c3", "c4"].iter().for_each(|container| drop(del(container, &now).run().success()));
    assert_eq!(held(&now).len(), 0);
}

#[test]
fn another_domain_on_the_same_disk_is_one_transaction_a_claim() {
    let directory = tempfile::tempdir().unwrap();
    let before = network(directory.path(), &json!({"subnet": "10.1.0.0/24"}));
    let answer = add("c1", &before).run().success();
    let now = with(&before, &json!({"domain": "shared"}));
    refused("c2", &now);
    let dir = directory.path().to_str().unwrap();
    let moved = import(&now, &["--data-dir", dir, "--domain", "blue"]);
    assert_eq!(moved, (0, rows("imported", &["10.1.0.2"])), "its own directory is named, too");
    assert_eq!(add("c1", &now).run().json(), answer);
    assert_eq!(add("c2", &now).run().addresses(), ["10.1.0.3"]);
    assert_sound(&now);
}

#[test]
fn another_directory_takes_over_what_the_first_one_held() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let before = network(one.path(), &json!({"subnet": "10.1.0.0/24"}));
    let now = network(two.path(), &json!({"subnet": "10.1.0.0/24"}));
    let answer = add("c1", &before).run().success();
    assert_eq!(import(&now, &["--data-dir", one.path().to_str().unwrap()]), (0, rows("imported", &["10.1.0.2"])));
    assert_eq!(add("c1", &now).run().json(), answer);
    let absent = operate(&["import", "--from", "kube-ipam", "--data-dir", "/absent"], &now);
    assert!(
        !absent.status.success() && printed(&absent).contains("/absent has no embedded store"),
        "{}",
        printed(&absent)
    );
}

/// Who lives by it cannot be known: no address is given out until somebody has looked. No pod is kept from ending.
#[test]
fn a_store_of_before_that_cannot_be_read_is_named() {
    let etcd = Setup::single().start();
    let directory = tempfile::tempdir().unwrap();
    let now =
        with(&network(directory.path(), &json!({"subnet": "10.1.0.0/24"})), &json!({"etcdConfig": etcd.section()}));
    add("c1", &now).run().success();
    let file = directory.path().join("ipam.mdb");
    fs::write(&file, "not an address store".repeat(1_000)).unwrap();
    let (code, text) = add("c2", &now).run().failure();
    assert!(code == 5 && text.contains(file.to_str().unwrap()) && text.contains("move the file away"), "{code} {text}");
    del("c2", &now).run().success();
    del("c1", &now).run().success();
    gc(&[], &now).run().success();
    fs::remove_file(&file).unwrap();
    add("c2", &now).run().success();
}
