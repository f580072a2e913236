//! A machine for one container runtime or a node of a cluster, made of namespaces and gone with the test.
//!
//! | namespace | so that |
//! |---|---|
//! | network | the runtime's bridges, veths and iptables rules are its own |
//! | mount | `/run`, `/etc`, `/opt`, `/var/lib` and `/var/log` take what the runtime writes there and forget it: whatever paths a runtime has built in, the machine's real ones stay untouched, and no mount outlives the last process |
//! | process | killing its first process ends the daemon, its shims and every container |
//!
//! Control groups have no such end: the runtimes put theirs under one parent, removed last.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::leftovers::{self, remove_cgroups};
use crate::namespace::Namespace;
use crate::{image, listing, program};
use untested::untested;

/// How long anything may take on a busy machine before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What every machine needs.
const PROGRAMS: [&str; 5] = ["/usr/lib/cni/bridge", "busybox", "iptables", "setpriv", "tar"];

/// `$1` is the machine's directory. Says its process ID as the world outside sees it, then waits for the end.
const INIT: &str = r#"
set -e
read -r pid rest </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 tmpfs /run
for part in etc opt var/lib var/log; do
  layers=/run/layers/$part
  mkdir -p "$layers/upper" "$layers/work"
  mount -t overlay -o "lowerdir=/$part,upperdir=$layers/upper,workdir=$layers/work" overlay "/$part"
done
mkdir -p /etc/cni/net.d /opt/cni/bin /run/netns /run/lock
mount --bind "$1/networks" /etc/cni/net.d
mount --bind "$1/plugins" /opt/cni/bin
ip link set lo up
echo "$pid"
exec >&-
sleep infinity &
wait
"#;

/// Stands where the runtime looks for the plugin; writes down who is called, then becomes the binary under test.
const REGISTER: &str = r#"#!/bin/sh
printf '%s|%s|%s|%s\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_ARGS" >>"DIRECTORY/calls"
exec "PROGRAM" "$@"
"#;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    init: Child,
    pid: String,
    directory: TempDir,
    cgroup: String,
    network: PathBuf,
    /// Where the network namespace is of this machine alone.
    _node: Option<Namespace>,
}

/// One call of our plugin by the runtime.
#[derive(Debug, Eq, PartialEq)]
pub struct Call {
    /// `ADD`, `DEL`, …
    pub verb: String,
    /// The ID of the container or sandbox.
    pub container: String,
    /// The path of its network namespace; empty where the runtime no longer names one.
    pub netns: String,
    /// `CNI_ARGS` as they came.
    pub args: String,
}

impl Machine {
    /// `None`, with a word, where these programs are not installed or namespaces cannot be created; in CI that is a failure.
    pub fn start(name: &str, programs: &[&str]) -> Option<Self> {
        let missing: Vec<_> = programs.iter().chain(&PROGRAMS).filter(|program| !installed(program)).collect();
        if !missing.is_empty() {
            untested(name, &format!("programs are missing: {missing:?}"));
            return None;
        }
        let node = Namespace::create(name)?;
        let mut machine = Self::inside(&node);
        machine._node = Some(node);
        Some(machine)
    }

    /// A machine whose network is this namespace, which has to outlive it.
    pub fn inside(namespace: &Namespace) -> Self {
        let directory = leftovers::directory("machine");
        fs::create_dir(directory.path().join("networks")).unwrap();
        plugins(directory.path());
        let network = namespace.path();
        let (init, pid) = boot(&network, directory.path());
        let cgroup = format!("/{}", namespace.name());
        Self { init, pid, directory, cgroup, network, _node: None }
    }

    /// End everything that runs on it at once, as a power cut does. Its directory and its network stay.
    pub fn power_off(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
        wait_until(|| !Path::new("/proc").join(&self.pid).exists());
        // Controllers notice the end of a process a little later.
        wait_until(|| remove_cgroups(self.cgroup.trim_start_matches('/')));
    }

    /// Start it again after a power cut; nothing runs on it yet.
    pub fn power_on(&mut self) {
        (self.init, self.pid) = boot(&self.network, self.directory.path());
    }

    /// The process ID of its first process, as the world outside sees it.
    pub fn pid(&self) -> &str {
        &self.pid
    }

    /// Where its configuration, sockets and state are; the same path inside and outside.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The parent of all its control groups.
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// A command on the machine, killed when the test's patience ends, and with the machine.
    pub fn bounded(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--net", "--pid"]);
        command.args(["timeout", "--signal=KILL", &PATIENCE.as_secs().to_string(), program]);
        command.stdin(Stdio::null());
        command
    }

    /// The output of a command that must succeed, within bounds.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.attempt(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The output of a command, within bounds.
    pub fn attempt(&self, arguments: &[&str]) -> Output {
        self.bounded(arguments[0]).args(&arguments[1..]).output().unwrap()
    }

    /// A network of these plugins, where runtimes find it: in `networks` and, for the machine, /etc/cni/net.d.
    pub fn network(&self, name: &str, plugins: &[Value]) {
        let list = json!({"cniVersion": "1.0.0", "name": name, "plugins": plugins});
        let file = self.directory().join("networks").join(format!("10-{name}.conflist"));
        // A daemon that watches the folder must not read half of it.
        let beside = file.with_extension("new");
        fs::write(&beside, list.to_string()).unwrap();
        fs::rename(beside, file).unwrap();
    }

    /// The `ipam` section with these ranges.
    pub fn ipam(&self, ranges: &Value) -> Value {
        json!({"type": "kube-ipam", "dataDir": self.directory().join("data"), "nodeName": "node-1", "ranges": ranges})
    }

    /// Addresses held in this network, each with its container.
    pub fn held(&self, name: &str, ipam: &Value) -> Vec<(String, String)> {
        let network = json!({"cniVersion": "1.0.0", "name": name, "type": "bridge", "ipam": ipam});
        listing::held(&network).into_iter().collect()
    }

    /// What our plugin was called with, in order.
    pub fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.directory().join("calls")).unwrap_or_default();
        let call = |line: &str| {
            let mut parts = line.split('|').map(str::to_owned);
            let mut next = || parts.next().unwrap();
            Call { verb: next(), container: next(), netns: next(), args: next() }
        };
        text.lines().map(call).collect()
    }

    /// A container image with the programs of busybox, as `docker save` writes it.
    pub fn image(&self) -> PathBuf {
        image::write(self.directory())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The machine's first process, and its ID as the world outside sees it.
fn boot(network: &Path, directory: &Path) -> (Child, String) {
    let mut init = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "nsenter", &format!("--net={}", network.display())])
        .args(["unshare", "--mount", "--propagation", "slave", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", INIT, "init"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pid = String::new();
    BufReader::new(init.stdout.take().unwrap()).read_line(&mut pid).unwrap();
    let pid = pid.trim().to_owned();
    assert!(!pid.is_empty(), "the machine's namespaces could not be furnished");
    (init, pid)
}

/// Ask again until it is so; false when it does not become so.
pub fn wait_until(mut so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn plugins(directory: &Path) {
    let plugins = directory.join("plugins");
    fs::create_dir(&plugins).unwrap();
    for main in fs::read_dir("/usr/lib/cni").unwrap().flatten() {
        symlink(main.path(), plugins.join(main.file_name())).unwrap();
    }
    let register = REGISTER
        .replace("DIRECTORY", &directory.display().to_string())
        .replace("PROGRAM", &program().canonicalize().unwrap().display().to_string());
    let path = plugins.join("kube-ipam");
    fs::write(&path, register).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether a program is on the path; an absolute path is looked for as it is.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
