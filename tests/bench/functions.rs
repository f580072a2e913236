//! Which functions the plugin runs, in the order in which it first comes to them: the program is linked in this order.
//!
//! Each function begins with a breakpoint, which is taken away when it is hit. So a call runs nearly as fast as it does alone,
//! and with it all that would not wait for one that is followed step by step: etcd and an API server, both encrypted, too.
//!
//! `functions PROGRAM MAP` prints a line for each: its size in hexadecimal digits, and its name without the hash.
#![allow(
    clippy::unwrap_used,
    reason = "a tool of developers: whatever is missing, it has nothing better to do than stop"
)]
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::Setup;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};

const NODE: [Rule; 1] = [Rule { verbs: &["get"], resources: &["pods", "namespaces"] }];

/// Size and name of a function.
#[derive(Clone, Copy)]
struct Function<'a> {
    size: &'a str,
    name: &'a str,
}

/// The functions by their addresses.
type Functions<'a> = BTreeMap<u64, Function<'a>>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, map] = &arguments[..] else { panic!("usage: functions PROGRAM MAP") };
    let map = std::fs::read_to_string(map).unwrap();
    let mut left = functions(&map);
    let directory = tempfile::tempdir().unwrap();
    let data = |name: &str| directory.path().join(name);
    let (plain, encrypted) = (Setup::single().start(), Setup::single().with_certificates().start());
    let server = ApiServer::double();
    for pod in ["c1", "c2"] {
        server.pod("default", pod).create();
    }
    let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam", &NODE));
    let stores = [
        json!({"dataDir": data("data")}),
        json!({"dataDir": data("notes"), "etcdConfig": plain.section()}),
        // What only some ask for comes after what all do.
        json!({"dataDir": data("encrypted"), "etcdConfig": encrypted.section()}),
        json!({"dataDir": data("asking"), "kubeConfig": kubeconfig}),
    ];
    let pod = |container: &str| format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}");
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
            follow(plugin(Path::new(program), &file, verb, container, &args), &mut left);
        }
    }
}

/// A network on this store, as the calls of all verbs bring it.
fn network(store: &Value, log: &Path) -> Value {
    let mut ipam = json!({"type": "kube-ipam", "nodeName": "n", "subnet": "10.1.0.0/16", "logFile": log});
    for (key, value) in store.as_object().unwrap() {
        ipam[key] = value.clone();
    }
    let previous = json!({"cniVersion": "1.1.0", "ips": []});
    json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "prevResult": previous, "ipam": ipam})
}

/// The lines of the linker's map that are about functions: address, address, size, alignment, name.
fn functions(map: &str) -> Functions<'_> {
    let mut functions = Functions::new();
    let mut is_code = false;
    for line in map.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [address, _, size, _, name] = columns[..] else { continue };
        // The sections of the program stand in the same column as what they consist of; so do those of the files that were
        // linked, and the names of these files.
        if name.starts_with('.') {
            is_code = name == ".text";
        }
        if !is_code || size == "0" || name.contains([':', '/']) || name.starts_with('.') {
            continue;
        }
        if let Ok(address) = u64::from_str_radix(address, 16) {
            functions.insert(address, Function { size, name });
        }
    }
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

/// Run a program, and print those of the functions that it comes to. They are left no more.
#[allow(unsafe_code, reason = "only the child itself can ask to be followed, between fork and exec")]
#[allow(clippy::zombie_processes, reason = "every stop of the child is waited for, its end as the last")]
fn follow(mut command: Command, left: &mut Functions<'_>) {
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // It stops once when it is loaded.
    assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(pid, Signal::SIGTRAP));
    let hidden: BTreeMap<u64, u8> = left.keys().map(|address| (*address, replace(pid, *address, BREAKPOINT))).collect();
    let mut signal = None;
    loop {
        ptrace::cont(pid, signal).unwrap();
        signal = match waitpid(pid, None).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => None,
            // Its own: the timer of a policy's run.
            WaitStatus::Stopped(_, other) => Some(other),
            ended => return assert_eq!(ended, WaitStatus::Exited(pid, 0)),
        };
        if signal.is_none() {
            let address = step_back(pid);
            replace(pid, address, hidden[&address]);
            let Function { size, name } = left.remove(&address).unwrap();
            println!("{size} {}", stem(name));
        }
    }
}

/// Put another byte in the place of one, which is returned.
fn replace(pid: Pid, address: u64, byte: u8) -> u8 {
    let place = address as ptrace::AddressType;
    let word = ptrace::read(pid, place).unwrap();
    let [before, ..] = word.to_le_bytes();
    ptrace::write(pid, place, word & !0xff | i64::from(byte)).unwrap();
    before
}

#[cfg(target_arch = "x86_64")]
const BREAKPOINT: u8 = 0xcc;

/// Go back to the breakpoint that was hit, where the function begins.
#[cfg(target_arch = "x86_64")]
fn step_back(pid: Pid) -> u64 {
    let mut registers = ptrace::getregs(pid).unwrap();
    registers.rip -= 1;
    ptrace::setregs(pid, registers).unwrap();
    registers.rip
}

#[cfg(not(target_arch = "x86_64"))]
const BREAKPOINT: u8 = 0;

#[cfg(not(target_arch = "x86_64"))]
fn step_back(_: Pid) -> u64 {
    panic!("functions are recorded on x86_64 only")
}
