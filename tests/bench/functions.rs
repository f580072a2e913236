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

use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

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
    let pod = |container: &str| format!("K8S_POD_NAMESPACE=default;K8S_POD_NAME={container}");
    let mut printed = HashSet::new();
    for (verb, container, args) in [
        ("VERSION", "c1", String::new()),
        ("ADD", "c1", pod("c1")),
        ("ADD", "c2", pod("c2")),
        ("DEL", "c1", pod("c1")),
        ("CHECK", "c2", pod("c2")),
        ("STATUS", "c2", String::new()),
    ] {
        follow(plugin(Path::new(program), directory.path(), verb, container, &args), |address| {
            let after = functions.partition_point(|function| function.address <= address);
            let Some(function) = after.checked_sub(1).map(|nth| &functions[nth]) else { return };
            if printed.insert(function.address) {
                println!("{} {}", function.size, stem(function.name));
            }
        });
    }
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

fn plugin(program: &Path, directory: &Path, verb: &str, container: &str, args: &str) -> Command {
    let configuration = directory.join("network.json");
    // A call that is followed has to be given time.
    let network = serde_json::json!({
        "cniVersion": "1.1.0", "name": "blue", "type": "bridge", "prevResult": {"cniVersion": "1.1.0", "ips": []},
        "ipam": {"type": "kube-ipam", "dataDir": directory.join("data"), "nodeName": "n", "timeout": "60s",
                 "subnet": "10.1.0.0/16"},
    });
    std::fs::write(&configuration, network.to_string()).unwrap();
    let mut command = Command::new(program);
    command.env_clear().envs([("CNI_COMMAND", verb), ("CNI_CONTAINERID", container), ("CNI_NETNS", "/proc/1/ns/net")]);
    command.envs([("CNI_IFNAME", "eth0"), ("CNI_PATH", "/opt/cni/bin"), ("CNI_ARGS", args)]);
    command.stdin(File::open(configuration).unwrap()).stdout(Stdio::null());
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
