//! GC: all of the garbage, nothing but the garbage.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::program::wait;
use serde_json::json;

use super::{add, assert_sound, del};

/// GC has begun and hears from etcd only after another pod has its address: its list cannot know that pod.
#[test]
fn what_is_claimed_after_gc_began_stays() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    add("old", &network).run().success();
    let way = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut late = network.clone();
    late["cni.dev/valid-attachments"] = json!([]);
    late["ipam"]["etcdConfig"]["etcdURL"] = json!(format!("http://{}", way.local_addr().unwrap()));
    let gc = Call::new("GC", "", &late).start();
    let (client, _) = way.accept().unwrap();
    add("new", &network).run().success();
    let server = TcpStream::connect(etcd.endpoints()[0].trim_start_matches("http://")).unwrap();
    for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        thread::spawn(move || io::copy(&mut from, &mut to));
    }
    wait(gc).success();
    assert_eq!(held(&network).into_values().collect::<Vec<_>>(), ["new"]);
    assert_sound(&network);
    let mut later = network.clone();
    later["cni.dev/valid-attachments"] = json!([]);
    Call::new("GC", "", &later).run().success();
    assert_eq!(held(&network).len(), 0, "the next one finds it");
}

#[test]
fn gc_goes_on_after_a_failure_and_tells_all_of_them() {
    let etcd = Setup::single().start();
    let mut network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    (0..4).for_each(|nth| drop(add(&format!("c{nth}"), &network).run().success()));
    let damaged = ["c0", "c2"].map(|container| format!("/kube-ipam/v2/blue/c/{container}/eth0"));
    damaged.iter().for_each(|key| drop(etcd.control(&["put", key, "{"])));
    network["cni.dev/valid-attachments"] = json!([]);
    let (code, text) = Call::new("GC", "", &network).run().failure();
    assert!(code == 11 && text.contains("2 attachments could not be released"), "{code} {text}");
    assert!(damaged.iter().all(|key| text.contains(key)), "{text}");
    assert_eq!(held(&network).into_values().collect::<Vec<_>>(), ["c0", "c2"]);
}

#[test]
fn a_pod_whose_claim_is_damaged_is_released_after_the_repair_that_its_error_names() {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    add("c0", &network).run().success();
    etcd.control(&["put", "/kube-ipam/v2/blue/c/c0/eth0", "{"]);
    let (code, text) = del("c0", &network).run().failure();
    assert!(code == 5 && text.contains("kube-ipam fsck --repair --yes"), "{code} {text}");
    let repaired = operate(&["fsck", "--repair", "--yes"], &network);
    assert!(repaired.status.success(), "{}", String::from_utf8_lossy(&repaired.stdout));
    del("c0", &network).run().success();
    assert_eq!(held(&network).len(), 0);
    assert_sound(&network);
}
