//! Several networks on one node: what reads shows all, what writes is told which, and every command that is printed works.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube_ipam_tests::program::network;
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory of networks: blue and green share a store and a domain, red has its own.
struct Node {
    directory: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(node.net_d()).unwrap();
        node.write("10-blue.conf", "blue", &json!({"subnet": "10.1.0.0/24", "domain": "shared"}), "one");
        node.write("20-red.conf", "red", &json!({"subnet": "10.1.0.0/24"}), "two");
        node.write("30-green.conf", "green", &json!({"subnet": "10.1.0.0/24", "domain": "shared"}), "one");
        fs::write(node.net_d().join("40-other.conf"), r#"{"name": "lo", "type": "loopback"}"#).unwrap();
        for (file, container) in [("10-blue.conf", "c1"), ("20-red.conf", "c2"), ("30-green.conf", "c3")] {
            let configuration: Value =
                serde_json::from_str(&fs::read_to_string(node.net_d().join(file)).unwrap()).unwrap();
            Call::new("ADD", container, &configuration).for_pod("shop", container, "u").run().success();
        }
        node
    }

    fn net_d(&self) -> PathBuf {
        self.directory.path().join("net.d")
    }

    fn write(&self, file: &str, name: &str, ipam: &Value, store: &str) {
        let mut configuration = network(&self.directory.path().join(store), ipam);
        configuration["name"] = json!(name);
        fs::write(self.net_d().join(file), configuration.to_string()).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let directory = self.net_d().display().to_string();
        run(Command::new(program()).args(arguments).args(["--conf", &directory]))
    }

    fn containers(&self, arguments: &[&str]) -> Vec<String> {
        let (status, printed) = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(status, 0, "{printed}");
        let rows: Value = serde_json::from_str(&printed).unwrap();
        rows.as_array().unwrap().iter().map(|row| row["container"].as_str().unwrap().to_owned()).collect()
    }
}

fn run(command: &mut Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), printed)
}

/// The commands between backticks, each as a shell would run it.
fn commands_in(printed: &str) -> Vec<String> {
    let pieces = printed.split('`').skip(1).step_by(2).filter_map(|piece| piece.strip_prefix("kube-ipam "));
    pieces.map(|arguments| format!("{} {arguments}", program().display())).collect()
}

#[test]
fn what_reads_shows_every_network_and_what_is_shared_once() {
    let node = Node::new();
    assert_eq!(node.containers(&["list"]), ["c1", "c3", "c2"]);
    assert_eq!(node.containers(&["list", "--network", "red"]), ["c2"]);
    assert_eq!(node.containers(&["list", "--network", "green", "--network", "blue"]), ["c1", "c3"]);
    assert_eq!(node.containers(&["show", "shop/c2"]), ["c2"]);
    let (status, printed) = node.run(&["show", "shop/c2", "--network", "blue"]);
    assert!(status == 1 && printed.contains("no address found"), "{printed}");
    // An address of each of two domains.
    assert_eq!(node.containers(&["show", "10.1.0.2"]), ["c1", "c2"]);
    let (_, printed) = node.run(&["usage"]);
    assert_eq!(printed.lines().count(), 4, "each network has its ranges: {printed}");
    let (status, printed) = node.run(&["list", "--network", "reds"]);
    assert!(status == 1 && printed.contains("\"blue\", \"red\", \"green\""), "{printed}");
    assert!(printed.contains("did you mean --network red?"), "{printed}");
    let (status, printed) = node.run(&["list", "--network", "red", "--all"]);
    assert!(status == 2 && printed.contains("cannot be used with"), "{printed}");
}

#[test]
fn the_doctor_says_first_what_it_looked_at() {
    let node = Node::new();
    let net_d = node.net_d().display().to_string();
    let (status, printed) = node.run(&["doctor", "--cache-dir", "/nonexistent"]);
    let first = format!(
        "✓ network        blue ({net_d}/10-blue.conf), red ({net_d}/20-red.conf), green ({net_d}/30-green.conf)\n"
    );
    assert!(status == 0 && printed.starts_with(&first) && printed.contains("network red: range set 0"), "{printed}");
    let (_, printed) = node.run(&["doctor", "--network", "red", "--cache-dir", "/nonexistent"]);
    assert!(printed.starts_with(&format!("✓ network        red ({net_d}/20-red.conf)\n")), "{printed}");
    assert!(!printed.contains("blue"), "{printed}");
}

/// Each of the commands that a refusal prints is pasted into a shell.
#[test]
fn what_writes_refuses_to_choose_and_prints_the_command_for_each() {
    let node = Node::new();
    let (status, printed) = node.run(&["release", "10.1.0.2", "--yes", "--force"]);
    assert!(status == 1 && printed.contains("several networks") && printed.contains("--all"), "{printed}");
    let commands = commands_in(&printed);
    assert_eq!(commands.len(), 2, "blue and green are one place: {printed}");
    assert_eq!(node.containers(&["list"]).len(), 3, "nothing is released");
    let (status, printed) = run(Command::new("sh").args(["-c", &commands[1]]));
    assert!(status == 0 && printed.contains("1 of 1 released"), "{printed}");
    assert_eq!(node.containers(&["list"]), ["c1", "c3"], "red's address is released, and blue's is not");

    for command in [
        &["reclaim", "--dry-run"][..],
        &["import", "--from", "host-local", "/nonexistent"],
        &["fsck", "--repair"],
        &["policy", "install", "/nonexistent.wasm"],
    ] {
        let (status, printed) = node.run(command);
        assert!(status == 1 && printed.contains("several networks"), "{command:?}: {printed}");
    }
    let (status, printed) = node.run(&["fsck", "--repair", "--all"]);
    assert!(status == 0 && printed.contains("network red: all records are consistent"), "{printed}");
    // The beginning of a container's ID has to be of one container in all of them.
    let (status, printed) = node.run(&["release", "c", "--all", "--yes", "--force"]);
    assert!(status == 1 && printed.contains("more than one container"), "{printed}");
    let (status, printed) = node.run(&["release", "c3", "--all", "--yes", "--force"]);
    assert!(status == 0 && printed.contains("1 of 1 released"), "{printed}");
    assert_eq!(node.containers(&["list"]), ["c1"]);
}

/// In mounts of its own, so that the files are where a node has them.
#[test]
fn without_options_the_networks_of_the_node_are_meant() {
    let node = Node::new();
    let script = "mount -t tmpfs none /etc && mkdir -p /etc/cni/net.d && cp \"$1\"/* /etc/cni/net.d && shift && exec \"$0\" \"$@\"";
    let on_node = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        run(command.args(["--mount", "sh", "-c", script]).arg(program()).arg(node.net_d()).args(arguments))
    };
    let (status, printed) = on_node(&["show", "shop/c2"]);
    assert!(status == 0 && printed.contains("network    red"), "{printed}");
    let (status, printed) = on_node(&["release", "shop/c2", "--dry-run"]);
    assert!(status == 1 && printed.contains("`kube-ipam release shop/c2 --dry-run --network red`"), "{printed}");
    // A hint carries the network that it speaks of.
    let cache = node.directory.path().join("cache");
    fs::create_dir_all(cache.join("results")).unwrap();
    let (_, printed) =
        on_node(&["fsck", "--containers", "--cache-dir", cache.to_str().unwrap(), "--grace", "0s", "--network", "red"]);
    assert!(printed.contains("c2"), "{printed}");
}
