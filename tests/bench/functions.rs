//! Which functions the plugin runs, in the order in which it first comes to them: the program is linked in this order. Each
//! verb is followed step by step, which takes a thousand times as long as it does alone.
//!
//! `functions PROGRAM MAP` prints a line for each: its size in hexadecimal digits, and its name without the hash.
#![allow(
    clippy::unwrap_used,
    reason = "a tool of developers: whatever is missing, it has nothing better to do than stop"
)]
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kube_ipam_tests::etcd::Setup;
use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Address, size and name of a function.
struct Function<'a> {
    address: u64,
    size: &'a str,
    name: &'a str,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, map] = &arguments[..] else { panic!("usage: functions PROGRAM MAP") };
    let map = std::fs::read_to_string(map).unwrap();
    let functions = functions(&map);
    let directory = tempfile::tempdir().unwrap();
    let etcd = Setup::single().start();
    let stores = [
        json!({"dataDir": directory.path().join("data")}),
        json!({"dataDir": directory.path().join("notes"), "etcdConfig": {"etcdURL": etcd.endpoints().join(",")}}),
    ];
    let pod = |container: &str| format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}");
    let mut printed = HashSet::new();
    for store in stores {
        for (verb, container, args) in [
            ("VERSION", "c1", String::new()),
            ("ADD", "c1", pod("c1")),
            ("ADD", "c2", pod("c2")),
            ("DEL", "c1", pod("c1")),
            ("CHECK", "c2", pod("c2")),
            ("STATUS", "c2", String::new()),
        ] {
            let file = directory.path().join("network.json");
            std::fs::write(&file, network(&store, &directory.path().join("log")).to_string()).unwrap();
            follow(plugin(Path::new(program), &file, verb, container, &args), |address| {
                let after = functions.partition_point(|function| function.address <= address);
                let Some(function) = after.checked_sub(1).map(|nth| &functions[nth]) else { return };
                if printed.insert(function.address) {
                    println!("{} {}", function.size, stem(function.name));
                }
            });
        }
    }
}

/// A network on this store. A call that is followed has to be given time.
fn network(store: &Value, log: &Path) -> Value {
    let mut ipam =
        json!({"type": "kube-ipam", "nodeName": "n", "timeout": "60s", "subnet": "10.1.0.0/16", "logFile": log});
    for (key, value) in store.as_object().unwrap() {
        ipam[key] = value.clone();
    }
    let previous = json!({"cniVersion": "1.1.0", "ips": []});
    json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "prevResult": previous, "ipam": ipam})
}

/// The lines of the linker's map that are about functions: address, address, size, alignment, name.
fn functions(map: &str) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    for line in map.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [address, _, size, _, name] = columns[..] else { continue };
        // The names of files and of sections stand in the same column.
        if name.contains([':', '/']) || name.starts_with('.') {
            continue;
        }
        if let Ok(address) = u64::from_str_radix(address, 16) {
            functions.push(Function { address, size, name });
        }
    }
    functions.sort_by_key(|function| function.address);
    functions
}

/// A name without the hash that differs from build to build.
fn stem(name: &str) -> &str {
    name.rfind("17h").map_or(name, |at| &name[..at])
}

fn plugin(program: &Path, network: &Path, verb: &str, container: &str, args: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([("CNI_COMMAND", verb), ("CNI_CONTAINERID", container), ("CNI_NETNS", "/proc/1/ns/net")]);
    command.envs([("CNI_IFNAME", "eth0"), ("CNI_PATH", "/opt/cni/bin"), ("CNI_ARGS", args)]);
    command.stdin(File::open(network).unwrap()).stdout(Stdio::null());
    command
}

/// Run a program one instruction at a time.
#[allow(unsafe_code, reason = "only the child itself can ask to be followed, between fork and exec")]
#[allow(clippy::zombie_processes, reason = "every stop of the child is waited for, its end as the last")]
fn follow(mut command: Command, mut at: impl FnMut(u64)) {
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    while let WaitStatus::Stopped(..) = waitpid(pid, None).unwrap() {
        at(instruction(pid));
        ptrace::step(pid, None).unwrap();
    }
}

#[cfg(target_arch = "x86_64")]
fn instruction(pid: Pid) -> u64 {
    ptrace::getregs(pid).unwrap().rip
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction(_: Pid) -> u64 {
    panic!("functions are recorded on x86_64 only")
}
