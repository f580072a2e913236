//! The component `etcd`: its scripts and the arguments of its members, run here with real etcd, openssl and etcdctl. Only the API
//! server is missing: a kubectl that keeps Secrets in a directory stands in for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::manifests::{of_kind, pod, root, texts, with_components};

/// `get secret NAME … --output go-template={{index .data "FILE" …}}`, `create secret generic NAME --from-file=FILE…`, and `apply`
/// of what create has printed. The real one judges every create before.
const KUBECTL: &str = r#"#!/bin/sh
set -eu
secrets=$(dirname "$0")/secrets
case "$3" in
get)
    file=$(echo "$*" | sed 's/.*index .data "\([^"]*\)".*/\1/')
    [ ! -e "$secrets/$5/$file" ] || cat "$secrets/$5/$file"
    ;;
create)
    name=$6
    REAL "$@" --dry-run=client --output=name >/dev/null
    mkdir -p "$secrets/$name"
    for argument; do
        case $argument in --from-file=*) cp "${argument#*=}" "$secrets/$name/" ;; esac
    done
    echo "$name" >>"$secrets/.written"
    ;;
esac
"#;

/// Three control-plane nodes, which are addresses of loopback, with the directories of their members.
struct ControlPlane {
    directory: TempDir,
    /// Addresses that no other test has.
    members: [String; 3],
    running: Vec<Child>,
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

impl ControlPlane {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let id = std::process::id();
        let member = |nth: u32| format!("127.{}.{}.{nth}", 100 + (id >> 8) % 100, id % 256);
        let plane = Self { directory, members: [member(1), member(2), member(3)], running: Vec::new() };
        fs::create_dir(plane.path("secrets")).unwrap();
        let real = Command::new("sh").args(["-c", "command -v kubectl"]).output().unwrap();
        let script = KUBECTL.replace("REAL", String::from_utf8(real.stdout).unwrap().trim());
        fs::write(plane.path("kubectl"), script).unwrap();
        fs::set_permissions(plane.path("kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
        for member in &plane.members {
            for part in ["data", "snapshots"] {
                fs::create_dir_all(plane.path(member).join(part)).unwrap();
            }
        }
        plane
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn secret(&self, name: &str, file: &str) -> String {
        self.path("secrets").join(name).join(file).display().to_string()
    }

    /// A script of the component, on the node of a member, with the certificate of root.
    fn run(&self, script: &str, member: &str) -> Output {
        let path = format!("{}:{}", self.directory.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg(root().join("deploy/components/etcd").join(script)).env("PATH", path);
        command.env("MEMBERS", self.members.join(",")).env("MEMBER", member).env("PEER_PORT", "2480");
        command.env("DATA", self.path(member).join("data")).env("DIRECTORY", self.path(member).join("snapshots"));
        command.env("KEEP_DAYS", "7").env("ETCDCTL_ENDPOINTS", format!("https://{member}:2479"));
        command.env("ETCDCTL_CACERT", self.secret("kube-ipam-etcd-root", "ca.crt"));
        command.env("ETCDCTL_CERT", self.secret("kube-ipam-etcd-root", "tls.crt"));
        command.env("ETCDCTL_KEY", self.secret("kube-ipam-etcd-root", "tls.key"));
        command.output().unwrap()
    }

    fn succeed(&self, script: &str, member: &str) -> String {
        let output = self.run(script, member);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The members as the DaemonSet starts them, but that each listens on its own address alone: they share one loopback here.
    fn start(&mut self) {
        let daemon_set = of_kind(&with_components(&["etcd"]), "DaemonSet")
            .into_iter()
            .find(|known| known["metadata"]["name"] == "kube-ipam-etcd")
            .unwrap();
        let arguments = texts(&pod(&daemon_set)["containers"][0]["args"], "");
        let cluster: Vec<String> =
            self.members.iter().map(|member| format!("{member}=https://{member}:2480")).collect();
        for member in &self.members {
            let log = fs::File::create(self.path(member).join("log")).unwrap();
            let mut etcd = Command::new("etcd");
            for argument in &arguments {
                let argument = argument.replace(",https://127.0.0.1:2479", "").replace("127.0.0.1", "$(MEMBER)");
                let argument = argument.replace("$(MEMBER)", member).replace("$(INITIAL_CLUSTER)", &cluster.join(","));
                let argument = argument.replace("/certificates", &self.secret("kube-ipam-etcd-members", ""));
                let data = self.path(member).join("data").display().to_string();
                etcd.arg(argument.replace("--data-dir=/data", &format!("--data-dir={data}")));
            }
            self.running.push(etcd.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        }
    }

    fn stop(&mut self) {
        for mut member in self.running.drain(..) {
            let _ = member.kill();
            let _ = member.wait();
        }
    }

    /// A network on it, with the credentials of a user.
    fn network(&self, secret: &str, kubeconfig: &str) -> Value {
        let urls: Vec<String> = self.members.iter().map(|member| format!("https://{member}:2479")).collect();
        let etcd = json!({"etcdURL": urls.join(","), "etcdPrefix": "/kube-ipam",
            "etcdTrustedCAFileFile": self.secret(secret, "ca.crt"), "etcdCertFile": self.secret(secret, "tls.crt"),
            "etcdKeyFile": self.secret(secret, "tls.key")});
        let ipam = json!({"subnet": "10.1.0.0/24", "etcdConfig": etcd, "kubeConfig": kubeconfig});
        let mut network = kube_ipam_tests::program::network(&self.path("node"), &ipam);
        network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {}});
        network
    }

    /// What etcdctl says with the credentials of a user.
    fn ask(&self, secret: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &format!("https://{}:2479", self.members[0])]);
        for (option, file) in [("--cacert", "ca.crt"), ("--cert", "tls.crt"), ("--key", "tls.key")] {
            command.args([option, &self.secret(secret, file)]);
        }
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }
}

#[test]
fn from_nothing_to_three_members_with_users_and_back_from_a_snapshot() {
    let mut plane = ControlPlane::new();
    let first = plane.members[0].clone();
    plane.succeed("certificates.sh", &first);
    let again = plane.succeed("certificates.sh", &first);
    assert_eq!(again.matches(": unchanged").count(), 5, "{again}");
    let of_node = fs::read(plane.secret("kube-ipam-etcd", "tls.crt")).unwrap();
    plane.start();
    assert!(plane.succeed("users.sh", &first).contains("etcd has its users"));
    plane.succeed("users.sh", &first);
    assert_eq!(fs::read(plane.secret("kube-ipam-etcd", "tls.crt")).unwrap(), of_node);

    let server = ApiServer::double();
    let rules = [
        Rule { verbs: &["list", "get"], resources: &["pods", "nodes"] },
        Rule { verbs: &["get"], resources: &["namespaces"] },
    ];
    let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &rules));
    let kubeconfig = kubeconfig.display().to_string();
    server.create("namespaces", "", &json!({"metadata": {"name": "shop"}}));
    server.node("node-1");
    let network = plane.network("kube-ipam-etcd", &kubeconfig);
    let add = |name: &str, address: &str| {
        let uid = server.pod("shop", name).on("node-1").phase("Running").address(address).create();
        let call = Call::new("ADD", &format!("c-{name}"), &network).for_pod("shop", name, &uid).run();
        assert_eq!(call.addresses(), [address]);
    };
    add("early", "10.1.0.2");

    // Who may what.
    let reader = plane.network("kube-ipam-etcd-reader", &kubeconfig);
    assert_eq!(held(&reader).len(), 1);
    let (code, told) = Call::new("ADD", "c-reader", &reader).run().failure();
    assert!(code == 11 && told.contains("permission denied"), "{told}");
    for (secret, arguments) in [
        ("kube-ipam-etcd", &["get", "/registry/secrets"] as &[&str]),
        ("kube-ipam-etcd", &["user", "list"]),
        ("kube-ipam-etcd-reclaim", &["put", "/other", "x"]),
        ("kube-ipam-etcd-reader", &["del", "/kube-ipam/", "--prefix"]),
    ] {
        let refused = plane.ask(secret, arguments);
        assert!(
            !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("denied"),
            "{refused:?}"
        );
    }
    let members = plane.ask("kube-ipam-etcd-root", &["member", "list"]);
    assert_eq!(String::from_utf8_lossy(&members.stdout).matches("started").count(), 3, "{members:?}");

    // A snapshot, a pod after it, and back: the claim of that pod is lost, and fsck says so.
    let snapshots = plane.path(&first).join("snapshots");
    fs::write(snapshots.join("2020-01-01T000000Z.db.part"), "of a job that was killed").unwrap();
    assert!(plane.succeed("snapshot.sh", &first).contains("saved "));
    add("late", "10.1.0.3");
    plane.stop();
    assert_eq!(fs::read_dir(&snapshots).unwrap().count(), 1, "half a snapshot does not stay");
    let snapshot = fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap().path();
    for member in plane.members.clone() {
        fs::copy(&snapshot, plane.path(&member).join("snapshots/restore.db")).unwrap();
        assert!(plane.succeed("restore.sh", &member).contains("restored from a snapshot"));
        assert_eq!(plane.succeed("restore.sh", &member), "", "once");
    }
    plane.start();
    plane.succeed("users.sh", &first);
    let held: Vec<String> = held(&network).into_keys().collect();
    assert_eq!(held, ["10.1.0.2"]);
    let fsck = operate(&["fsck", "--pods", "--kubeconfig", &kubeconfig], &network);
    let told = String::from_utf8_lossy(&fsck.stdout);
    assert!(told.contains("pod shop/late on node node-1 has 10.1.0.3, of which the store does not know"), "{fsck:?}");
    assert!(!told.contains("shop/early"), "{told}");
}
