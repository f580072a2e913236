//! Network namespaces of our own, removed when they go out of scope.

use std::path::PathBuf;
use std::process::Command;
use untested::untested;

/// A named network namespace.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// `None`, with a word, where namespaces cannot be created (not root); in CI that is a failure.
    pub fn create(name: &str) -> Option<Self> {
        let full = format!("kube-ipam-{}-{name}", std::process::id());
        if ip(&["netns", "add", &full]) {
            return Some(Self { name: full });
        }
        untested(name, "network namespaces cannot be created: it needs root");
        None
    }

    /// Its path, as `CNI_NETNS` has it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/var/run/netns").join(&self.name)
    }

    /// Run a command inside; its standard output if it succeeded.
    pub fn run(&self, command: &[&str]) -> Option<String> {
        let output = Command::new("ip").args(["netns", "exec", &self.name]).args(command).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Its name, for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
    }
}

pub(crate) fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}
