//! What commands tell: of every network of a file, of addresses outside today's ranges, and never what a name would do to a
//! terminal.

use std::fs;
use std::process::{Command, Stdio};

use kube_ipam_tests::program;
use serde_json::{Value, json};

use super::Site;

/// Clears the screen, begins a line of its own and turns the rest around.
const WICKED: &str = "e\x1b[2J\u{202e}";

fn is_harmless(text: &str) -> bool {
    text.chars().all(|character| (!character.is_control() || character == '\n') && character != '\u{202e}')
}

#[test]
fn what_an_interface_is_called_reaches_no_terminal() {
    let mut site = Site::embedded(&json!({"subnet": "10.1.0.0/30", "logLevel": "debug"}));
    let log = site.directory.path().join("log");
    site.configuration["ipam"]["logFile"] = json!(log);
    let site = site.written();
    site.call("ADD", "c1").with("CNI_IFNAME", WICKED).run().success();
    for arguments in [&["list"][..], &["list", "-o", "json"], &["show", "c1"], &["show", "10.1.0.2"], &["fsck"]] {
        let (status, printed) = site.run(arguments);
        assert!(status == 0 && is_harmless(&printed), "{arguments:?}: {printed:?}");
    }
    let (_, table) = site.run(&["list"]);
    assert!(table.contains("e\\u{1b}[2J\\u{202e}"), "{table}");
    assert_eq!(site.listed()[0]["interface"], WICKED, "JSON means what is there");

    let mut check = site.configuration.clone();
    check["prevResult"] = json!({"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.3/30"}]});
    let call = kube_ipam_tests::Call::new("CHECK", "c1", &check).with("CNI_IFNAME", WICKED);
    let (code, says) = call.run().failure();
    assert!(code == 106 && says.contains("interface e\\u{1b}[2J") && is_harmless(&says), "{says:?}");
    let (code, says) = site.call("ADD", "c2").with("CNI_IFNAME", "two\nlines").run().failure();
    assert!(code == 4 && is_harmless(&says) && !says.contains('\n'), "{says:?}");

    site.call("DEL", "c1").with("CNI_IFNAME", WICKED).run().success();
    assert_eq!(site.listed(), json!([]));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("e\\u") && is_harmless(&log), "{log:?}");
}

/// Whoever can write to the store, or to a pod's name, writes into no terminal.
#[test]
fn what_the_store_holds_reaches_no_terminal() {
    let site = Site::on_etcd(&json!({"subnet": "10.1.0.0/24"}));
    site.add("c1");
    let (key, name) = ("/kube-ipam/v2/blue/a/4/0a010009", "web\u{9b}2J\n✓ records agree");
    let record = json!({
        "a": "10.1.0.9", "c": "c9", "w": "blue", "n": name, "p": format!("shop/{name}"), "t": "2026-01-01T00:00:00Z",
    });
    site.etcd().control(&["put", key, &record.to_string()]);
    for arguments in [&["list"][..], &["show", "10.1.0.9"], &["fsck"], &["doctor"]] {
        let (_, printed) = site.run(arguments);
        let forged = printed.lines().any(|line| line.starts_with("✓ records agree"));
        assert!(printed.contains("10.1.0.9") && is_harmless(&printed) && !forged, "{arguments:?}: {printed}");
    }
}

#[test]
fn an_address_may_carry_its_prefix_and_nothing_is_no_name() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24"}));
    site.add("c1");
    let (status, printed) = site.run(&["show", "10.1.0.2/24"]);
    assert!(status == 0 && printed.contains("container  c1"), "{printed}");
    for what in ["", " ", "shop/", "/web", "10.1.0.2/33"] {
        for command in ["show", "release"] {
            let (status, printed) = site.run(&[command, what]);
            assert!(status == 2 && printed.contains("expected an address"), "{command} {what:?}: {printed}");
        }
    }
    let (status, printed) = site.run(&["release", "10.1.0.2/24", "--dry-run", "--force"]);
    assert!(status == 0 && printed.contains("10.1.0.2"), "{printed}");
}

/// A file as some main plugins have it: a network within a network.
#[test]
fn a_file_of_two_networks_is_told_whole() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24"}));
    let mut green = site.configuration.clone();
    green["name"] = json!("green");
    green["ipam"]["subnet"] = json!("10.2.0.0/29");
    let both =
        json!({"cniVersion": "1.1.0", "name": "both", "type": "multus", "delegates": [site.configuration, green]});
    fs::write(site.file(), both.to_string()).unwrap();
    site.add("c1");
    kube_ipam_tests::Call::new("ADD", "c2", &green).run().success();

    let networks: Vec<Value> = site.listed().as_array().unwrap().iter().map(|row| row["network"].clone()).collect();
    assert_eq!(networks, ["blue", "green"]);
    let (_, rows) = site.json(&["usage"]);
    assert_eq!(
        (&rows[0]["network"], &rows[1]["network"], rows.as_array().unwrap().len()),
        (&json!("blue"), &json!("green"), 2)
    );
    for (what, network) in [("10.1.0.2", "blue"), ("10.2.0.2", "green"), ("c2", "green")] {
        assert_eq!(site.json(&["show", what]).1[0]["network"], network, "{what}");
    }
    assert_eq!(
        site.run(&["fsck"]),
        (0, "network blue: all records are consistent\nnetwork green: all records are consistent\n".into())
    );
    let (status, printed) = site.run(&["doctor"]);
    assert!(status == 0 && printed.contains("network blue: range set 0: "), "{printed}");
    assert!(printed.contains("network green: range set 0: 4 of 5 addresses free"), "{printed}");
    let (_, printed) = site.run(&["release", "c1", "--dry-run", "--force"]);
    assert!(printed.contains("there are several networks") && printed.contains("--network green`"), "{printed}");

    // Two of one domain have their addresses in one place, which is told once.
    let mut both = both;
    for nth in 0..2 {
        both["delegates"][nth]["ipam"]["domain"] = json!("shared");
    }
    fs::write(site.file(), both.to_string()).unwrap();
    kube_ipam_tests::Call::new("ADD", "c3", &both["delegates"][1]).run().failure();
    assert_eq!(site.listed(), json!([]));
    assert_eq!(site.run(&["fsck"]).1, "all records are consistent\n");
}

#[test]
fn the_doctor_names_what_is_held_outside_the_subnets_of_today() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/24"}));
    site.call("ADD", "c1").for_pod("shop", "web", "u").run().success();
    site.add("c2");
    let (status, printed) = site.run(&["doctor"]);
    assert!(status == 0 && !printed.contains("outside"), "{printed}");
    let mut moved = site;
    moved.configuration["ipam"]["subnet"] = json!("10.2.0.0/24");
    let moved = moved.written();
    let (status, printed) = moved.run(&["doctor"]);
    assert!(
        printed
            .contains("2 addresses are held outside the subnets of the network (for example 10.1.0.2 by pod shop/web)"),
        "{status} {printed}"
    );
}

/// One of its pods is started at the end of a pipeline, and so in a shell of its own.
#[test]
fn the_demo_leaves_no_namespace_behind() {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo");
    let mut command = Command::new(demo);
    let child = command.env("KUBE_IPAM", program()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let its = format!("kube-ipam-demo-{}", child.id());
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("Done."), "{text}");
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains(&its), "{its}");
}
