//! Driven by the main plugins of Debian's containernetworking-plugins in real network namespaces. Skipped, with a
//! word, where namespaces cannot be created.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use kube_ipam_tests::namespace::Namespace;
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};

/// A node with one pod, both namespaces of our own.
struct Bench {
    node: Namespace,
    pod: Namespace,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Option<Self> {
        let node = Namespace::create(&format!("{name}-node"))?;
        let pod = Namespace::create(&format!("{name}-pod"))?;
        node.run(&["ip", "link", "set", "lo", "up"]).unwrap();
        Some(Self { node, pod, directory: tempfile::tempdir().unwrap() })
    }

    fn configuration(&self, main: &Value) -> Value {
        let mut configuration = json!({
            "cniVersion": "1.0.0", "name": "blue",
            "ipam": {"type": "kube-ipam", "dataDir": self.directory.path(),
                     "ranges": [[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]],
                     "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]},
        });
        configuration.as_object_mut().unwrap().extend(main.as_object().unwrap().clone());
        configuration
    }

    fn call(&self, verb: &str, configuration: &Value) -> Call {
        let plugin = Path::new("/usr/lib/cni").join(configuration["type"].as_str().unwrap());
        let path = format!("{}:/usr/lib/cni", program().parent().unwrap().display());
        Call::new(verb, "pod-1", configuration)
            .of(plugin)
            .inside(&self.node)
            .with("CNI_NETNS", &self.pod.path().display().to_string())
            .with("CNI_PATH", &path)
    }

    /// ADD, look into the pod, CHECK, DEL; the address is free again afterwards.
    fn life_of_a_pod(&self, main: &Value) {
        let mut configuration = self.configuration(main);
        let result = self.call("ADD", &configuration).run().success();
        assert_eq!(result["ips"][0]["address"], "10.88.0.2/24", "{result}");
        assert_eq!(result["ips"][1]["address"], "fd88::2/64", "{result}");
        let addresses = self.pod.run(&["ip", "-o", "addr", "show", "dev", "eth0"]).unwrap();
        assert!(addresses.contains("10.88.0.2/"), "{addresses}");
        assert!(addresses.contains("fd88::2/"), "{addresses}");

        configuration["prevResult"] = result;
        self.call("CHECK", &configuration).run().success();
        self.call("DEL", &configuration).run().success();
        let again = Call::new("ADD", "pod-2", &self.configuration(&json!({"type": "bridge"}))).run();
        assert_eq!(again.addresses(), ["10.88.0.3", "fd88::3"]);
    }
}

#[test]
fn bridge() {
    let Some(bench) = Bench::new("bridge") else { return };
    bench.life_of_a_pod(&json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true}));
}

#[test]
fn bridge_lets_the_pod_reach_its_gateway() {
    let Some(bench) = Bench::new("ping") else { return };
    let configuration = bench.configuration(&json!({"type": "bridge", "bridge": "cni0", "isGateway": true}));
    bench.call("ADD", &configuration).run().success();
    assert!(bench.pod.run(&["ping", "-c", "1", "-W", "2", "10.88.0.1"]).is_some(), "no answer from the gateway");
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn ptp() {
    let Some(bench) = Bench::new("ptp") else { return };
    bench.life_of_a_pod(&json!({"type": "ptp"}));
}

#[test]
fn macvlan() {
    let Some(bench) = Bench::new("macvlan") else { return };
    bench.node.run(&["ip", "link", "add", "up0", "type", "veth", "peer", "name", "down0"]).unwrap();
    bench.node.run(&["ip", "link", "set", "up0", "up"]).unwrap();
    bench.node.run(&["ip", "link", "set", "down0", "up"]).unwrap();
    bench.life_of_a_pod(&json!({"type": "macvlan", "master": "up0", "mode": "bridge"}));
}

#[test]
fn a_refused_add_leaves_nothing_behind() {
    let Some(bench) = Bench::new("refused") else { return };
    let mut configuration = bench.configuration(&json!({"type": "bridge", "bridge": "cni0"}));
    configuration["args"] = json!({"cni": {"ips": ["10.99.0.1"]}});
    let (code, text) = bench.call("ADD", &configuration).run().failure();
    assert_eq!(code, 103, "{text}");
    assert!(text.contains("10.99.0.1"), "{text}");
    bench.call("DEL", &configuration).run().success();
}
