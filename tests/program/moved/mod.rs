//! Whose addresses are whose: machines that share a name, and networks whose configuration names other books than before.

mod embedded;
mod machines;
mod moves;

use std::process::Output;

use kube_ipam_tests::Call;
use kube_ipam_tests::listing::operate;
use serde_json::{Value, json};

fn add(container: &str, network: &Value) -> Call {
    Call::new("ADD", container, network)
}

fn del(container: &str, network: &Value) -> Call {
    Call::new("DEL", container, network)
}

/// GC of a runtime that knows these containers.
fn gc(valid: &[&str], network: &Value) -> Call {
    let mut network = network.clone();
    let known = valid.iter().map(|container| json!({"containerID": container, "ifname": "eth0"}));
    network["cni.dev/valid-attachments"] = known.collect();
    Call::new("GC", "", &network)
}

/// The same network with another `ipam` section in part; `null` removes a key.
fn with(network: &Value, ipam: &Value) -> Value {
    let mut changed = network.clone();
    for (key, value) in ipam.as_object().unwrap() {
        changed["ipam"][key] = value.clone();
    }
    changed
}

/// An ADD and STATUS that are refused for other books; what the ADD says.
fn refused(container: &str, network: &Value) -> String {
    let (code, told) = Call::new("STATUS", "", network).run().failure();
    assert!(code == 50 && told.contains("given out twice"), "{code} {told}");
    refused_add(container, network)
}

/// An ADD that is refused where STATUS, which only glances at other books, may see nothing.
fn refused_add(container: &str, network: &Value) -> String {
    let (code, text) = add(container, network).run().failure();
    assert_eq!(code, 7, "{text}");
    assert!(text.len() < 700 && text.contains("given out twice") && text.contains("kube-ipam import"), "{text}");
    let doctor = operate(&["doctor"], network);
    assert!(!doctor.status.success() && printed(&doctor).contains("✗ books"), "{}", printed(&doctor));
    del(container, network).run().success();
    text
}

/// CHECK of what an ADD answered.
fn check(container: &str, answer: &Value, network: &Value) -> Call {
    let mut network = network.clone();
    network["prevResult"] = answer.clone();
    Call::new("CHECK", container, &network)
}

/// An import from former books; its exit status and each address with what became of it.
fn import(network: &Value, options: &[&str]) -> (i32, Vec<(String, String)>) {
    let output = operate(&[&["import", "--from", "kube-ipam", "--yes", "-o", "json"], options].concat(), network);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", printed(&output)));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let rows = rows.as_array().unwrap().iter().map(|row| (text(row, "address"), text(row, "action"))).collect();
    (output.status.code().unwrap(), rows)
}

fn rows(action: &str, addresses: &[&str]) -> Vec<(String, String)> {
    addresses.iter().map(|address| ((*address).to_owned(), action.to_owned())).collect()
}

fn assert_sound(network: &Value) {
    let output = operate(&["fsck"], network);
    assert!(output.status.success(), "{}", printed(&output));
}

fn printed(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
