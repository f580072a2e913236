//! One etcd on loopback, and `etcdctl` to look at it and to damage it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct Etcd {
    child: Child,
    url: String,
    _directory: TempDir,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [url, peers] = [(); 2].map(|()| format!("http://127.0.0.1:{}", free_port()));
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "etcd", "--log-level", "error", "--data-dir"])
            .arg(directory.path())
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests need etcd: apt-get install etcd-server etcd-client");
        let start = Instant::now();
        while TcpStream::connect(url.trim_start_matches("http://")).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "etcd does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, url, _directory: directory }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Run etcdctl; what it prints.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("etcdctl");
        let output = command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url]).args(arguments).output().unwrap();
        assert!(output.status.success(), "etcdctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The keys that begin so.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.control(&["get", "--prefix", "--keys-only", prefix]);
        listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
