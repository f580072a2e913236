//! A node to break things on: the built program, called as a runtime and as an operator would call it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "a test; not every test program uses all of this")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guests::Guest;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-ipam");

/// A directory with all that a node has of ours.
pub struct Node(TempDir);

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    pub status: Option<i32>,
    pub json: Value,
    pub stderr: String,
}

impl Node {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Some tests are other users.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// A hostile guest as a file.
    pub fn guest(&self, name: &str) -> PathBuf {
        self.write(&format!("{name}.wasm"), &Guest::named(name).module())
    }

    /// 10.0.0.0/24 on the embedded store, with this `policy`.
    pub fn network(&self, policy: Value) -> Value {
        json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": {
            "type": "kube-ipam", "subnet": "10.0.0.0/24", "nodeName": "node-1", "dataDir": self.path("data"),
            "policy": policy}})
    }

    /// The network as a file for commands.
    pub fn conf(&self, network: &Value) -> String {
        // Whole at every moment: the processes of a race read it while it is written for the next of them.
        let new = self.write("blue.conf.new", network.to_string().as_bytes());
        let conf = self.path("blue.conf");
        fs::rename(new, &conf).unwrap();
        conf.display().to_string()
    }

    /// Call the plugin.
    pub fn call(&self, verb: &str, container: &str, network: &Value) -> Answer {
        answer(self.start(Command::new(PROGRAM), verb, container, network))
    }

    /// Call the plugin from a shell that has done this before, in mounts of its own; `None` where it may not.
    pub fn call_after(&self, setup: &str, verb: &str, container: &str, network: &Value) -> Option<Answer> {
        if !untested::is_root(setup) {
            return None;
        }
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c", &format!("{setup} && exec \"$0\"")]).arg(PROGRAM);
        let answer = answer(self.start(shell, verb, container, network));
        let refused = ["unshare:", "mount:"].iter().any(|by| answer.stderr.contains(by));
        assert!(!refused, "{}", answer.stderr);
        Some(answer)
    }

    /// Start the plugin by a command that ends in running it.
    pub fn start(&self, mut command: Command, verb: &str, container: &str, network: &Value) -> Child {
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("CNI_COMMAND", verb);
        command.envs([("CNI_CONTAINERID", container), ("CNI_NETNS", "/var/run/netns/absent"), ("CNI_IFNAME", "eth0")]);
        command.env("CNI_PATH", "/usr/lib/cni");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(network.to_string().as_bytes());
        child
    }

    /// Run a command of ours: exit status, and all it printed.
    pub fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = command(arguments).output().unwrap();
        (output.status.code(), printed(&output))
    }

    /// Install a module from a file into `modules`, compiled for this network.
    pub fn install(&self, file: &Path, network: &Value) -> (Option<i32>, String) {
        self.run(&self.install_arguments(file, network).iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub fn install_arguments(&self, file: &Path, network: &Value) -> Vec<String> {
        let to = self.path("modules").display().to_string();
        let conf = self.conf(network);
        ["policy", "install", file.to_str().unwrap(), "--conf", &conf, "--to", &to].map(str::to_owned).to_vec()
    }

    /// The names in a directory of the node.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_remove("CNI_COMMAND").stdin(Stdio::null());
    command
}

pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn answer(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Answer { status: output.status.code(), json, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

impl Answer {
    /// The one address of an ADD that must have succeeded.
    pub fn address(&self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.json["ips"][0]["address"].as_str().unwrap().to_owned()
    }

    /// Code and text of a call that must have failed.
    pub fn failure(&self) -> (u64, String) {
        assert!(self.status != Some(0), "{self:?}");
        let text = |key: &str| self.json[key].as_str().unwrap_or_default();
        (self.json["code"].as_u64().unwrap_or_default(), format!("{} {}", text("msg"), text("details")))
    }
}
