//! A real etcd for the tests: Debian's `etcd-server`, on loopback, in a directory of its own.

use std::ffi::OsStr;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(super) struct Server {
    child: Mutex<Child>,
    port: u16,
    scheme: &'static str,
    _dir: TempDir,
}

impl Server {
    /// One server for all cases: each case has its own prefix.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| outliving(|| Self::start(&[])))
    }

    /// etcd 3.5 as `tests/scripts/tools` leaves it, or where `KUBE_IPAM_ETCD_35` says it is.
    pub(super) fn newer() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/etcd-3.5/etcd");
        let program = std::env::var_os("KUBE_IPAM_ETCD_35").map_or(beside, PathBuf::from);
        if !program.exists() {
            untested::untested("the store on etcd 3.5", &format!("{} is missing", program.display()));
            return None;
        }
        Some(Self::start_as(program.as_os_str(), "http", &[]))
    }

    pub(super) fn start(args: &[&str]) -> Self {
        Self::start_as("etcd".as_ref(), "http", args)
    }

    /// Start a server and wait until it listens.
    pub(super) fn start_as(program: &OsStr, scheme: &'static str, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [port, peers] = [(); 2].map(|()| free_port());
        let (client_url, peer_url) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["--log-level", "error", "--data-dir"])
            .arg(dir.path())
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(["--heartbeat-interval", "50", "--election-timeout", "500"])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests need etcd: apt-get install etcd-server etcd-client");
        let server = Self { child: Mutex::new(child), port, scheme, _dir: dir };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "etcd does not start");
            thread::sleep(Duration::from_millis(10));
        }
        server
    }

    pub(super) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// `STOP`, `CONT` or `KILL`.
    pub(super) fn signal(&self, name: &str) {
        let id = self.child.lock().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What a thread makes that never ends: a server dies with the thread that started it, and these shall live as long as
/// the tests.
pub(super) fn outliving<T: Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(make());
        thread::sleep(Duration::MAX);
    });
    receiver.recv().unwrap()
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
