//! A node with a store, a network, and a cache of results as libcni writes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::program::{NO_LOG, network};
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Everything under the prefix of all stores.
const KEYS: &str = "/kube-ipam/v2/";

pub(crate) struct Node {
    directory: TempDir,
    pub(crate) configuration: Value,
    pub(crate) etcd: Option<Etcd>,
    /// The addresses of every container that was added and not deleted.
    pub(crate) living: BTreeMap<String, Vec<String>>,
}

/// A store as it was.
pub(crate) enum Copy {
    File(Vec<u8>),
    Keys(Vec<(String, String)>),
}

impl Node {
    pub(crate) fn embedded(ipam: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let configuration = network(&directory.path().join("data"), ipam);
        Self { directory, configuration, etcd: None, living: BTreeMap::new() }.written()
    }

    pub(crate) fn on_etcd(ipam: &Value) -> Self {
        let etcd = Setup::single().start();
        let mut node = Self::embedded(ipam);
        node.configuration["ipam"]["etcdConfig"] = etcd.section();
        Self { etcd: Some(etcd), ..node }.written()
    }

    /// One of each kind.
    pub(crate) fn each(ipam: &Value) -> [Self; 2] {
        [Self::embedded(ipam), Self::on_etcd(ipam)]
    }

    pub(crate) fn written(self) -> Self {
        fs::create_dir_all(self.cache().join("results")).unwrap();
        fs::write(self.file(), self.configuration.to_string()).unwrap();
        self
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("blue.conf")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cni")
    }

    pub(crate) fn result(&self, container: &str) -> PathBuf {
        self.cache().join("results").join(format!("blue-{container}-eth0"))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("data/ipam.mdb")
    }

    /// A pod whose sandbox has this ID, in the plugin's words.
    fn call(&self, verb: &str, container: &str) -> Call {
        Call::new(verb, container, &self.configuration).for_pod("shop", &format!("pod-{container}"), &uid(container))
    }

    /// An ADD by libcni: the plugin answers, and the result is written down.
    pub(crate) fn add(&mut self, container: &str) -> Vec<String> {
        let answer = self.call("ADD", container).run();
        let addresses = answer.addresses();
        self.write_result(container, &answer.json());
        self.living.insert(container.to_owned(), addresses.clone());
        addresses
    }

    /// An ADD of which only the answer is of interest: the address, or the code of the refusal.
    pub(crate) fn try_add(&self, container: &str) -> Result<String, u64> {
        let answer = self.call("ADD", container).run();
        if answer.status == Some(0) { Ok(answer.addresses().join(",")) } else { Err(answer.failure().0) }
    }

    /// A DEL by libcni: the result goes when the plugin has succeeded.
    pub(crate) fn del(&mut self, container: &str) {
        self.call("DEL", container).run().success();
        fs::remove_file(self.result(container)).unwrap();
        self.living.remove(container);
    }

    /// GC by a runtime that knows who lives.
    pub(crate) fn collect_garbage(&self) {
        let valid = self.living.keys().map(|container| json!({"containerID": container, "ifname": "eth0"}));
        let mut configuration = self.configuration.clone();
        configuration["cni.dev/valid-attachments"] = valid.collect();
        Call::new("GC", "", &configuration).run().success();
    }

    /// As libcni 1.2 and later do: one line of JSON, the configuration in base64.
    fn write_result(&self, container: &str, answer: &Value) {
        let args = [
            ("IgnoreUnknown", "1"),
            ("K8S_POD_NAMESPACE", "shop"),
            ("K8S_POD_NAME", &format!("pod-{container}")),
            ("K8S_POD_INFRA_CONTAINER_ID", container),
            ("K8S_POD_UID", &uid(container)),
        ];
        let mut result = answer.clone();
        result["interfaces"] = json!([{"name": "cni0", "mac": "02:00:00:00:00:01"},
            {"name": "eth0", "mac": "02:00:00:00:00:02", "sandbox": "/var/run/netns/cni-1"}]);
        let cached = json!({
            "kind": "cniCacheV1", "containerId": container, "config": base64(self.configuration.to_string().as_bytes()),
            "ifName": "eth0", "networkName": "blue", "cniArgs": args,
            "capabilityArgs": {"dns": {}, "io.kubernetes.cri.pod-annotations": {}}, "result": result,
        });
        fs::write(self.result(container), cached.to_string()).unwrap();
    }

    /// The store as it is now.
    pub(crate) fn copy(&self) -> Copy {
        let Some(etcd) = &self.etcd else { return Copy::File(fs::read(self.database()).unwrap()) };
        let printed = etcd.control(&["get", "--prefix", KEYS]);
        let mut lines = printed.lines().map(str::to_owned);
        let mut keys = Vec::new();
        while let (Some(key), Some(value)) = (lines.next(), lines.next()) {
            keys.push((key, value));
        }
        Copy::Keys(keys)
    }

    /// The store is lost.
    pub(crate) fn lose(&self) {
        match &self.etcd {
            None => {
                fs::remove_file(self.database()).unwrap();
                fs::remove_file(self.database().with_extension("mdb-lock")).unwrap();
            }
            Some(etcd) => drop(etcd.control(&["del", "--prefix", KEYS])),
        }
    }

    /// An older copy takes the store's place.
    pub(crate) fn roll_back(&self, copy: &Copy) {
        self.lose();
        match copy {
            Copy::File(bytes) => fs::write(self.database(), bytes).unwrap(),
            Copy::Keys(keys) => {
                for (key, value) in keys {
                    self.etcd.as_ref().unwrap().control(&["put", key, value]);
                }
            }
        }
    }

    /// Run a command on this node; its exit status and what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(program());
        command.envs([NO_LOG]).args(arguments).arg("--conf").arg(self.file()).arg("--cache-dir").arg(self.cache());
        let output = command.args(["--grace", "0s"]).stdin(Stdio::null()).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), printed)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (status, printed) = self.run(&[arguments, &["-o", "json"]].concat());
        (status, serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}")))
    }

    /// Each held address and its container.
    pub(crate) fn held(&self) -> BTreeMap<String, String> {
        kube_ipam_tests::listing::held(&self.configuration)
    }

    /// Whether every living container holds what it was told.
    pub(crate) fn knows_the_living(&self) {
        let held = self.held();
        for (container, addresses) in &self.living {
            for address in addresses {
                assert_eq!(held.get(address), Some(container), "{held:?}");
            }
        }
    }

    /// ADDs until the range is full: none of them gets what a living container has.
    pub(crate) fn fill(&self) -> usize {
        let taken: Vec<&String> = self.living.values().flatten().collect();
        for nth in 0.. {
            match self.try_add(&format!("more{nth}")) {
                Ok(address) => assert!(!taken.contains(&&address), "{address} is given out twice"),
                Err(code) => {
                    assert_eq!(code, 101, "the range is full");
                    return nth;
                }
            }
        }
        unreachable!("no range is endless")
    }
}

/// Of a pod made through the API.
pub(crate) fn uid(container: &str) -> String {
    let digits = container.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("00000000-0000-4000-8000-{:012x}", digits & 0xffff_ffff_ffff)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for nth in 0..4_usize {
            let digit = DIGITS[(number >> (18 - 6 * nth)) as usize & 63];
            text.push(if nth <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}
