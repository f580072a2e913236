//! Every version of the specification, every verb, each main plugin of the distribution, either store: what a runtime is
//! answered, as one table.

use std::path::Path;

use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::held;
use kube_ipam_tests::namespace::Namespace;
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};

/// Who is called with a version, and whether it has CHECK, and GC and STATUS.
struct Version {
    name: &'static str,
    /// The distribution's main plugins know it. Where not, ours is called alone, as by one that does.
    of_main_plugins: bool,
    has_check: bool,
    has_gc: bool,
}

const VERSIONS: [Version; 7] = [
    Version { name: "0.1.0", of_main_plugins: true, has_check: false, has_gc: false },
    Version { name: "0.2.0", of_main_plugins: true, has_check: false, has_gc: false },
    Version { name: "0.3.0", of_main_plugins: true, has_check: false, has_gc: false },
    Version { name: "0.3.1", of_main_plugins: true, has_check: false, has_gc: false },
    Version { name: "0.4.0", of_main_plugins: true, has_check: true, has_gc: false },
    Version { name: "1.0.0", of_main_plugins: true, has_check: true, has_gc: false },
    Version { name: "1.1.0", of_main_plugins: false, has_check: true, has_gc: true },
];

const PLUGINS: [&str; 3] = ["bridge", "macvlan", "ptp"];

/// The code of a configuration whose version does not have the verb.
const INCOMPATIBLE: u64 = 1;

#[test]
fn every_version_verb_main_plugin_and_store() {
    // The node runs etcd itself, so that it is reached from the node's network.
    let Some(etcd) = Setup::single().start_apart() else { return };
    let (node, Some(pod)) = (etcd.lan().namespace(0), Namespace::create("matrix-pod")) else { return };
    for command in ["link add up0 type veth peer name down0", "link set up0 up", "link set down0 up"] {
        node.run(&std::iter::once("ip").chain(command.split(' ')).collect::<Vec<_>>()).unwrap();
    }
    let mut cells = 0;
    for store in ["embedded", "etcd"] {
        for main in PLUGINS {
            for version in &VERSIONS {
                let name = format!("{store}-{main}-{}", version.name);
                let mut ipam = json!({
                    "type": "kube-ipam", "dataDir": etcd.directory().join(&name), "nodeName": "node-1",
                    "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]],
                });
                if store == "etcd" {
                    ipam["etcdConfig"] = etcd.section();
                }
                let network = json!({"cniVersion": version.name, "name": name, "type": main, "ipam": ipam,
                    "bridge": "cni0", "isGateway": true, "master": "up0", "mode": "bridge"});
                Cell { node, pod: &pod, version, network }.live();
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * 3 * 7);
}

/// A field of the table.
struct Cell<'a> {
    node: &'a Namespace,
    pod: &'a Namespace,
    version: &'a Version,
    network: Value,
}

impl Cell<'_> {
    /// Every verb, in the order of a pod's life.
    fn live(&self) {
        let Self { version, network, pod, .. } = self;
        let name = &network["name"];
        let result = self.main("ADD", network).run().success();
        assert_eq!(addresses(&result), ["10.88.0.2/24", "fd88::2/64"], "{name}: {result}");
        assert_eq!(result["cniVersion"], version.name, "{name}");
        if version.of_main_plugins {
            let seen = pod.run(&["ip", "-o", "addr", "show", "dev", "eth0"]).unwrap();
            assert!(seen.contains("10.88.0.2/") && seen.contains("fd88::2/"), "{name}: {seen}");
        }
        let mut later = network.clone();
        later["prevResult"] = result;
        if version.has_check {
            self.main("CHECK", &later).run().success();
        }
        self.ours("CHECK", &later, version.has_check);
        self.ours("STATUS", network, version.has_gc);
        let mut collecting = network.clone();
        collecting["cni.dev/valid-attachments"] = json!([{"containerID": "pod-1", "ifname": "eth0"}]);
        self.ours("GC", &collecting, version.has_gc);
        assert_eq!(self.held(), 2, "{name}: held through all of this");
        for _ in 0..2 {
            self.main("DEL", &later).run().success();
            assert_eq!(self.held(), 0, "{name}");
        }
        let versions = Call::new("VERSION", "", network).inside(self.node).run().success();
        assert!(versions["supportedVersions"].as_array().unwrap().contains(&json!(version.name)), "{name}: {versions}");
    }

    /// The main plugin, which calls ours; or ours alone.
    fn main(&self, verb: &str, network: &Value) -> Call {
        let main = network["type"].as_str().unwrap();
        let plugin = if self.version.of_main_plugins { Path::new("/usr/lib/cni").join(main) } else { program() };
        let path = format!("{}:/usr/lib/cni", program().parent().unwrap().display());
        Call::new(verb, "pod-1", network)
            .of(plugin)
            .inside(self.node)
            .with("CNI_NETNS", &self.pod.path().display().to_string())
            .with("CNI_PATH", &path)
    }

    /// Ours, as a main plugin of that version calls it: it works, or says that the version has no such verb.
    fn ours(&self, verb: &str, network: &Value, works: bool) {
        let answer = self.main(verb, network).of(program()).run();
        if works {
            answer.success();
            return;
        }
        let (code, text) = answer.failure();
        assert!(code == INCOMPATIBLE && text.contains(verb) && text.contains(self.version.name), "{code} {text}");
    }

    fn held(&self) -> usize {
        held(&self.network).len()
    }
}

/// Without a version of each family in the result, as it was before 0.3.0, and with one.
fn addresses(result: &Value) -> Vec<&str> {
    if let Some(ips) = result["ips"].as_array() {
        return ips.iter().map(|ip| ip["address"].as_str().unwrap()).collect();
    }
    ["ip4", "ip6"].map(|family| result[family]["ip"].as_str().unwrap()).to_vec()
}
