//! Where addresses are held: an etcd or an embedded store of our own, with a network on it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube_ipam_tests::etcd::{Etcd, Release, Setup};
use kube_ipam_tests::program::network;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fill::{self, Target};
use super::pods::{BenchPod, OUR_NODE, PODS_OF_A_NODE, node_name};
use super::settings::BenchSettings;

/// As etcd advises at most.
pub(super) const QUOTA_GIB: u64 = 8;

/// A store with one network, "blue".
pub(super) struct Site {
    store: SiteStore,
    pub(super) name: &'static str,
    pub(super) subnet: &'static str,
    nodes: usize,
    /// How many addresses are held.
    pub(super) held: usize,
}

enum SiteStore {
    Etcd(Box<Etcd>),
    /// Filled where a flush costs nothing, and copied to where it is used.
    Embedded {
        filled: TempDir,
        used: TempDir,
    },
}

impl Site {
    /// One of the stores that settings name.
    pub(super) fn start(store: &str, settings: &BenchSettings) -> Self {
        let (name, subnet) = match store {
            "ipv6" => ("etcd, IPv6", "fd00:4::/64"),
            "embedded" => ("embedded, IPv4", "10.0.0.0/12"),
            _ => ("etcd, IPv4", "10.0.0.0/12"),
        };
        let store = match store {
            "embedded" => {
                let memory = Path::new("/dev/shm");
                let filled = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
                SiteStore::Embedded { filled: filled.unwrap(), used: tempfile::tempdir().unwrap() }
            }
            _ => SiteStore::Etcd(Box::new(start_etcd(settings))),
        };
        Self { store, name, subnet, nodes: settings.nodes, held: 0 }
    }

    pub(super) fn etcd(&self) -> Option<&Etcd> {
        match &self.store {
            SiteStore::Etcd(etcd) => Some(etcd),
            SiteStore::Embedded { .. } => None,
        }
    }

    /// The network as a node has it, with this much more of an `ipam` section. Every node has a directory of its own, where
    /// it notes what it has learnt, and its log.
    pub(super) fn network(&self, node: &str, more: &Value) -> Value {
        let directory = match &self.store {
            SiteStore::Etcd(_) => self.node_directory(node),
            SiteStore::Embedded { used, .. } => used.path().to_owned(),
        };
        fs::create_dir_all(&directory).unwrap();
        let mut ipam = json!({"subnet": self.subnet, "nodeName": node, "timeout": "60s"});
        ipam["logFile"] = json!(directory.join("calls.log"));
        if let SiteStore::Etcd(etcd) = &self.store {
            ipam["etcdConfig"] = etcd.section();
        }
        ipam.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        network(&directory, &ipam)
    }

    /// Let nodes make the first call of their life, which learns what later ones know.
    pub(super) fn warm_up(&self, nodes: usize) {
        for n in 0..nodes {
            let node = node_name(n);
            if self.node_directory(&node).exists() {
                continue;
            }
            let network = self.network(&node, &json!({}));
            let pod = BenchPod::new("first", n, &node);
            pod.call("ADD", &network).run().success();
            pod.call("DEL", &network).run().success();
        }
    }

    fn node_directory(&self, node: &str) -> PathBuf {
        self.directory().join("nodes").join(node)
    }

    /// The network as a file for commands.
    pub(super) fn conf(&self) -> PathBuf {
        let file = self.directory().join("blue.conf");
        fs::write(&file, self.network(OUR_NODE, &json!({})).to_string()).unwrap();
        file
    }

    /// Have so many addresses held. Gives how many claims were made, and how long those of the library took. The pods of
    /// our node are added by the plugin, so that they are its own by everything a record says of a machine.
    pub(super) fn fill(&mut self, held: usize) -> (usize, Duration) {
        let network = self.network(OUR_NODE, &json!({}));
        for n in self.held..held.min(PODS_OF_A_NODE) {
            BenchPod::held(n, self.nodes).call("ADD", &network).run().success();
        }
        let more = self.held.max(PODS_OF_A_NODE)..held;
        self.held = held;
        if more.is_empty() {
            return (0, Duration::ZERO);
        }
        (more.len(), self.claim(more))
    }

    fn claim(&self, pods: Range<usize>) -> Duration {
        match &self.store {
            SiteStore::Etcd(etcd) => fill::claim(&Target::Etcd(etcd.endpoints()), self.subnet, pods, self.nodes),
            SiteStore::Embedded { filled, used } => {
                let [there, here] = [filled, used].map(|directory| directory.path().join("ipam.mdb"));
                // What the plugin has added, and what it has added since.
                if here.exists() {
                    fs::copy(&here, &there).unwrap();
                }
                let took = fill::claim(&Target::Embedded(filled.path()), self.subnet, pods, self.nodes);
                fs::copy(&there, &here).unwrap();
                took
            }
        }
    }

    /// The containers that a GC on our node is told of.
    pub(super) fn attachments(&self) -> Vec<Value> {
        let mut attachments = Vec::new();
        for n in 0..self.held.min(PODS_OF_A_NODE) {
            attachments.push(json!({"containerID": BenchPod::held(n, self.nodes).container, "ifname": "eth0"}));
        }
        attachments
    }

    fn directory(&self) -> &Path {
        match &self.store {
            SiteStore::Etcd(etcd) => etcd.directory(),
            SiteStore::Embedded { used, .. } => used.path(),
        }
    }

    /// The size of what is stored.
    pub(super) fn database_bytes(&self) -> u64 {
        match &self.store {
            SiteStore::Etcd(etcd) => status(etcd)["dbSizeInUse"].as_u64().unwrap_or(0),
            SiteStore::Embedded { used, .. } => fs::metadata(used.path().join("ipam.mdb")).map_or(0, |file| file.len()),
        }
    }
}

fn start_etcd(settings: &BenchSettings) -> Etcd {
    let releases = Release::all();
    let release = releases.iter().find(|release| release.version.starts_with(&settings.etcd));
    let release = release.unwrap_or_else(|| panic!("there is no etcd {}", settings.etcd));
    let setup = if settings.members == 1 { Setup::single() } else { Setup::cluster() };
    setup.of(release).with(&["--quota-backend-bytes", &(QUOTA_GIB << 30).to_string()]).start()
}

/// What etcd says of its first member.
fn status(etcd: &Etcd) -> Value {
    let told = etcd.control(&["endpoint", "status", "--write-out", "json"]);
    serde_json::from_str::<Value>(&told).unwrap()[0]["Status"].take()
}

/// Forget what was overwritten or deleted so far, as an API server has its etcd do every five minutes.
pub(super) fn compact(etcd: &Etcd) {
    let revision = status(etcd)["header"]["revision"].as_u64().unwrap().to_string();
    etcd.control(&["compact", &revision]);
}

/// The sum of a number that members of etcd tell of themselves.
pub(super) fn metric(etcd: &Etcd, name: &str) -> f64 {
    let mut sum = 0.0;
    for endpoint in etcd.endpoints() {
        let Some(address) = endpoint.strip_prefix("http://") else { continue };
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        sum += value.unwrap_or(0.0);
    }
    sum
}
