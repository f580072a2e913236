//! The control plane: etcd, the API server, the controllers and the scheduler, on this machine.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::Instant;

use serde_json::json;

use super::{READY, Site};
use crate::apiserver::{TOKENS, server, uuid};
use crate::authority::Authority;
use crate::etcd::{Etcd, Setup, free_port, spawn};

/// The identity whose credential kube-ipam has on every node, as `deploy/base/rbac.yaml` names it.
pub(super) const KUBE_IPAM: &str = "kube-ipam-node";

/// The running programs; they end in the reverse order.
#[derive(Debug)]
pub(super) struct Control {
    programs: Vec<Child>,
    _etcd: Etcd,
}

impl Control {
    /// Start it at this address, with a kubeconfig for the administrator, for kube-ipam and for each of these nodes.
    pub(super) fn start(site: &Site, address: &str, nodes: &[String]) -> Self {
        let etcd = Setup::single().start();
        let authority = Authority::new(&site.directory);
        authority.issue_for("server", 2999, &["127.0.0.1", "localhost", address]);
        let port = free_port();
        introduce(site, &format!("https://{address}:{port}"), &authority, nodes);

        let mut api = server(&site.programs.join("kube-apiserver"), &authority, &etcd, (address, port));
        api.args(["--authorization-mode=Node", "--allow-privileged=true"]);
        let mut control = Self { programs: vec![spawn(api)], _etcd: etcd };
        control.wait_until_ready(site);

        let key = authority.path("server.key").display().to_string();
        let mut controllers = part(site, "kube-controller-manager");
        controllers
            .args([
                format!("--service-account-private-key-file={key}"),
                format!("--root-ca-file={}", authority.certificate().display()),
            ])
            // A node without a word from its kubelet is given up soon; its kubelet has half of that for a word.
            .args(["--node-monitor-period=2s", "--node-monitor-grace-period=24s"])
            .args(["--kube-api-qps=100", "--kube-api-burst=200"]);
        control.programs.push(spawn(controllers));
        control.programs.push(spawn(part(site, "kube-scheduler")));
        control
    }

    fn wait_until_ready(&mut self, site: &Site) {
        let start = Instant::now();
        loop {
            let asked = Command::new("kubectl")
                .args(["get", "--raw", "/readyz", "--request-timeout=5s"])
                .env("KUBECONFIG", site.kubeconfig("administrator"))
                .output()
                .unwrap();
            if asked.status.success() {
                return;
            }
            let said = || fs::read_to_string(site.directory.join("kube-apiserver.log")).unwrap_or_default();
            assert!(self.programs[0].try_wait().unwrap().is_none(), "kube-apiserver ended:\n{}", said());
            assert!(start.elapsed() < READY, "kube-apiserver does not serve:\n{}", said());
            thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// A token for everybody who asks the API server, and a kubeconfig with it.
fn introduce(site: &Site, url: &str, authority: &Authority, nodes: &[String]) {
    let mut identities = vec![("administrator".to_owned(), "administrator".to_owned(), "system:masters".to_owned())];
    let accounts = "system:serviceaccounts,system:serviceaccounts:kube-system".to_owned();
    identities.push((KUBE_IPAM.to_owned(), format!("system:serviceaccount:kube-system:{KUBE_IPAM}"), accounts));
    for node in nodes {
        identities.push((node.clone(), format!("system:node:{node}"), "system:nodes".to_owned()));
    }
    let mut tokens = String::new();
    for (name, user, groups) in identities {
        let token = uuid();
        tokens.push_str(&format!("{token},{user},{name},\"{groups}\"\n"));
        // JSON is YAML.
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": authority.certificate()}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        fs::write(site.kubeconfig(&name), kubeconfig.to_string()).unwrap();
    }
    fs::write(authority.path(TOKENS), tokens).unwrap();
}

/// A client of the API server that acts as the administrator, serves nobody and needs no other beside it.
fn part(site: &Site, program: &str) -> Command {
    let log: PathBuf = site.directory.join(format!("{program}.log"));
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(site.programs.join(program))
        .arg(format!("--kubeconfig={}", site.kubeconfig("administrator").display()))
        .args(["--leader-elect=false", "--port=0", "--secure-port=0"])
        .stderr(File::create(log).unwrap());
    command
}
