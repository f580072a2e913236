//! The embedded store, beside host-local with its files on the same disk.

use std::path::Path;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::network;
use serde_json::{Value, json};

use crate::phases;
use crate::sample::{self, HOST_LOCAL, Pairs, ROUNDS, fill, header, host_local, time, time_refusal};

pub(crate) fn print() {
    header("host-local");
    version();
    for held in [0, 250, 5_000, 10_000] {
        add_and_del(held);
    }
    refusal();
    println!();
    phases::print();
    let directory = tempfile::tempdir().unwrap();
    let call = Call::new("ADD", "peak", &network(directory.path(), &json!({"subnet": "10.4.0.0/14"})));
    println!("\npeak memory of an ADD: {:.1} MB", sample::peak_memory_mb(&call));
}

fn version() {
    let ours = Call::new("VERSION", "", &Value::Null).stdin("{\"cniVersion\":\"1.0.0\"}");
    let theirs = ours.clone().of(HOST_LOCAL);
    let nothing = ours.clone().of(Path::new(&std::env::args().next().unwrap()).with_file_name("nothing"));
    let mut pairs = Pairs::default();
    let mut floor = Pairs::default();
    for _ in 0..ROUNDS {
        pairs.push(time(&ours), time(&theirs));
        floor.push(time(&nothing), time(&ours));
    }
    floor.print("a process that does nothing");
    pairs.print("VERSION");
}

fn add_and_del(held: usize) {
    let ours = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    let our_network = network(ours.path(), &json!({"subnet": "10.4.0.0/14"}));
    let their_network = host_local(theirs.path());
    fill(&our_network, held);
    sample::fill_host_local(theirs.path(), held);

    let mut add = Pairs::default();
    let mut del = Pairs::default();
    let rounds = if held > 1_000 { ROUNDS / 4 } else { ROUNDS };
    for n in 0..rounds {
        let name = format!("bench-{n}");
        let call = |verb| Call::new(verb, &name, &our_network);
        let their_call = |verb| Call::new(verb, &name, &their_network).of(HOST_LOCAL);
        add.push(time(&call("ADD")), time(&their_call("ADD")));
        del.push(time(&call("DEL")), time(&their_call("DEL")));
    }
    add.print(&format!("ADD with {held} held"));
    del.print(&format!("DEL with {held} held"));
}

/// A /24 with nothing left.
fn refusal() {
    let ours = tempfile::tempdir().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    let our_network = network(ours.path(), &json!({"subnet": "10.4.0.0/24"}));
    let mut their_network = host_local(theirs.path());
    their_network["ipam"]["ranges"] = json!([[{"subnet": "10.4.0.0/24"}]]);
    fill(&our_network, 253);
    sample::fill_host_local(theirs.path(), 253);
    let mut pairs = Pairs::default();
    for _ in 0..ROUNDS {
        let call = Call::new("ADD", "one-too-many", &our_network);
        let their_call = Call::new("ADD", "one-too-many", &their_network).of(HOST_LOCAL);
        pairs.push(time_refusal(&call), time_refusal(&their_call));
    }
    pairs.print("refusal of a full /24");
}
