//! `docs/schemas`: what every command prints with `-o json` is what its schema says, whatever there is to print.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::guest::Guest;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::node::{Node, command};
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Documents, each with the name of its schema.
#[derive(Default)]
struct Printed(Vec<(String, Value)>);

impl Printed {
    fn add(&mut self, schema: &str, printed: &[u8]) -> Value {
        let text = String::from_utf8_lossy(printed);
        let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{schema}: {error}: {text}"));
        self.0.push((schema.to_owned(), document.clone()));
        document
    }

    /// What a command of a network prints. Its schema has the name of the command.
    fn of(&mut self, arguments: &[&str], network: &Value) -> Value {
        let output = operate(&[arguments, &["-o", "json"]].concat(), network);
        assert!(!output.stdout.is_empty(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        self.add(arguments[0], &output.stdout)
    }

    /// What does not fit.
    fn faults(&self) -> String {
        let mut validator = Command::new(Path::new(ROOT).join("tests/scripts/schemas"));
        let mut validator = validator.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        validator.stdin.take().unwrap().write_all(json!(self.0).to_string().as_bytes()).unwrap();
        String::from_utf8(validator.wait_with_output().unwrap().stderr).unwrap()
    }
}

/// A network with something of everything: pods and containers, both families, a range set of which no number of JSON tells
/// the size, a hold, a cool-down, reservations, and an address outside of today's ranges.
fn populated(node: &Node, server: &ApiServer) -> Value {
    let rules = [
        Rule { verbs: &["get", "list"], resources: &["pods", "nodes"] },
        Rule { verbs: &["get"], resources: &["namespaces"] },
    ];
    server.node("node-1");
    let mut network = node.network(json!({"module": node.guest("keeps_for_a_long_name")}));
    network["ipam"]["kubeConfig"] = json!(server.kubeconfig(&server.user("admin", &rules)));
    Call::new("ADD", "held-back", &network).run().success();
    Call::new("DEL", "held-back", &network).run().success();
    network["ipam"].as_object_mut().unwrap().remove("policy");
    network["ipam"]["cooldown"] = json!("1h");
    network["ipam"]["ranges"] = json!([[{"subnet": "10.0.1.0/24"}]]);
    Call::new("ADD", "outside", &network).run().success();
    network["ipam"]["ranges"] = json!([[{"subnet": "fd00::/64"}]]);
    for name in ["web-0", "gone"] {
        let uid = server.pod("shop", name).on("node-1").phase("Running").create();
        Call::new("ADD", name, &network).for_pod("shop", name, &uid).run().success();
    }
    server.delete_pod("shop", "gone");
    Call::new("ADD", "bare", &network).run().success();
    Call::new("ADD", "ended", &network).run().success();
    Call::new("DEL", "ended", &network).run().success();
    network
}

fn of_a_network(printed: &mut Printed, network: &Value, kubeconfig: &str) {
    let reserve = ["reserve", "10.0.0.100", "10.0.0.2", "--reason", "printer", "--by", "ops", "--yes"];
    printed.of(&reserve, network);
    printed.of(&["reserve", "10.0.0.101", "--reason", "scanner", "--by", "ops", "--dry-run"], network);
    let rows = printed.of(&["list"], network);
    let kinds: BTreeSet<&str> = rows.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["cool-down", "dynamic", "hold", "reservation"]));
    for what in ["10.0.0.2", "10.0.0.9", "10.0.0.100", "shop/web-0", "bare", "10.0.0.77"] {
        printed.of(&["show", what], network);
    }
    let ranges = printed.of(&["usage"], network);
    assert!(ranges[1]["size"].is_string() && ranges[2]["outside"] == 1, "{ranges}");
    for by in ["namespace", "node", "owner", "policy"] {
        printed.of(&["usage", "--by", by], network);
    }
    printed.of(&["map"], network);
    for what in ["shop/web-0", "10.0.0.100", "10.0.0.9", "bare"] {
        printed.of(&["history", what], network);
    }
    for what in ["shop/web-0", "shop/new"] {
        printed.of(&["explain", what], network);
    }
    printed.of(&["doctor"], network);
    printed.of(&["fsck"], network);
    printed.of(&["fsck", "--pods", "--kubeconfig", kubeconfig, "--grace", "0s"], network);
    printed.of(&["reclaim", "--kubeconfig", kubeconfig, "--grace", "0s", "--dry-run"], network);
    printed.of(&["reclaim", "--all", "--kubeconfig", kubeconfig, "--grace", "0s", "--pause", "0s", "--yes"], network);
    for what in ["bare", "10.0.0.9", "shop/web-0", "nobody"] {
        printed.of(&["release", what, "--dry-run"], network);
    }
    printed.of(&["release", "bare", "--force", "--yes"], network);
    printed.of(&["unreserve", "10.0.0.100", "--yes"], network);
}

#[test]
fn what_commands_print_is_what_their_schemas_say() {
    let (node, server) = (Node::new(), ApiServer::double());
    let network = populated(&node, &server);
    let kubeconfig = network["ipam"]["kubeConfig"].as_str().unwrap().to_owned();
    let mut printed = Printed::default();
    of_a_network(&mut printed, &network, &kubeconfig);

    moves(&mut printed);
    let file = node.conf(&network);
    let broken = node.write("broken.conf", br#"{"name": "blue", "type": "kube-ipam""#);
    for paths in [file.as_str(), broken.to_str().unwrap(), ROOT] {
        let output = command(&["config", "check", paths, "-o", "json"]).output().unwrap();
        printed.add("config-check", &output.stdout);
    }
    let doctor = command(&["doctor", "--conf", broken.to_str().unwrap(), "-o", "json"]).output().unwrap();
    assert_eq!(doctor.status.code(), Some(2), "no ADD works with a file that cannot be read");
    let checks = printed.add("doctor", &doctor.stdout);
    assert!(checks[0]["detail"].as_str().unwrap().contains("broken.conf"), "{checks}");
    modules(&mut printed, &node);

    let faults = printed.faults();
    assert_eq!(faults, "");
    let named: BTreeSet<String> = printed.0.iter().map(|(schema, _)| schema.clone()).collect();
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(Path::new(ROOT).join("docs/schemas")).unwrap() {
        all.insert(entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(named, all, "a schema that nothing is held against");

    // A validator that accepts everything would not help.
    let wrong = json!([{"name": "store", "verdict": "splendid", "detail": ""}]);
    assert!(Printed(vec![("doctor".to_owned(), wrong)]).faults().contains("splendid"));
}

/// Into and out of etcd, by another name, and from the predecessor.
fn moves(printed: &mut Printed) {
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.0.0.0/24"}));
    Call::new("ADD", "c1", &network).run().success();
    for (address, container) in [("10.0.0.2", "c0"), ("10.0.0.3", "c3"), ("nil", "c4")] {
        etcd.control(&["put", &format!("/etcd-cni/networks/blue/used/{address}"), container]);
    }
    printed.of(&["import", "--from", "kube-ipam-v0", "--dry-run"], &network);
    printed.of(&["import", "--from", "kube-ipam-v0", "--set-aside", "--yes"], &network);
    let export = etcd.directory().join("export.jsonl").display().to_string();
    assert!(operate(&["export", "--to", &export], &network).status.success());
    printed.of(&["import", "--from", "export", "--file", &export, "--dry-run"], &network);
    let mut green = network.clone();
    green["name"] = json!("green");
    let conf = etcd.directory().join("green.conf");
    fs::write(&conf, green.to_string()).unwrap();
    for how in ["--dry-run", "--yes"] {
        let renamed = ["rename", "blue", "green", how, "-o", "json", "--conf", conf.to_str().unwrap()];
        printed.add("rename", &command(&renamed).output().unwrap().stdout);
    }
    etcd.control(&["put", "/kube-ipam/v2/green/a/4/0a000009", "nonsense"]);
    printed.of(&["fsck"], &green);
}

fn modules(printed: &mut Printed, node: &Node) {
    let good = node.guest("good");
    fs::write(node.path("large.wasm"), Guest::named("other_package_version").module()).unwrap();
    for module in [&good, &node.path("large.wasm")] {
        let inspected = Command::new(program()).args(["policy", "inspect", "-o", "json"]).arg(module).output().unwrap();
        printed.add("policy-inspect", &inspected.stdout);
    }
    let network = node.network(json!({"module": node.path("modules/good.wasm")}));
    let install = [node.install_arguments(&good, &network), vec!["-o".to_owned(), "json".to_owned()]].concat();
    let install: Vec<&str> = install.iter().map(String::as_str).collect();
    printed.add("policy-install", &command(&install).output().unwrap().stdout);
    let listed = command(&["policy", "ls", "--dir", node.path("").to_str().unwrap(), "-o", "json"]).output().unwrap();
    printed.add("policy-ls", &listed.stdout);
}
