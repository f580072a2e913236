//! A node to break things on: a directory of its own, called as a runtime and as an operator would call it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use untested::is_root;

use crate::guest::Guest;
use crate::program::{self, Answer, Call, NO_LOG, program};

/// A directory with all that a node has of ours.
#[derive(Debug)]
pub struct Node(TempDir);

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A node that nothing was done on.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Some tests are other users.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// A file or directory of the node.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Write a file; its path.
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
        program::network(&self.path("data"), &json!({"subnet": "10.0.0.0/24", "policy": policy}))
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
        Call::new(verb, container, network).run()
    }

    /// Call the plugin from a shell that has done this before, in mounts of its own; `None` where it may not.
    pub fn call_after(&self, setup: &str, verb: &str, container: &str, network: &Value) -> Option<Answer> {
        if !is_root(setup) {
            return None;
        }
        let answer = Call::new(verb, container, network).after(setup).run();
        let refused = ["unshare:", "mount:"].iter().any(|by| answer.stderr.contains(by));
        assert!(!refused, "{}", answer.stderr);
        Some(answer)
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

    /// The arguments of that command.
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

/// A command of ours, yet to be run.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env_remove("CNI_COMMAND").envs([NO_LOG]).stdin(Stdio::null());
    command
}

/// All that a command printed.
pub fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
