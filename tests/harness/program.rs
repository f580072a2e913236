//! Invoke an IPAM plugin as libcni does: environment in, configuration on stdin, answer on stdout.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use untested::untested;

use serde_json::{Value, json};

use crate::namespace::Namespace;

/// The binary under test: `KUBE_IPAM`, or where `make build` leaves it.
pub fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kube-ipam");
    let path = std::env::var_os("KUBE_IPAM").map_or(built, PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make build` first", path.display());
    path
}

/// A policy as `make policies` leaves it.
pub fn module(name: &str) -> PathBuf {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/policies");
    let path = policies.join(name).with_extension("wasm");
    path.canonicalize().unwrap_or_else(|_| panic!("{} is missing: run `make policies` first", path.display()))
}

/// The settings that a policy's project is checked with, the list in its `tests/check.json`; without that, none.
pub fn check_settings(project: &Path) -> Vec<Value> {
    match std::fs::read_to_string(project.join("tests/check.json")) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => vec![json!({})],
    }
}

/// What keeps the program from logging where the network names no file.
pub const NO_LOG: (&str, &str) = ("KUBE_IPAM_LOG_FILE", "none");

/// One invocation, yet to be made.
#[derive(Clone, Debug)]
pub struct Call {
    program: PathBuf,
    /// The words of commands that run the program in the end.
    around: Vec<OsString>,
    environment: Vec<(String, String)>,
    stdin: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit status; `None` when a signal ended the process.
    pub status: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Call {
    /// `verb` of the binary under test for an attachment `container`/`eth0`.
    pub fn new(verb: &str, container: &str, configuration: &Value) -> Self {
        let environment = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", container),
            ("CNI_NETNS", "/var/run/netns/absent"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/usr/lib/cni"),
            // Where a network names no log, the program writes into that of this machine.
            NO_LOG,
        ];
        Self {
            program: program(),
            around: Vec::new(),
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            stdin: configuration.to_string().into_bytes(),
        }
    }

    /// Another plugin with the same protocol.
    #[must_use]
    pub fn of(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Run it inside a network namespace, as if that were the node.
    #[must_use]
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.around.push("/usr/bin/nsenter".into());
        self.around.push(format!("--net={}", namespace.path().display()).into());
        self
    }

    /// Run it on another machine: one with this ID, 32 hexadecimal digits. Only where [`has_machines`].
    #[must_use]
    pub fn on_machine(self, id: &str) -> Self {
        self.after(&format!("id={id}{ANOTHER_MACHINE}"))
    }

    /// Run it in mounts of its own, once a shell has done this there; only as root.
    #[must_use]
    pub fn after(self, script: &str) -> Self {
        self.by(&["/usr/bin/unshare", "--mount", "/bin/sh", "-c", &format!("{PATH}; {script} && exec \"$@\""), "sh"])
    }

    /// Run it by a command that takes the program's path as its last argument.
    #[must_use]
    pub fn by(mut self, command: &[&str]) -> Self {
        self.around.extend(command.iter().map(OsString::from));
        self
    }

    /// Set a variable; an empty value removes it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The pod as containerd names it in `CNI_ARGS`.
    #[must_use]
    pub fn for_pod(self, namespace: &str, name: &str, uid: &str) -> Self {
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_UID={uid}");
        self.with("CNI_ARGS", &args)
    }

    /// Other bytes on stdin than a configuration.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Start it; the answer is awaited by [`wait`].
    pub fn start(&self) -> Child {
        let words = [&self.around[..], &[self.program.clone().into()]].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let mut child = command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        // A program that refuses before it reads everything closes the pipe: its answer is what counts.
        let _ = child.stdin.take().unwrap().write_all(&self.stdin);
        child
    }

    /// Run it to its end.
    pub fn run(&self) -> Answer {
        wait(self.start())
    }
}

/// Where a shell finds its commands; the program has no such variable.
const PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// Another file lies over the ID of the machine.
const ANOTHER_MACHINE: &str = r#"
    file=$(mktemp) &&
    echo "$id" >"$file" &&
    mount --bind "$file" /etc/machine-id &&
    rm "$file""#;

/// Whether calls can be made on other machines: as root, on a machine that has an ID. Where not, that is said, and CI fails.
pub fn has_machines() -> bool {
    let has = std::fs::metadata("/proc/self").unwrap().uid() == 0 && Path::new("/etc/machine-id").exists();
    if !has {
        untested("what several machines of one name do", "it needs root, and a machine that has an ID");
    }
    has
}

/// Wait for a started call.
pub fn wait(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    Answer {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Answer {
    /// The answer as JSON; `null` when nothing was printed.
    pub fn json(&self) -> Value {
        if self.stdout.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document: {error}\n{self:?}"))
    }

    /// The answer of a call that must have succeeded.
    pub fn success(&self) -> Value {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.json()
    }

    /// Code and message of a call that must have failed.
    pub fn failure(&self) -> (u64, String) {
        assert!(matches!(self.status, Some(status) if status != 0), "{self:?}");
        let answer = self.json();
        let code = answer["code"].as_u64().unwrap_or_else(|| panic!("no code in {answer}"));
        (code, format!("{} {}", answer["msg"].as_str().unwrap_or(""), answer["details"].as_str().unwrap_or("")))
    }

    /// The one address of a successful ADD, with its prefix length.
    pub fn address(&self) -> String {
        let answer = self.success();
        let ips = answer["ips"].as_array().unwrap_or_else(|| panic!("no ips in {answer}"));
        assert_eq!(ips.len(), 1, "{answer}");
        ips[0]["address"].as_str().unwrap().to_owned()
    }

    /// The addresses of a successful ADD, without their prefix lengths.
    pub fn addresses(&self) -> Vec<String> {
        let answer = self.success();
        let ips = answer["ips"].as_array().unwrap_or_else(|| panic!("no ips in {answer}"));
        let address = |ip: &Value| ip["address"].as_str().unwrap().split('/').next().unwrap().to_owned();
        ips.iter().map(address).collect()
    }
}

/// A CNI 1.1.0 network on the embedded store in this directory, with this much of an `ipam` section.
pub fn network(directory: &Path, ipam: &Value) -> Value {
    let mut section = json!({"type": "kube-ipam", "dataDir": directory, "nodeName": "node-1"});
    section.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
    json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": section})
}
