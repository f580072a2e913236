//! An etcd of our own on loopback, plain or with certificates on both sides, in a directory that goes with it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running server.
pub(crate) struct Server {
    child: Child,
    url: String,
    directory: TempDir,
    encrypted: bool,
}

impl Server {
    /// Without encryption.
    pub(crate) fn plain() -> Self {
        Self::start(tempfile::tempdir().unwrap(), "http", &[])
    }

    /// With a certificate of its own, asking for one of the client.
    pub(crate) fn mutual_tls() -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_certificates(directory.path());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let files = [path("server.pem"), path("server.key"), path("ca.pem")];
        let [cert, key, ca] = files.each_ref().map(String::as_str);
        let args = ["--client-cert-auth", "--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca];
        Self::start(directory, "https", &args)
    }

    fn start(directory: TempDir, scheme: &str, args: &[&str]) -> Self {
        let [port, peers] = [(); 2].map(|()| free_port());
        let (url, peer_url) = (format!("{scheme}://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
        // Killed with this program, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "etcd", "--log-level", "error", "--data-dir"])
            .arg(directory.path().join("data"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("default={peer_url}")])
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is missing: apt-get install etcd-server");
        let server = Self { child, url, directory, encrypted: scheme == "https" };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "etcd does not start");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A network on this etcd, under a prefix of its own, with this much of an `ipam` section.
    pub(crate) fn network(&self, prefix: &str, ipam: &Value) -> Value {
        let mut etcd = json!({"etcdURL": self.url, "etcdPrefix": prefix});
        if self.encrypted {
            etcd["etcdCertFile"] = json!(self.path("client.pem"));
            etcd["etcdKeyFile"] = json!(self.path("client.key"));
            etcd["etcdTrustedCAFileFile"] = json!(self.path("ca.pem"));
        }
        let mut section = json!({"type": "kube-ipam", "nodeName": "node-1", "etcdConfig": etcd});
        section.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge", "ipam": section})
    }

    /// The program that makes the same two requests and nothing else.
    pub(crate) fn floor(&self) -> Call {
        let floor = std::env::current_exe().unwrap().with_file_name("floor");
        let call = Call::new("ADD", "floor", &Value::Null).of(floor).stdin("").with("FLOOR_URL", &self.url);
        if !self.encrypted {
            return call;
        }
        let files = [("FLOOR_CA", "ca.pem"), ("FLOOR_CERT", "client.pem"), ("FLOOR_KEY", "client.key")];
        files.iter().fold(call, |call, (name, file)| call.with(name, &self.path(file).display().to_string()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An authority, and a certificate of it for each side.
fn make_certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    for name in ["server", "client"] {
        let params = CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
