//! The operators' commands as operators run them: usage, fsck, import and doctor, over both stores.

mod agree;
mod export;
mod networks;
mod reserve;
mod seen;
mod told;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::program::{NO_LOG, network};
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A network with a configuration file.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) configuration: Value,
    pub(crate) etcd: Option<Etcd>,
}

impl Site {
    pub(crate) fn embedded(ipam: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = network(directory.path(), ipam);
        Self { directory, configuration, etcd: None }.written()
    }

    pub(crate) fn on_etcd(ipam: &Value) -> Self {
        let etcd = Setup::single().start();
        let mut site = Self::embedded(ipam);
        site.configuration["ipam"]["etcdConfig"] = etcd.section();
        Self { etcd: Some(etcd), ..site }.written()
    }

    pub(crate) fn written(self) -> Self {
        fs::write(self.file(), self.configuration.to_string()).unwrap();
        self
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("blue.conf")
    }

    pub(crate) fn etcd(&self) -> &Etcd {
        self.etcd.as_ref().unwrap()
    }

    pub(crate) fn call(&self, verb: &str, container: &str) -> Call {
        Call::new(verb, container, &self.configuration)
    }

    pub(crate) fn add(&self, container: &str) -> String {
        self.call("ADD", container).run().addresses().join(",")
    }

    /// Run a command; its exit status and what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(program());
        let output = command
            .envs([NO_LOG])
            .args(arguments)
            .arg("--conf")
            .arg(self.file())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), printed)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (status, printed) = self.run(&[arguments, &["-o", "json"]].concat());
        (status, serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}")))
    }

    pub(crate) fn listed(&self) -> Value {
        self.json(&["list"]).1
    }
}

#[test]
fn usage_counts_what_is_held_and_what_rests() {
    let ipam = json!({"ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h"});
    for site in [Site::embedded(&ipam), Site::on_etcd(&ipam)] {
        ["c1", "c2", "c3"].iter().for_each(|container| drop(site.add(container)));
        site.call("DEL", "c2").run().success();
        let (status, rows) = site.json(&["usage"]);
        let expected = json!({"network": "blue", "range_set": 0, "spans": ["10.1.0.2-10.1.0.14"],
            "size": 13, "held": 2, "kept": 1, "reserved": 0, "free": 10, "percent": 23});
        assert_eq!((status, &rows[0]), (0, &expected));
        assert_eq!((&rows[1]["held"], &rows[1]["kept"], &rows[1]["percent"]), (&json!(2), &json!(1), &json!(0)));
        let (_, table) = site.run(&["usage"]);
        assert!(table.starts_with("NETWORK") && table.contains("10.1.0.2-10.1.0.14"), "{table}");
    }
}

/// Every key of etcd in turn is deleted, and overwritten.
#[test]
fn whatever_is_damaged_in_etcd_fsck_names_and_mends() {
    let site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24"}));
    for container in ["c1", "c2"] {
        site.call("ADD", container).for_pod("shop", container, "u").run().success();
    }
    let (before, etcd) = (site.listed(), site.etcd());
    assert_eq!(site.run(&["fsck"]), (0, "all records are consistent\n".to_owned()));

    let damaging = ["/a/", "/c/", "/n/", "/p/"];
    let keys = etcd.keys("/kube-ipam/v2/blue/");
    let keys = keys.iter().filter(|key| damaging.iter().any(|part| key.contains(part)));
    let mut damaged = 0;
    for key in keys {
        for damage in [&["del", key][..], &["put", key, "{"]] {
            etcd.control(damage);
            // A node's entry has no value, and the index of pods may miss a claim.
            if (key.contains("/n/") && damage[0] == "put") || (key.contains("/p/") && damage[0] == "del") {
                continue;
            }
            damaged += 1;
            let (status, found) = site.json(&["fsck"]);
            assert_eq!((status, found[0]["outcome"].as_str()), (1, Some("found")), "{key} {damage:?}: {found}");
            let (status, plan) = site.run(&["fsck", "--repair"]);
            assert!(status == 1 && plan.contains("  → ") && plan.contains("--yes repairs without asking"), "{plan}");
            assert_eq!(site.json(&["fsck"]).1, found, "without --yes nothing is changed");
            let (status, done) = site.run(&["fsck", "--repair", "--yes"]);
            assert!(status == 0 && done.contains("(done)"), "{key} {damage:?}: {done}");
            assert_eq!(site.run(&["fsck"]).0, 0);
            assert_eq!(site.listed(), before, "{key} {damage:?}");
        }
    }
    assert_eq!(damaged, 2 * (2 + 2 + 1 + 1));
    for container in ["c1", "c2"] {
        site.call("DEL", container).run().success();
    }
    assert_eq!(site.listed(), json!([]));
    assert_eq!(site.run(&["fsck"]).0, 0);
}

#[test]
fn what_nobody_can_explain_is_deleted_on_request_only() {
    let site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24"}));
    site.add("c1");
    site.etcd().control(&["put", "/kube-ipam/v2/blue/a/4/0a010063", "?"]);
    let (status, printed) = site.run(&["fsck", "--repair", "--yes"]);
    assert!(status == 1 && printed.contains("10.1.0.99") && printed.contains("only with --discard"), "{printed}");
    let (status, printed) = site.run(&["fsck", "--repair", "--yes", "--discard"]);
    assert!(status == 0 && printed.contains("(done)"), "{printed}");
    assert_eq!(site.run(&["fsck"]).0, 0);
}

#[test]
fn the_predecessors_addresses_are_imported_once() {
    let mut site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24", "logLevel": "warn"}));
    let log = site.directory.path().join("log");
    site.configuration["ipam"]["logFile"] = json!(log);
    let site = site.written();
    let used = |address: &str| format!("/etcd-cni/networks/blue/used/{address}");
    let holder = site.add("c1");
    for (address, container) in [("10.1.0.9", "old9"), ("10.1.0.10", "old10"), ("10.9.9.9", "far"), (&holder, "thief")]
    {
        site.etcd().control(&["put", &used(address), container]);
    }
    site.call("STATUS", "").run().success();
    assert!(fs::read_to_string(&log).unwrap().contains("import --from kube-ipam-v0"), "STATUS warns in the log");
    let (status, checks) = site.json(&["doctor"]);
    let predecessor = checks.as_array().unwrap().iter().find(|check| check["name"] == "predecessor").unwrap();
    assert_eq!((status, &predecessor["verdict"]), (2, &json!("bad")), "{predecessor}");

    let actions = |rows: &Value| -> Vec<(String, String)> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(row, "address"), text(row, "action"))).collect()
    };
    let expected = |action: &str| -> Vec<(String, String)> {
        let rows = [
            (holder.as_str(), "held-by-another"),
            ("10.1.0.9", action),
            ("10.1.0.10", action),
            ("10.9.9.9", "skipped"),
        ];
        rows.map(|(address, action)| (address.to_owned(), action.to_owned())).to_vec()
    };
    let import = ["import", "--from", "kube-ipam-v0", "--yes"];
    let (status, rows) = site.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!((status, actions(&rows)), (1, expected("would-import")));
    assert_eq!(site.listed().as_array().unwrap().len(), 1, "a rehearsal changes nothing");
    let (status, rows) = site.json(&import);
    assert_eq!((status, actions(&rows)), (1, expected("imported")));
    assert_eq!(rows[0]["detail"], "container c1 interface eth0 in network \"blue\" on node node-1");
    let (_, rows) = site.json(&import);
    assert_eq!(actions(&rows).len(), 2, "what is imported is moved aside: {rows}");
    assert_eq!(site.etcd().keys("/etcd-cni/networks/blue/imported/").len(), 2);

    // The imported container is one like any other: ADD answers what it holds, GC of this node spares it, DEL frees it.
    assert_eq!(site.add("old9"), "10.1.0.9");
    let mut gc = site.configuration.clone();
    gc["cni.dev/valid-attachments"] = json!([{"containerID": "c1", "ifname": "eth0"}]);
    Call::new("GC", "", &gc).run().success();
    assert_eq!(site.add("old10"), "10.1.0.10");
    for container in ["old9", "old10", "c1"] {
        site.call("DEL", container).run().success();
    }
    assert_eq!(site.listed(), json!([]));
    assert_eq!(site.json(&import).1[0]["action"], "imported", "the thief's address is free now");
    assert_eq!(site.run(&["fsck"]).0, 0);
}

/// The predecessor left keys that nothing can be made of: they end somewhere else, as they were, and `doctor` is content.
#[test]
fn what_cannot_be_imported_from_the_predecessor_is_set_aside() {
    let site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24"}));
    let left = [("<nil>", "c0"), ("10.9.9.9", "far"), ("10.1.0.7", "../x")];
    for (name, container) in left.into_iter().chain([("10.1.0.8", "old8")]) {
        site.etcd().control(&["put", &format!("/etcd-cni/networks/blue/used/{name}"), container]);
    }
    let actions = |rows: &Value| -> Vec<String> {
        let mut actions: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap().to_owned()).collect();
        actions.sort();
        actions
    };
    let import = ["import", "--from", "kube-ipam-v0", "--set-aside", "--yes"];
    let before = site.etcd().control(&["get", "--prefix", "/"]);
    let (_, rows) = site.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(actions(&rows), ["would-import", "would-set-aside", "would-set-aside", "would-set-aside"]);
    assert_eq!(site.etcd().control(&["get", "--prefix", "/"]), before, "a rehearsal changes nothing");
    assert_ne!(site.run(&["doctor"]).0, 0);
    let (status, rows) = site.json(&import);
    assert_eq!(
        (status, actions(&rows)),
        (0, ["imported", "set-aside", "set-aside", "set-aside"].map(str::to_owned).into())
    );
    for (name, container) in left {
        let key = format!("/etcd-cni/networks/blue/set-aside/{name}");
        assert_eq!(site.etcd().control(&["get", &key]), format!("{key}\n{container}\n"));
    }
    let (status, printed) = site.run(&["doctor"]);
    assert!(status < 2 && printed.contains("✓ predecessor"), "{printed}");
    assert_eq!(site.json(&import).1, json!([]));
}

#[test]
fn host_locals_files_are_imported_with_their_interfaces() {
    let site = Site::embedded(&json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]}));
    let books = site.directory.path().join("books");
    fs::create_dir_all(books.join("blue")).unwrap();
    let write = |name: &str, text: &str| fs::write(books.join("blue").join(name), text).unwrap();
    write("10.1.0.7", "c7\r\nnet1");
    write("fd00::7", "c7\r\nnet1");
    write("10.1.0.8", "c8");
    write("10.2.0.8", "c9");
    write("lock", "");
    write("last_reserved_ip.0", "10.1.0.8");
    let import = ["import", "--from", "host-local", books.to_str().unwrap(), "--yes"];
    let (status, printed) = site.run(&import);
    assert!(status == 0 && printed.contains("outside the configured subnets"), "{printed}");
    assert_eq!(printed.matches("imported").count(), 3, "{printed}");

    let again = site.call("ADD", "c7").with("CNI_IFNAME", "net1").run();
    let answer = again.success();
    assert_eq!(again.addresses(), ["10.1.0.7", "fd00::7"]);
    assert_eq!(
        (&answer["ips"][0]["address"], &answer["ips"][0]["gateway"]),
        (&json!("10.1.0.7/24"), &json!("10.1.0.1"))
    );
    assert_eq!(site.json(&import).1.as_array().unwrap().len(), 1, "what is imported is moved aside");
    assert!(books.join("blue.imported/fd00::7").exists());
    assert_eq!(site.run(&["fsck"]).0, 0);
    let (status, printed) = site.run(&["import", "--from", "kube-ipam-v0"]);
    assert!(status == 1 && printed.contains("etcdConfig"), "{printed}");
}

#[test]
fn the_doctor_names_what_is_wrong_and_the_way_out() {
    let verdicts = |site: &Site| -> (i32, Value) {
        let (status, checks) = site.json(&["doctor"]);
        let pairs = checks
            .as_array()
            .unwrap()
            .iter()
            .map(|check| (check["name"].as_str().unwrap().to_owned(), check["verdict"].clone()));
        (status, Value::Object(pairs.collect()))
    };
    let well = json!({"network": "good", "configuration": "good", "node": "good", "policy": "good", "cache": "good",
        "store": "good", "ranges": "good", "machine": "good", "books": "good", "predecessor": "good", "records": "good",
        "permissions": "good", "decision": "good"});
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24"}));
    assert_eq!(verdicts(&site), (0, well));
    let (_, printed) = site.run(&["doctor"]);
    assert!(
        printed.starts_with(&format!("✓ network        blue ({})\n✓ configuration", site.file().display()))
            && printed.contains("✓ policy         range-fixed, sha256"),
        "{printed}"
    );

    let ill = |ipam: Value, name: &str, verdict: &str, says: &str| {
        let site = Site::embedded(&ipam);
        site.call("ADD", "c1").run();
        let (status, found) = verdicts(&site);
        assert_eq!((status, &found[name]), (if verdict == "bad" { 2 } else { 1 }, &json!(verdict)), "{found}");
        let (_, printed) = site.run(&["doctor"]);
        assert!(printed.contains(says), "{printed}");
    };
    ill(json!({"subnet": "10.1.0.0/30"}), "ranges", "warning", "0 of 1 addresses free");
    ill(
        json!({"subnet": "10.1.0.0/24", "rangestart": "10.1.0.9"}),
        "configuration",
        "bad",
        "did you mean \"rangeStart\"",
    );
    ill(json!({"subnet": "10.1.0.0/33"}), "configuration", "bad", "10.1.0.0/33");
    ill(json!({"subnet": "10.1.0.0/24", "policy": {"module": "/absent.wasm"}}), "policy", "bad", "/absent.wasm");
    ill(json!({"subnet": "10.1.0.0/24", "dataDir": "/dev/null/absent"}), "store", "bad", "/dev/null/absent");
    ill(
        json!({"subnet": "10.1.0.0/24", "etcdConfig": {"etcdURL": "http://127.0.0.1:1"}}),
        "store",
        "bad",
        "127.0.0.1:1",
    );

    let site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24"}));
    site.add("c1");
    site.etcd().control(&["del", "/kube-ipam/v2/blue/c/c1/eth0"]);
    let (status, found) = verdicts(&site);
    assert_eq!((status, &found["records"], &found["store"]), (2, &json!("bad"), &json!("good")));
}

/// A range that is full keeps new pods from an address, and nothing else from anything: the node stays ready.
#[test]
fn a_full_range_is_a_warning() {
    for site in [Site::embedded(&json!({})), Site::on_etcd(&json!({}))] {
        let mut site = site;
        let log = site.directory.path().join("log");
        let ranges = json!([[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.2.0.0/30"}]]);
        for (key, value) in [("ranges", ranges), ("logFile", json!(log)), ("logLevel", json!("warn"))] {
            site.configuration["ipam"][key] = value;
        }
        let site = site.written();
        let held = site.add("c1");
        assert_eq!(held, "10.1.0.2,10.2.0.2");
        let (code, says) = site.call("ADD", "c2").run().failure();
        assert_eq!(code, 101, "{says}");
        let logged = fs::read_to_string(&log).unwrap();
        assert!(logged.contains("WARN") && logged.contains("a range set is full"), "{logged}");
        assert!(logged.contains("range_set=1 size=1 held=1") && !logged.contains("range_set=0"), "{logged}");
        site.call("STATUS", "").run().success();
        let (status, printed) = site.run(&["doctor"]);
        assert!(status == 1 && printed.contains("! ranges         range set 1: 0 of 1 addresses free"), "{printed}");
        assert_eq!(site.add("c1"), held, "whoever has an address is answered");
        site.call("DEL", "c1").run().success();
    }
}

#[test]
fn show_finds_addresses_pods_and_containers_by_how_they_begin() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24", "cooldown": "1h"}));
    site.call("ADD", "abcdef0123456789").for_pod("shop", "web", "u").run().success();
    site.call("ADD", "abcd").run().success();
    site.call("ADD", "gone").run().success();
    site.call("DEL", "gone").run().success();
    let found = |what: &str| -> Vec<Value> {
        let (_, rows) = site.json(&["show", what]);
        rows.as_array().unwrap().iter().map(|row| row["address"].clone()).collect()
    };
    for what in ["10.1.0.2", "shop/web", "abcdef0123456789", "abcdef01"] {
        assert_eq!(found(what), ["10.1.0.2"], "{what}");
    }
    assert_eq!(found("abcd"), ["10.1.0.3"], "what is written out is meant");
    assert_eq!(found("abc"), ["10.1.0.3", "10.1.0.2"], "in the order of the containers");
    assert!(["10.1.0.9", "shop/other", "bcdef", "gone"].iter().all(|what| found(what).is_empty()));
    let (status, printed) = site.run(&["show", "10.1.0.4"]);
    assert!(status == 0 && printed.starts_with("address    10.1.0.4 (cool-down)\nuntil      "), "{printed}");
    assert_eq!(site.json(&["show", "10.1.0.4"]).1[0]["kind"], "cool-down");
    let (status, printed) = site.run(&["show", "10.1.0.9"]);
    assert_eq!((status, printed.as_str()), (1, "no address found for 10.1.0.9\n"));
}

/// As the specification suggests for a plugin that somebody tries by hand.
#[test]
fn without_a_word_it_says_what_it_is_and_which_versions_it_speaks() {
    let output = Command::new(program()).env_clear().stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert!(
        told.starts_with("kube-ipam 0.") && told.contains("0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"),
        "{told}"
    );
}
