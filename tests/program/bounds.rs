//! What little a node may offer: every verb and the commands of an operator with hardly any address space, with one process,
//! on a root that is read-only, without /proc, and with a clock that is decades off; on either store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::time::{SystemTime, UNIX_EPOCH};

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::{held, operate};
use kube_ipam_tests::node::Node;
use kube_ipam_tests::{Answer, Call, clock, is_root, program};
use serde_json::{Value, json};

/// What a shell does before the program runs, in mounts of its own.
const CONSTRAINTS: [(&str, &str); 3] = [
    ("little address space", "ulimit -v 600000"),
    ("no /proc", "mount -t tmpfs none /proc"),
    ("a read-only root", "mount --make-rprivate / && mount --bind DIRECTORY DIRECTORY && mount -o remount,bind,ro /"),
];

/// Seconds since 1970: ten of them, and a day of 2040.
const MOMENTS: [i64; 2] = [10, 2_216_246_400];

/// A user who is not root: root may start as many processes as it likes.
const USER: u32 = 64_322;

/// A node with a network on each store.
struct Scene {
    node: Node,
    networks: [Value; 2],
    _etcd: Etcd,
}

impl Scene {
    fn new() -> Self {
        let (node, etcd) = (Node::new(), Setup::single().start());
        let mut networks = [node.network(json!({})), node.network(json!({}))];
        networks[1]["ipam"]["etcdConfig"] = etcd.section();
        networks[1]["ipam"]["dataDir"] = json!(node.path("notes"));
        for data in ["data", "notes"] {
            fs::create_dir(node.path(data)).unwrap();
        }
        Self { node, networks, _etcd: etcd }
    }

    /// Every verb on each store, called like this.
    fn live(&self, what: &str, how: impl Fn(Call) -> Answer) {
        for network in &self.networks {
            life(network, what, &how);
        }
    }
}

/// ADD twice, CHECK, STATUS, GC, DEL twice, and a GC that frees.
fn life(network: &Value, what: &str, how: impl Fn(Call) -> Answer) {
    let call = |verb: &str, network: &Value| how(Call::new(verb, "c1", network));
    let mut lowest = network.clone();
    lowest["ipam"]["policy"] = json!({"settings": {"strategy": "lowest"}});
    let result = call("ADD", &lowest).success();
    assert_eq!(result["ips"][0]["address"], "10.0.0.2/24", "{what}");
    assert_eq!(call("ADD", &lowest).success(), result, "{what}");
    let mut later = lowest.clone();
    later["prevResult"] = result;
    later["cni.dev/valid-attachments"] = json!([{"containerID": "c1", "ifname": "eth0"}]);
    for verb in ["CHECK", "STATUS", "GC", "CHECK", "DEL", "DEL", "VERSION"] {
        call(verb, &later).success();
    }
    assert_eq!(call("ADD", &lowest).address(), "10.0.0.2/24", "{what}: the DEL freed it");
    let mut collecting = lowest.clone();
    collecting["cni.dev/valid-attachments"] = json!([]);
    call("GC", &collecting).success();
    assert_eq!(call("CHECK", &later).failure().0, 106, "{what}: GC freed it");
}

#[test]
fn every_verb_does_with_little() {
    if !is_root("a node with little") {
        return;
    }
    let scene = Scene::new();
    for (what, setup) in CONSTRAINTS {
        let setup = setup.replace("DIRECTORY", &scene.node.path("").display().to_string());
        scene.live(what, |call| call.after(&setup).run());
    }
}

#[test]
fn every_verb_does_with_one_process() {
    if !is_root("a limit on processes") {
        return;
    }
    let scene = Scene::new();
    let copy = scene.node.path("kube-ipam");
    fs::copy(program(), &copy).unwrap();
    for data in ["data", "notes"] {
        chown(scene.node.path(data), Some(USER), Some(USER)).unwrap();
    }
    // Whether there was a store in the default directory before, every ADD looks; that may be closed to others here.
    let empty = "{ [ ! -d /var/lib/cni ] || mount -t tmpfs -o mode=755 none /var/lib/cni; }";
    let id = USER.to_string();
    let become_user = ["/usr/bin/setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let limited = ["/usr/bin/prlimit", "--nproc=1:1"];
    scene.live("one process", |call| call.of(&copy).after(empty).by(&become_user).by(&limited).run());
}

/// In 1970 and in 2040, and in one after the other: what was claimed in the future is repeated today, and garbage today.
#[test]
fn every_verb_does_with_a_wrong_clock() {
    let scene = Scene::new();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    for moment in MOMENTS {
        let shift = moment - now;
        if clock::shifted(&Call::new("VERSION", "", &json!({})), shift).is_none() {
            return;
        }
        scene.live(&format!("{moment} seconds after 1970"), |call| clock::shifted(&call, shift).unwrap());
        for network in &scene.networks {
            let added = clock::shifted(&Call::new("ADD", "c2", network), shift).unwrap().address();
            assert_eq!(Call::new("ADD", "c2", network).run().address(), added);
            let seen = operate(&["list", "--held", "-o", "json"], network);
            let rows: Value = serde_json::from_slice(&seen.stdout).unwrap();
            let since: i64 = seconds_of(rows[0]["since"].as_str().unwrap());
            assert!((since - moment).abs() < 600, "the clock was not moved: {rows}");
            // A container of before the clock was set right is garbage today.
            let mut collecting = network.clone();
            collecting["cni.dev/valid-attachments"] = json!([]);
            Call::new("GC", "", &collecting).run().success();
            assert_eq!(held(network), BTreeMap::new());
        }
    }
}

/// A time as it is printed, in seconds since 1970.
fn seconds_of(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}
