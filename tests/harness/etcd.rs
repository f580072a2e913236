//! Real etcd on loopback: one server or a cluster of three, whose members can be killed, frozen and started again.
//!
//! Each has data directories and ports of its own, and none outlives the test that started it.

mod troubles;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::Authority;
use crate::lan::Lan;

const PACKAGES: &str = "the tests need etcd and etcdctl: apt-get install etcd-server etcd-client";

/// How long members may take until they answer: electing a leader on a busy machine takes seconds.
const READY: Duration = Duration::from_secs(60);

/// An installed etcd.
#[derive(Clone, Debug)]
pub struct Release {
    /// As it tells it: `3.4.23`.
    pub version: String,
    server: PathBuf,
}

impl Release {
    /// The distribution's, which has to be there.
    pub fn installed() -> Self {
        Self::of("etcd".into()).expect(PACKAGES)
    }

    /// The distribution's and, where `KUBE_IPAM_ETCD_35` names it or `tests/scripts/tools` left it, 3.5.
    #[allow(clippy::print_stderr, reason = "whoever runs the tests shall know what they did not prove")]
    pub fn all() -> Vec<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/etcd-3.5/etcd");
        let newer = Self::of(std::env::var_os("KUBE_IPAM_ETCD_35").map_or(beside, PathBuf::from));
        if newer.is_none() {
            eprintln!(
                "etcd 3.5 is not tested: tests/scripts/tools fetches it, or name its server in KUBE_IPAM_ETCD_35"
            );
        }
        std::iter::once(Self::installed()).chain(newer).collect()
    }

    fn of(server: PathBuf) -> Option<Self> {
        let output = Command::new(&server).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("etcd Version: "))?.to_owned();
        Some(Self { version, server })
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    release: Release,
    members: usize,
    address: String,
    certificates: bool,
    /// The size of the file system that each member's data are on, in MiB; `None` where that of the machine serves.
    disk: Option<u32>,
    arguments: Vec<String>,
}

impl Setup {
    /// One server, plain, as the distribution ships it.
    pub fn single() -> Self {
        Self {
            release: Release::installed(),
            members: 1,
            address: "127.0.0.1".to_owned(),
            certificates: false,
            disk: None,
            arguments: Vec::new(),
        }
    }

    /// Three members.
    pub fn cluster() -> Self {
        Self { members: 3, ..Self::single() }
    }

    /// Another release.
    #[must_use]
    pub fn of(mut self, release: &Release) -> Self {
        self.release = release.clone();
        self
    }

    /// At another address of this machine than loopback.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// Encrypted, and only for clients with a certificate.
    #[must_use]
    pub fn with_certificates(mut self) -> Self {
        self.certificates = true;
        self
    }

    /// With a disk of so many MiB for each member, which can be full; only as root.
    #[must_use]
    pub fn on_disks_of(mut self, mebibytes: u32) -> Self {
        self.disk = Some(mebibytes);
        self
    }

    /// Further arguments of the server.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Start it and wait until every member serves.
    pub fn start(self) -> Etcd {
        self.start_on(None)
    }

    /// The same, every member at an address of its own, so that it can be isolated. `None`, with a word, where that is not
    /// possible (not root); in CI that is a failure.
    pub fn start_apart(self) -> Option<Etcd> {
        let lan = Lan::create(self.members)?;
        Some(self.start_on(Some(lan)))
    }

    fn start_on(self, lan: Option<Lan>) -> Etcd {
        let directory = tempfile::tempdir().unwrap();
        let authority = self.certificates.then(|| Authority::new(directory.path()));
        let members = (0..self.members).map(|_| Member::default());
        let etcd = Etcd { members: members.collect(), setup: self, authority, directory, lan };
        etcd.insert_disks();
        (0..etcd.members.len()).for_each(|nth| etcd.launch(nth));
        (0..etcd.members.len()).for_each(|nth| etcd.wait_for(nth));
        etcd
    }
}

/// A running server or cluster. Killed when it goes out of scope.
#[derive(Debug)]
pub struct Etcd {
    setup: Setup,
    members: Vec<Member>,
    authority: Option<Authority>,
    directory: TempDir,
    lan: Option<Lan>,
}

#[derive(Debug)]
struct Member {
    /// For clients, for other members.
    ports: [u16; 2],
    child: Mutex<Option<Child>>,
    /// Whether it joins members that are there already.
    joins: AtomicBool,
}

impl Default for Member {
    fn default() -> Self {
        Self { ports: [free_port(), free_port()], child: Mutex::default(), joins: AtomicBool::new(false) }
    }
}

impl Etcd {
    /// Where clients find its members, in their order.
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|nth| self.url(nth, 0)).collect()
    }

    /// Who signed its certificates.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("started without certificates")
    }

    /// A directory that lives as long.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The version of its members.
    pub fn version(&self) -> &str {
        &self.setup.release.version
    }

    /// The processes of the members that run.
    pub fn processes(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| Some(member.child.lock().unwrap().as_ref()?.id())).collect()
    }

    /// `ipam.etcdConfig` for it.
    pub fn section(&self) -> Value {
        let mut section = json!({"etcdURL": self.endpoints().join(",")});
        if let Some(authority) = &self.authority {
            section["etcdTrustedCAFileFile"] = json!(authority.certificate());
            section["etcdCertFile"] = json!(authority.path("client.pem"));
            section["etcdKeyFile"] = json!(authority.path("client.key"));
        }
        section
    }

    /// A CNI 1.1.0 network "blue" on it, with this much of an `ipam` section.
    pub fn network(&self, ipam: &Value) -> Value {
        let mut network = crate::program::network(&self.directory().join("node"), ipam);
        if network["ipam"]["etcdConfig"].is_null() {
            network["ipam"]["etcdConfig"] = self.section();
        }
        network
    }

    /// End a member as a power cut does.
    pub fn kill(&self, nth: usize) {
        if let Some(mut child) = self.members[nth].child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stop a member: it keeps its connections and says nothing any more.
    pub fn freeze(&self, nth: usize) {
        self.signal(nth, Signal::SIGSTOP);
    }

    /// Let a frozen member go on as if nothing had happened.
    pub fn thaw(&self, nth: usize) {
        self.signal(nth, Signal::SIGCONT);
    }

    /// Cut a member off from the others. Clients still reach it.
    pub fn isolate(&self, nth: usize) {
        self.lan.as_ref().expect("started apart").isolate(nth);
    }

    /// Let an isolated member meet the others again.
    pub fn rejoin(&self, nth: usize) {
        self.lan.as_ref().expect("started apart").rejoin(nth);
    }

    /// Start a killed member on the data it had. Whether it serves shows [`Etcd::wait_for`].
    pub fn launch(&self, nth: usize) {
        let [client, peer] = [self.url(nth, 0), self.url(nth, 1)];
        let peers: Vec<String> = (0..self.members.len()).map(|n| format!("m{n}={}", self.url(n, 1))).collect();
        let state = if self.members[nth].joins.load(Ordering::Relaxed) { "existing" } else { "new" };
        let log = std::fs::File::options().create(true).append(true).open(self.log(nth)).unwrap();
        let mut command = Command::new("setpriv");
        if let Some(lan) = &self.lan {
            command = Command::new("nsenter");
            command.arg(format!("--net={}", lan.namespace(nth).path().display())).arg("setpriv");
        }
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.setup.release.server)
            .args(["--name", &format!("m{nth}"), "--data-dir"])
            .arg(self.data(nth))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &peers.join(","), "--initial-cluster-state", state])
            .args(["--heartbeat-interval", "100", "--election-timeout", "1000"])
            .args(["--logger", "zap", "--log-level", "warn", "--log-outputs", "stderr"])
            .args(&self.setup.arguments)
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(authority) = &self.authority {
            command.args(["--client-cert-auth", "--trusted-ca-file"]).arg(authority.certificate());
            command.arg("--cert-file").arg(authority.path("server.pem"));
            command.arg("--key-file").arg(authority.path("server.key"));
        }
        *self.members[nth].child.lock().unwrap() = Some(spawn(command));
    }

    /// Wait until a member answers a read that needs a leader.
    pub fn wait_for(&self, nth: usize) {
        let start = Instant::now();
        let place = (self.address(nth), self.members[nth].ports[0]);
        loop {
            let listens = TcpStream::connect((place.0.as_str(), place.1)).is_ok();
            if listens && self.ask(&[nth], &["get", "/"]).status.success() {
                return;
            }
            let log = || std::fs::read_to_string(self.log(nth)).unwrap_or_default();
            assert!(start.elapsed() < READY, "member {nth} of etcd does not serve:\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Which member leads, according to those that run.
    pub fn leader(&self) -> usize {
        let start = Instant::now();
        loop {
            let running = (0..self.members.len()).filter(|nth| self.members[*nth].child.lock().unwrap().is_some());
            for nth in running {
                let status = self.ask(&[nth], &["endpoint", "status", "--write-out", "json"]);
                let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
                let status = &status[0]["Status"];
                if status["leader"].is_u64() && status["leader"] == status["header"]["member_id"] {
                    return nth;
                }
            }
            assert!(start.elapsed() < READY, "etcd elects no leader");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Run `etcdctl` against all members, whatever comes of it.
    pub fn ask_all(&self, arguments: &[&str]) -> Output {
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.ask(&all, arguments)
    }

    /// What `etcdctl` prints for these arguments; it has to succeed.
    pub fn control(&self, arguments: &[&str]) -> String {
        let output = self.ask_all(arguments);
        assert!(output.status.success(), "etcdctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every key that begins like this.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.control(&["get", prefix, "--prefix", "--keys-only"]);
        listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Run `etcdctl` against some members, whatever comes of it.
    pub fn ask(&self, members: &[usize], arguments: &[&str]) -> Output {
        let endpoints: Vec<String> = members.iter().map(|nth| self.url(*nth, 0)).collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &endpoints.join(",")]).args(arguments);
        if let Some(authority) = &self.authority {
            command.arg("--cacert").arg(authority.certificate());
            command.arg("--cert").arg(authority.path("client.pem")).arg("--key").arg(authority.path("client.key"));
        }
        command.output().expect(PACKAGES)
    }

    fn url(&self, nth: usize, port: usize) -> String {
        let scheme = if port == 0 && self.setup.certificates { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.address(nth), self.members[nth].ports[port])
    }

    fn address(&self, nth: usize) -> String {
        self.lan.as_ref().map_or_else(|| self.setup.address.clone(), |lan| lan.address(nth))
    }

    fn data(&self, nth: usize) -> PathBuf {
        self.directory().join(format!("m{nth}"))
    }

    fn log(&self, nth: usize) -> PathBuf {
        self.directory().join(format!("m{nth}.log"))
    }

    fn signal(&self, nth: usize, signal: Signal) {
        let child = self.members[nth].child.lock().unwrap();
        let id = child.as_ref().expect("the member runs").id();
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|nth| self.kill(nth));
        self.remove_disks();
    }
}

/// Start a process that dies with this one. The kernel ties it to the thread that starts it, so that thread must be
/// one that never ends.
pub(crate) fn spawn(command: Command) -> Child {
    type Job = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::spawn(move || queue.iter().for_each(|(mut command, answer)| drop(answer.send(command.spawn()))));
        Mutex::new(jobs)
    });
    let (sender, child) = mpsc::channel();
    spawner.lock().unwrap().send((command, sender)).unwrap();
    child.recv().unwrap().expect(PACKAGES)
}

/// A port nobody uses, below those the kernel gives to outgoing connections: a member that is started again must not
/// find its own taken by a client.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let start = u16::try_from(std::process::id() % 500).unwrap() * 20;
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
