//! `install-node` puts a program, policies, networks and a kubeconfig on a node, and newer ones in their place.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_ipam_tests::program::{NO_LOG, module, program};
use serde_json::json;

use super::Subject;
use super::disk::{Disk, Remains};

/// What a version puts on a node: below it, with their bytes.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Two versions, one after the other, each with the number of orders before and after.
pub(super) struct Installed {
    versions: [(Files, usize, usize); 2],
}

pub(super) fn record(disk: &Disk) -> Installed {
    let versions = [1, 2].map(|version| {
        sources(disk.beside(), &disk.node(), version);
        let from = disk.log.len();
        let installed = install(disk.beside(), &disk.node(), version);
        assert!(installed.status.success(), "{installed:?}");
        (files(&disk.node()), from, disk.log.len())
    });
    assert!(versions.iter().all(|(files, ..)| files.len() >= 4), "{:?}", versions[1].0.keys());
    Installed { versions }
}

/// What a version is made of: a program that differs in its last byte, another policy, another network and token.
fn sources(beside: &Path, node: &Path, version: u8) {
    for name in ["account", "policies", "networks"] {
        fs::create_dir_all(beside.join(name)).unwrap();
    }
    let ours = beside.join(format!("kube-ipam-{version}"));
    let mut binary = fs::read(program()).unwrap();
    binary.push(version);
    fs::write(&ours, binary).unwrap();
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o755)).unwrap();
    let policy = if version == 1 { "quota" } else { "sticky" };
    fs::copy(module(policy), beside.join("policies/site.wasm")).unwrap();
    fs::write(beside.join("account/token"), format!("token-{version}")).unwrap();
    fs::write(beside.join("account/ca.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let subnet = format!("10.{version}.0.0/24");
    let ipam = json!({"type": "kube-ipam", "subnet": subnet, "nodeName": "node-1", "dataDir": node.join("data")});
    let list = json!({"cniVersion": "1.0.0", "name": "blue", "plugins": [{"type": "bridge", "ipam": ipam}]});
    fs::write(beside.join("networks/10-blue.conflist"), list.to_string()).unwrap();
}

fn install(beside: &Path, node: &Path, version: u8) -> Output {
    for name in ["bin", "policies", "net.d", "data"] {
        fs::create_dir_all(node.join(name)).unwrap();
    }
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "150"]).arg(beside.join(format!("kube-ipam-{version}"))).arg("install-node");
    for (option, place) in [
        ("--bin-dir", node.join("bin")),
        ("--kubeconfig", node.join("net.d/kube-ipam.kubeconfig")),
        ("--service-account", beside.join("account")),
        ("--policies", beside.join("policies")),
        ("--policy-dir", node.join("policies")),
        ("--networks", beside.join("networks")),
        ("--network-dir", node.join("net.d")),
        ("--data-dir", node.join("data")),
    ] {
        command.arg(option).arg(place);
    }
    command.args(["--server", "https://127.0.0.1:1"]).envs([NO_LOG]).output().unwrap()
}

/// The files that others read. What begins with a dot is being written, and nobody looks at it.
fn files(node: &Path) -> Files {
    let mut files = Files::new();
    for directory in ["bin", "policies", "net.d"] {
        for entry in fs::read_dir(node.join(directory)).into_iter().flatten() {
            let path = entry.unwrap().path();
            if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                files.insert(path.strip_prefix(node).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

impl Subject for Installed {
    fn name(&self) -> &'static str {
        "program, policies, networks and kubeconfig of a node"
    }

    fn judge(&self, disk: &Disk, remains: &Remains, at: usize) {
        let found = files(&remains.node);
        let [(first, _, first_end), (second, second_start, second_end)] = &self.versions;
        for (path, bytes) in &found {
            let is_first = first.get(path) == Some(bytes) && at < *second_end;
            let is_second = second.get(path) == Some(bytes) && at >= *second_start;
            assert!(is_first || is_second, "{} has {} bytes and is of neither version", path.display(), bytes.len());
        }
        if at >= *first_end {
            let missing: Vec<_> = first.keys().filter(|path| !found.contains_key(*path)).collect();
            assert!(missing.is_empty(), "installed, and gone: {missing:?}");
        }
        // What was noted names files by where they were, and this copy of the disk is elsewhere.
        let noted = remains.node.join("data/installed.json");
        if let Ok(text) = fs::read_to_string(&noted) {
            let [before, now] = [&disk.node(), &remains.node].map(|node| node.display().to_string());
            fs::write(&noted, text.replace(&before, &now)).unwrap();
        }
        // The next start of the pod puts everything right, whatever is there.
        let installed = install(disk.beside(), &remains.node, 2);
        assert!(installed.status.success(), "{installed:?}");
        assert!(files(&remains.node) == *second, "not as it was installed before");
    }
}
