//! Who had an address, and when: over both stores, by runtimes and by operators; and that no call depends on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::node::{Node, command, printed};
use kube_ipam_tests::program::{self, network};
use kube_ipam_tests::{Call, is_root};
use serde_json::{Value, json};

/// A history of few addresses, with this network.
struct Past {
    node: Node,
    network: Value,
}

impl Past {
    fn new(network: Value, node: Node) -> Self {
        Self { node, network }
    }

    fn embedded() -> Self {
        let node = Node::new();
        let network = network(&node.path("data"), &json!({"subnet": "10.1.0.0/29"}));
        Self::new(network, node)
    }

    fn journal(&self) -> PathBuf {
        self.node.path("data/history.jsonl")
    }

    fn call(&self, verb: &str, container: &str, pod: &str) -> Call {
        Call::new(verb, container, &self.network).for_pod("shop", pod, &format!("uid-of-{pod}"))
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let conf = self.node.conf(&self.network);
        self.node.run(&[arguments, &["--conf", &conf]].concat())
    }

    /// What is known of an address, a pod or a container.
    fn report(&self, subject: &[&str]) -> Value {
        let (_, printed) = self.run(&[&["history", "-o", "json"], subject].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// Each tenure as `container end: began, ended`.
    fn told(&self, subject: &[&str]) -> Vec<String> {
        let report = self.report(subject);
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let tenure = |tenure: &Value| {
            let [who, end] = [&tenure["container"], &tenure["end"]].map(text);
            format!("{who} {end}: {}, {}", text(&tenure["began"]["what"]), text(&tenure["ended"]["what"]))
        };
        report["tenures"].as_array().unwrap().iter().map(tenure).collect()
    }
}

/// The bytes of a journal that a call has left.
fn lines(journal: &Path) -> Vec<String> {
    let text = fs::read_to_string(journal).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn an_address_is_followed_from_pod_to_pod() {
    let etcd = Setup::single().start();
    let on_etcd = |past: &mut Past| past.network["ipam"]["etcdConfig"] = etcd.section();
    let mut sites = [Past::embedded(), Past::embedded()];
    on_etcd(&mut sites[1]);
    for past in sites {
        past.call("ADD", "c1", "web").run().success();
        past.call("ADD", "c2", "web").run().success();
        past.call("DEL", "c2", "web").run().success();
        past.call("ADD", "c3", "db").run().success();
        let all = past.told(&["shop/web"]);
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[0], "c1 at: claimed, replaced");
        assert_eq!(all[1], "c2 at: claimed, released");
        let (status, table) = past.run(&["history", "c3"]);
        assert!(status == Some(0) && table.starts_with("FROM") && table.contains("now"), "{table}");
        assert!(table.contains("shop/db") && table.contains("note: the journal of node node-1 begins at "), "{table}");

        let mut gc = past.network.clone();
        gc["cni.dev/valid-attachments"] = json!([]);
        Call::new("GC", "", &gc).run().success();
        assert_eq!(past.told(&["c3"]), ["c3 at: claimed, collected"]);
        let from = past.report(&["c3"])["tenures"][0]["from"].as_str().unwrap().to_owned();
        assert_eq!(past.told(&["c3", "--at", &from]).len(), 1);
        assert_eq!(past.told(&["c3", "--at", "0s"]).len(), 0, "nobody has it now");
        let (status, printed) = past.run(&["history", "shop/web", "--at", "2000-01-01T00:00"]);
        assert!(status == Some(1) && printed.contains("after the time asked for"), "{printed}");
        assert_eq!(past.run(&["history", "10.1.0.6"]).0, Some(1), "nobody ever had it");
    }
}

#[test]
fn operators_leave_a_line_with_who_and_why() {
    let past = Past::embedded();
    past.call("ADD", "c1", "web").run().success();
    let conf = past.node.conf(&past.network);
    let act = |arguments: &[&str]| {
        let mut command = command(&[arguments, &["--yes", "--conf", &conf]].concat());
        let output = command.env("KUBE_IPAM_OPERATOR", "ann").output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
    };
    act(&["release", "c1", "--force", "--reason", "its node burnt"]);
    act(&["reserve", "10.1.0.4-10.1.0.5", "--reason", "printers"]);
    act(&["unreserve", "10.1.0.4", "--by", "bob", "--reason", "sold"]);
    let released = &past.report(&["c1"])["tenures"][0]["ended"];
    assert_eq!(*released, json!({"what": "released-by-hand", "by": "ann", "reason": "its node burnt"}));
    let reserved = past.report(&["10.1.0.4"])["tenures"].clone();
    assert_eq!(reserved[0]["began"], json!({"what": "reserved", "by": "ann", "reason": "printers"}));
    assert_eq!(reserved[0]["ended"], json!({"what": "unreserved", "by": "bob", "reason": "sold (printers)"}));
    assert_eq!(past.told(&["10.1.0.5"]), ["- held: reserved, -"]);
    let before = lines(&past.journal());
    past.run(&["reserve", "10.1.0.4", "--reason", "again", "--dry-run"]);
    assert_eq!(lines(&past.journal()), before, "what is not done is not told");
}

#[test]
fn nodes_that_share_a_store_keep_a_part_each() {
    let etcd = Setup::single().start();
    let at = |node: &str| {
        let mut past = Past::embedded();
        past.network["ipam"]["etcdConfig"] = etcd.section();
        past.network["ipam"]["nodeName"] = json!(node);
        past
    };
    let (one, two) = (at("node-1"), at("node-2"));
    one.call("ADD", "c1", "web").run().success();
    one.call("DEL", "c1", "web").run().success();
    let address = one.report(&["c1"])["tenures"][0]["address"].as_str().unwrap().to_owned();
    two.call("ADD", "c2", "db").with("CNI_ARGS", &format!("IgnoreUnknown=1;IP={address}")).run().success();
    assert_eq!(two.told(&[&address]), ["c2 held: claimed, -"]);
    let gaps = two.report(&[&address])["gaps"].to_string();
    assert!(gaps.contains(&format!("other nodes were not asked; `kubectl kube-ipam history {address}`")), "{gaps}");

    let (_, raw) = one.run(&["history", &address, "--raw"]);
    assert!(raw.starts_with("{\"journalOf\":\"node-1\""), "{raw}");
    let silent = "{\"journalOf\":\"node-3\",\"silent\":\"it is gone\"}\n";
    let file = two.node.write("others", (raw + silent).as_bytes());
    let all = two.report(&[&address, "--journal", file.to_str().unwrap()]);
    assert_eq!(all["tenures"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(all["tenures"][0]["pod"]["name"], "web");
    let gaps = all["gaps"].to_string();
    assert!(gaps.contains("the journal of node node-3 was not read: it is gone"), "{gaps}");
    assert!(!gaps.contains("were not asked"), "{gaps}");
    // Through a pipe, as the plugin of kubectl does it.
    let conf = two.node.conf(&two.network);
    let mut piped = command(&["history", &address, "--journal", "-", "--conf", &conf]);
    let output = piped.stdin(File::open(file).unwrap()).output().unwrap();
    assert!(printed(&output).contains("shop/web"), "{}", printed(&output));
}

#[test]
fn a_line_that_was_cut_is_a_gap_and_no_more() {
    let past = Past::embedded();
    past.call("ADD", "c1", "web").run().success();
    past.call("DEL", "c1", "web").run().success();
    let whole = fs::read(past.journal()).unwrap();
    fs::write(past.journal(), &whole[..whole.len() - 30]).unwrap();
    past.call("ADD", "c2", "db").run().success();
    assert_eq!(past.told(&["c1"]), ["c1 not-after: claimed, -"], "somebody else had it, or nobody");
    assert_eq!(past.told(&["c2"]), ["c2 held: claimed, -"]);
    let gaps = past.report(&["c1"])["gaps"].to_string();
    assert!(gaps.contains("1 line of the journal of node node-1 cannot be read"), "{gaps}");
    // The line of a release alone says when the claim began.
    fs::remove_file(past.journal()).unwrap();
    past.call("DEL", "c2", "db").run().success();
    let known = past.report(&["c2"])["tenures"][0].clone();
    assert!(known["from"].is_string() && known["ended"]["what"] == "released", "{known}");
}

#[test]
fn calls_at_once_lose_no_line_and_a_full_journal_is_put_aside() {
    let mut past = Past::embedded();
    past.network["ipam"]["subnet"] = json!("10.1.0.0/24");
    past.network["ipam"]["historyMiB"] = json!(1);
    past.call("ADD", "c0", "first").run().success();
    let line = lines(&past.journal()).remove(0);
    fs::write(past.journal(), format!("\n{line}").repeat((1 << 19) / line.len())).unwrap();
    let add = |nth: usize| past.call("ADD", &format!("c{nth}"), &format!("web-{nth}"));
    for call in (1..=16).map(|nth| add(nth).start()).collect::<Vec<_>>() {
        program::wait(call).success();
    }
    let older = past.journal().with_extension("jsonl.1");
    let all = [lines(&older), lines(&past.journal())].concat();
    for nth in 0..=16 {
        let of_container = format!("\"container\":\"c{nth}\"");
        assert!(all.iter().any(|line| line.contains(&of_container)), "{nth}");
        assert_eq!(past.told(&[&format!("shop/web-{nth}")]).len(), usize::from(nth > 0), "{nth}");
    }
    assert!(fs::metadata(past.journal()).unwrap().len() < 1 << 19);
    for line in all {
        serde_json::from_str::<Value>(&line).unwrap();
    }
}

#[test]
fn no_call_fails_for_want_of_its_history() {
    if !is_root("a disk that is full, and one that is read-only") {
        return;
    }
    let mut past = Past::embedded();
    let log = past.node.path("log");
    past.network["ipam"]["logFile"] = json!(log);
    past.call("ADD", "c1", "web").run().success();
    let (journal, disk) = (past.journal().display().to_string(), past.node.path("disk").display().to_string());
    fs::create_dir(&disk).unwrap();
    let full = format!(
        "mount -t tmpfs -o size=64k tmpfs {disk} && head -c 100000 /dev/zero >{disk}/journal 2>{disk}/error; mount --bind {disk}/journal {journal}"
    );
    let read_only = format!("mount --bind {journal} {journal} && mount -o remount,ro,bind {journal}");
    for (nth, trouble) in [full, read_only].iter().enumerate() {
        let pod = format!("web-{nth}");
        let answer = past.call("ADD", &format!("other-{nth}"), &pod).after(trouble).run();
        assert!(answer.success()["ips"].is_array() && answer.stderr.is_empty(), "{answer:?}");
        let told = fs::read_to_string(&log).unwrap();
        let lines = told.matches("the history is not written").count();
        assert_eq!(lines, nth + 1, "the log says so: {told}");
        // The store knows who has it, and since when.
        assert_eq!(past.told(&[&format!("shop/{pod}")]), [format!("other-{nth} held: -, -")]);
    }
}

#[test]
fn a_history_can_be_switched_off_and_a_wrong_size_is_refused_by_an_add_alone() {
    let mut past = Past::embedded();
    past.network["ipam"]["historyMiB"] = json!(0);
    past.call("ADD", "c1", "web").run().success();
    assert!(!past.journal().exists());
    let (status, printed) = past.run(&["history", "c1"]);
    assert!(status == Some(0) && printed.contains("network blue keeps no history (historyMiB)"), "{printed}");
    for wrong in [json!("much"), json!(9_999)] {
        past.network["ipam"]["historyMiB"] = wrong;
        let (code, says) = past.call("ADD", "c2", "db").run().failure();
        assert!((6..=7).contains(&code) && says.contains("ipam.historyMiB"), "{code} {says}");
        past.call("DEL", "c1", "web").run().success();
    }
}

#[test]
fn a_store_that_is_silent_hides_no_journal() {
    let etcd = Setup::single().start();
    let mut past = Past::embedded();
    past.network["ipam"]["etcdConfig"] = etcd.section();
    past.call("ADD", "c1", "web").run().success();
    past.call("DEL", "c1", "web").run().success();
    past.network["ipam"]["timeout"] = json!("1s");
    let address = past.report(&["c1"])["tenures"][0]["address"].as_str().unwrap().to_owned();
    etcd.kill(0);
    let conf = past.node.conf(&past.network);
    let mut command = Command::new(program::program());
    let arguments = ["history", &address, "--conf", &conf];
    let output = command.args(arguments).env_remove("CNI_COMMAND").stdin(Stdio::null()).output().unwrap();
    let printed = printed(&output);
    assert!(printed.contains("who has it today is not known") && printed.contains("shop/web"), "{printed}");
}
