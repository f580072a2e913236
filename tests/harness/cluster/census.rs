//! Who lives, and with which addresses: asked of the kernel, never of the store or the API server.
//!
//! A pod lives as long as its sandbox's process does. Its addresses are the local ones of the network namespace of that
//! process. All nodes are looked at several times a second, so that what two pods share for a moment is seen as well.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Where containerd keeps a directory for each container that runs, as its machine sees it.
const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io";

const BETWEEN: Duration = Duration::from_millis(300);

/// A pod that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// The node it lives on.
    pub node: String,
    /// `namespace/name`.
    pub pod: String,
    /// The ID of its sandbox.
    pub sandbox: String,
    /// Of all its interfaces, loopback excepted.
    pub addresses: Vec<String>,
}

impl fmt::Display for Living {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} (sandbox {:.12}, {})", self.pod, self.node, self.sandbox, self.addresses.join(" "))
    }
}

/// All nodes that are on, and what was seen on them.
#[derive(Debug, Default)]
pub struct Census {
    /// By the node's name, the first process of its machine.
    nodes: Mutex<BTreeMap<String, String>>,
    /// How names of pods begin that hand their address over to each other while both live.
    may_share: Mutex<Vec<String>>,
    /// What must never be seen, with who was seen.
    shared: Mutex<Vec<String>>,
}

impl Census {
    /// It watches as long as it exists.
    pub(super) fn start() -> Arc<Self> {
        let census = Arc::new(Self::default());
        let watched: Weak<Self> = Arc::downgrade(&census);
        thread::spawn(move || {
            while let Some(census) = watched.upgrade() {
                census.watch();
                drop(census);
                thread::sleep(BETWEEN);
            }
        });
        census
    }

    /// Look at this node, too.
    pub(super) fn count(&self, node: &str, machine: &str) {
        self.nodes.lock().unwrap().insert(node.to_owned(), machine.to_owned());
    }

    /// It is off.
    pub(super) fn forget(&self, node: &str) {
        self.nodes.lock().unwrap().remove(node);
    }

    /// Let pods whose `namespace/name` begins like this share an address with each other, until [`Census::settle`].
    pub fn let_share(&self, pods: &str) {
        self.may_share.lock().unwrap().push(pods.to_owned());
    }

    /// Nobody may share any more.
    pub fn settle(&self) {
        self.may_share.lock().unwrap().clear();
    }

    /// Forget what was seen: the pods it was seen of have gone.
    pub fn start_over(&self) {
        self.settle();
        self.shared.lock().unwrap().clear();
    }

    /// Every pod that lives now.
    pub fn living(&self) -> Vec<Living> {
        let nodes = self.nodes.lock().unwrap().clone();
        let mut living = Vec::new();
        for (node, machine) in nodes {
            let root = Path::new("/proc").join(machine).join("root");
            for task in fs::read_dir(root.join(TASKS)).into_iter().flatten().flatten() {
                living.extend(look(&node, &root, &task.path()));
            }
        }
        living
    }

    /// Nobody shares an address now, and nobody was seen sharing one since the last time.
    pub fn assert_unshared(&self) {
        self.watch();
        let seen = std::mem::take(&mut *self.shared.lock().unwrap());
        assert!(seen.is_empty(), "two living pods share an address:\n{}", seen.join("\n"));
    }

    /// What two pods share is believed when it is seen twice: one may have ended while the other was looked at.
    fn watch(&self) {
        let first = pairs(&self.living());
        if first.is_empty() {
            return;
        }
        let second = pairs(&self.living());
        for pair in first.into_iter().filter(|pair| second.contains(pair)) {
            let (one, other) = &pair;
            let may_share = self.may_share.lock().unwrap();
            if may_share.iter().any(|pods| one.pod.starts_with(pods) && other.pod.starts_with(pods)) {
                continue;
            }
            let sentence = format!("{one}\n  and {other}");
            let mut shared = self.shared.lock().unwrap();
            if !shared.contains(&sentence) {
                shared.push(sentence);
            }
        }
    }
}

/// Those who share an address.
fn pairs(living: &[Living]) -> Vec<(Living, Living)> {
    let mut found = Vec::new();
    for (nth, one) in living.iter().enumerate() {
        for other in &living[nth + 1..] {
            if one.addresses.iter().any(|address| other.addresses.contains(address)) {
                found.push((one.clone(), other.clone()));
            }
        }
    }
    found
}

/// The pod of this task, if it is a sandbox and lives.
fn look(node: &str, root: &Path, task: &Path) -> Option<Living> {
    let sandbox = task.file_name()?.to_str()?.to_owned();
    let configuration: Value = serde_json::from_slice(&fs::read(task.join("config.json")).ok()?).ok()?;
    let annotation = |name: &str| configuration["annotations"][format!("io.kubernetes.cri.{name}")].as_str();
    if annotation("container-type") != Some("sandbox") {
        return None;
    }
    let pod = format!("{}/{}", annotation("sandbox-namespace")?, annotation("sandbox-name")?);
    let process = root.join("proc").join(fs::read_to_string(task.join("init.pid")).ok()?.trim());
    // The number may have become another process's.
    if !fs::read_to_string(process.join("cgroup")).ok()?.contains(&sandbox) {
        return None;
    }
    let addresses = local_addresses(&fs::read_to_string(process.join("net/fib_trie")).ok()?);
    Some(Living { node: node.to_owned(), pod, sandbox, addresses })
}

/// Addresses that the kernel takes for its own, in its table of routes: the line after an address says `host LOCAL`.
fn local_addresses(table: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    let mut last = "";
    for line in table.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim();
        } else if line.contains("/32 host LOCAL") && !last.starts_with("127.") {
            addresses.push(last.to_owned());
        }
    }
    // Each stands in two tables.
    addresses.sort();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::{Living, local_addresses, pairs};

    fn living(pod: &str, addresses: &[&str]) -> Living {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Living { node: "node-1".to_owned(), pod: pod.to_owned(), sandbox: pod.to_owned(), addresses }
    }

    #[test]
    fn own_addresses_are_told_from_networks_and_neighbours() {
        let table = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 10.188.0.0
        /16 link UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 10.188.0.216
           /32 host LOCAL
        |-- 10.188.255.255
           /32 link BROADCAST
Local:
        |-- 10.188.0.216
           /32 host LOCAL
";
        assert_eq!(local_addresses(table), ["10.188.0.216"]);
    }

    #[test]
    fn one_address_in_common_is_enough() {
        let all = [living("a", &["10.0.0.1"]), living("b", &["10.0.0.2", "10.0.0.1"]), living("c", &["10.0.0.3"])];
        let found: Vec<_> = pairs(&all).into_iter().map(|(one, other)| one.pod + &other.pod).collect();
        assert_eq!(found, ["ab"]);
    }
}
