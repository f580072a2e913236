//! containerd with runc, as a daemon of one machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kube_ipam_tests::image;
use kube_ipam_tests::machine::{Machine, wait_until};
use serde_json::Value;

/// What has to be installed.
const PROGRAMS: [&str; 3] = ["containerd", "ctr", "runc"];

/// `$1` is the machine's directory.
const DAEMON: &str = r#"
containerd --config "$1/containerd.toml" >>"$1/containerd.log" 2>&1 &
echo $! >"$1/containerd.pid"
"#;

/// The machine with its daemon.
pub(crate) struct Containerd {
    pub(crate) machine: Machine,
}

impl Containerd {
    /// With one network, `blue`, of these plugins, and the test image imported for both kinds of clients.
    pub(crate) fn start(name: &str, plugins: impl FnOnce(&Machine) -> Vec<Value>) -> Option<Self> {
        let machine = Machine::start(name, &PROGRAMS)?;
        let plugins = plugins(&machine);
        machine.network("blue", &plugins);
        fs::write(machine.directory().join("containerd.toml"), configuration(&machine)).unwrap();
        let containerd = Self { machine };
        containerd.start_daemon();
        let image = containerd.machine.image().display().to_string();
        for namespace in ["default", "k8s.io"] {
            containerd.ctr(&["--namespace", namespace, "images", "import", "--snapshotter", "native", &image]);
        }
        Some(containerd)
    }

    fn start_daemon(&self) {
        self.machine.run(&["sh", "-c", DAEMON, "sh", &self.machine.directory().display().to_string()]);
        let answers = || self.machine.attempt(&["ctr", "--address", &self.address(), "version"]).status.success();
        assert!(wait_until(answers), "containerd does not answer:\n{}", self.log());
    }

    /// Kill the daemon and start it again; its containers live on.
    pub(crate) fn restart(&self) {
        let directory = self.machine.directory().display().to_string();
        self.machine.run(&["sh", "-c", r#"kill -9 "$(cat "$1/containerd.pid")""#, "sh", &directory]);
        self.start_daemon();
    }

    /// The output of a `ctr` command that must succeed.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> String {
        let address = self.address();
        let whole: Vec<_> = ["ctr", "--address", &address].iter().chain(arguments).copied().collect();
        self.machine.run(&whole)
    }

    /// A `ctr` command, yet to be started and ended within bounds.
    pub(crate) fn ctr_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.bounded("ctr");
        command.args(["--address", &self.address()]).args(arguments);
        command
    }

    /// Its socket, for the clients outside as well.
    pub(crate) fn socket(&self) -> PathBuf {
        self.machine.directory().join("containerd.sock")
    }

    /// What the daemon wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.machine.directory().join("containerd.log")).unwrap_or_default()
    }

    fn address(&self) -> String {
        self.socket().display().to_string()
    }
}

/// The native snapshotter works on every file system, an overlay included.
fn configuration(machine: &Machine) -> String {
    let directory = machine.directory().display();
    let image = image::NAME;
    format!(
        r#"
version = 2
root = "{directory}/root"
state = "{directory}/state"
[grpc]
  address = "{directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{directory}/plugins"
    conf_dir = "{directory}/networks"
"#
    )
}
