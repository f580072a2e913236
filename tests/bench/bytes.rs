//! What etcd has to carry: how much its database grows by an address that is held, and by each pod that starts and ends until
//! etcd is compacted. `BEFORE=FILE` measures an earlier program beside this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use kube_ipam_tests::Call;
use kube_ipam_tests::program::program;
use serde_json::{Value, json};

use crate::sample::time;
use crate::server::Server;

/// Enough that a page more or less does not show.
const PODS: u32 = 500;

/// Names as long as clusters have them: all that is written with a pod.
const CLUSTER: &str = "cd613e30-d8f1-4adf-91b7-584a2265b1f5";
const NAMESPACE: &str = "team-front";

pub(crate) fn print() {
    println!("\nbytes of etcd's database, {PODS} pods of forty characters, nodes of forty-four");
    print_bytes("this program", &program());
    if let Some(before) = std::env::var_os("BEFORE").filter(|file| !file.is_empty()).map(PathBuf::from) {
        print_bytes("before", &before);
    }
}

fn print_bytes(name: &str, program: &Path) {
    let server = Server::plain();
    let (held, started) = (bytes_held(&server, program), bytes_started(&server, program));
    println!("{name:<16} {held:>6.0} for a held address {started:>9.0} for each ADD + DEL until compaction");
}

fn bytes_held(server: &Server, program: &Path) -> f64 {
    // The first ADD writes what there is once: the registration, and the buckets of the database.
    time(&call("ADD", 0, server, program));
    compact(server);
    let before = in_use(server);
    for nth in 1..=PODS {
        time(&call("ADD", nth, server, program));
    }
    compact(server);
    (in_use(server) - before) / f64::from(PODS)
}

fn bytes_started(server: &Server, program: &Path) -> f64 {
    let before = in_use(server);
    for nth in PODS + 1..=2 * PODS {
        time(&call("ADD", nth, server, program));
        time(&call("DEL", nth, server, program));
    }
    (in_use(server) - before) / f64::from(PODS)
}

fn call(verb: &str, nth: u32, server: &Server, program: &Path) -> Call {
    let node = format!("ip-10-0-12-{}.eu-central-1.compute.internal", 34 + nth % 50);
    let network = server.network("/bytes", &json!({"subnet": "10.4.0.0/16", "cluster": CLUSTER, "nodeName": node}));
    // As many digits as a container's ID has, each as likely as any other.
    let digits = u128::from(nth).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let container = format!("{digits:032x}{:032x}", digits.wrapping_mul(digits));
    let name = format!("{:<40}", format!("storefront-{nth}-{:x}", digits >> 40)).replace(' ', "x");
    let uid = format!("{:08x}-93b4-4c7e-8a51-{:012x}", nth, digits >> 80);
    Call::new(verb, &container, &network).for_pod(NAMESPACE, &name[..40], &uid).of(program)
}

/// Forget the past, and give its room back.
fn compact(server: &Server) {
    let revision = status(server)["header"]["revision"].to_string();
    control(server, &["compact", "--physical", &revision]);
    control(server, &["defrag"]);
}

/// How much of the database is in use.
fn in_use(server: &Server) -> f64 {
    // etcd tells it as of its last commit to the disk, of which it makes ten a second.
    std::thread::sleep(std::time::Duration::from_millis(300));
    status(server)["dbSizeInUse"].as_f64().unwrap()
}

fn status(server: &Server) -> Value {
    let printed = control(server, &["endpoint", "status", "--write-out", "json"]);
    let mut status: Value = serde_json::from_slice(&printed).unwrap();
    status[0]["Status"].take()
}

fn control(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", server.url()]).args(arguments);
    let output = command.output().expect("etcdctl is missing: apt-get install etcd-client");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
