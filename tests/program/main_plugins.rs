//! Driven by the main plugins of Debian's containernetworking-plugins in real network namespaces. Skipped, with a
//! word, where namespaces cannot be created.

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

    /// With these ranges in place of the two of every other test.
    fn with_ranges(&self, main: &Value, ranges: &Value) -> Value {
        let mut configuration = self.configuration(main);
        configuration["ipam"]["ranges"] = ranges.clone();
        configuration
    }

    /// What `ip` says of the pod, in words.
    fn pod_says(&self, arguments: &str) -> String {
        let command: Vec<&str> = std::iter::once("ip").chain(arguments.split(' ')).collect();
        self.pod.run(&command).unwrap()
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

/// The first address is the pod's, and nobody else in the network takes it.
fn life_without_a_gateway(bench: &Bench, main: &Value) {
    let none = json!([[{"subnet": "10.88.0.0/24", "gateway": "none"}], [{"subnet": "fd88::/64", "gateway": "none"}]]);
    let mut configuration = bench.with_ranges(main, &none);
    let result = bench.call("ADD", &configuration).run().success();
    assert_eq!(result["ips"][0]["address"], "10.88.0.1/24", "{result}");
    assert_eq!(result["ips"][1]["address"], "fd88::1/64", "{result}");
    assert!(result["ips"][0].get("gateway").is_none() && result["ips"][1].get("gateway").is_none(), "{result}");
    // Routes that name no next hop go out of the interface.
    let (v4, v6) = (bench.pod_says("route show default"), bench.pod_says("-6 route show default"));
    assert!(
        v4.trim_start().starts_with("default dev eth0") && v6.trim_start().starts_with("default dev eth0"),
        "{v4}{v6}"
    );
    let node = bench.node.run(&["ip", "-o", "addr"]).unwrap();
    assert!(!node.contains("10.88.0.1/") && !node.contains("fd88::1/"), "{node}");

    configuration["prevResult"] = result;
    bench.call("CHECK", &configuration).run().success();
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn bridge_without_a_gateway() {
    let Some(bench) = Bench::new("bnone") else { return };
    life_without_a_gateway(&bench, &json!({"type": "bridge", "bridge": "cni0"}));
}

#[test]
fn macvlan_without_a_gateway() {
    let Some(bench) = Bench::new("mnone") else { return };
    bench.node.run(&["ip", "link", "add", "up0", "type", "veth", "peer", "name", "down0"]).unwrap();
    bench.node.run(&["ip", "link", "set", "up0", "up"]).unwrap();
    bench.node.run(&["ip", "link", "set", "down0", "up"]).unwrap();
    life_without_a_gateway(&bench, &json!({"type": "macvlan", "master": "up0", "mode": "bridge"}));
}

/// bridge would take .1 for its own where it is told of no gateway, and ptp fails with a word of the kernel's.
#[test]
fn who_needs_a_gateway_is_refused_before_anything_is_claimed() {
    let Some(bench) = Bench::new("need") else { return };
    let none = json!([[{"subnet": "10.88.0.0/24", "gateway": "none"}]]);
    for (main, says) in [
        (json!({"type": "bridge", "bridge": "cni0", "isGateway": true}), "10.88.0.1"),
        (json!({"type": "bridge", "bridge": "cni0", "isDefaultGateway": true}), "10.88.0.1"),
        (json!({"type": "ptp"}), "ptp"),
    ] {
        let configuration = bench.with_ranges(&main, &none);
        let (code, text) = bench.call("ADD", &configuration).run().failure();
        assert!(code == 7 && text.contains("10.88.0.0/24") && text.contains(says), "{code}: {text}");
        bench.call("DEL", &configuration).run().success();
    }
    let plain = bench.with_ranges(&json!({"type": "bridge"}), &none);
    assert_eq!(Call::new("ADD", "pod-1", &plain).run().addresses(), ["10.88.0.1"]);
}

/// Of two addresses bridge has one and the pod the other: they reach each other, and a second pod is refused.
#[test]
fn bridge_and_pod_share_two_addresses() {
    let Some(bench) = Bench::new("two") else { return };
    let two = json!([[{"subnet": "10.88.0.4/31"}], [{"subnet": "fd88::4/127"}]]);
    let main = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false});
    let configuration = bench.with_ranges(&main, &two);
    let result = bench.call("ADD", &configuration).run().success();
    assert_eq!(
        (&result["ips"][0]["address"], &result["ips"][0]["gateway"]),
        (&json!("10.88.0.4/31"), &json!("10.88.0.5"))
    );
    assert_eq!(
        (&result["ips"][1]["address"], &result["ips"][1]["gateway"]),
        (&json!("fd88::4/127"), &json!("fd88::5"))
    );
    let node = bench.node.run(&["ip", "-o", "addr", "show", "dev", "cni0"]).unwrap();
    assert!(node.contains("10.88.0.5/31") && node.contains("fd88::5/127"), "{node}");
    assert!(bench.pod.run(&["ping", "-c", "1", "-W", "2", "10.88.0.5"]).is_some(), "no answer from the gateway");
    let (code, text) = Call::new("ADD", "pod-2", &configuration).run().failure();
    assert_eq!(code, 101, "{text}");
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn ptp_with_a_link_local_gateway() {
    let Some(bench) = Bench::new("fe80") else { return };
    let ranges = json!([[{"subnet": "fd88::/64", "gateway": "fe80::1"}]]);
    let mut configuration = bench.with_ranges(&json!({"type": "ptp"}), &ranges);
    configuration["ipam"]["routes"] = json!([{"dst": "::/0"}]);
    let result = bench.call("ADD", &configuration).run().success();
    assert_eq!((&result["ips"][0]["address"], &result["ips"][0]["gateway"]), (&json!("fd88::1/64"), &json!("fe80::1")));
    let routes = bench.pod_says("-6 route show default");
    assert!(routes.contains("default via fe80::1 dev eth0"), "{routes}");
    assert!(bench.node.run(&["ip", "-o", "addr"]).unwrap().contains("fe80::1/128"));
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn bridge_with_a_link_local_gateway() {
    let Some(bench) = Bench::new("fe80b") else { return };
    let ranges = json!([[{"subnet": "fd88::/64", "gateway": "fe80::1"}]]);
    let main = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "forceAddress": true});
    let mut configuration = bench.with_ranges(&main, &ranges);
    configuration["ipam"]["routes"] = json!([{"dst": "::/0"}]);
    bench.call("ADD", &configuration).run().success();
    let routes = bench.pod_says("-6 route show default");
    assert!(routes.contains("default via fe80::1 dev eth0"), "{routes}");
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn ptp_with_an_ipv4_gateway_elsewhere() {
    let Some(bench) = Bench::new("onlink") else { return };
    let ranges = json!([[{"subnet": "10.88.0.0/24", "gateway": "169.254.1.1"}]]);
    let mut configuration = bench.with_ranges(&json!({"type": "ptp"}), &ranges);
    configuration["ipam"]["routes"] = json!([]);
    let result = bench.call("ADD", &configuration).run().success();
    assert_eq!(result["ips"][0]["address"], "10.88.0.1/24", "{result}");
    let routes = bench.pod_says("route show");
    assert!(routes.contains("10.88.0.0/24 via 169.254.1.1 dev eth0"), "{routes}");
    assert!(bench.pod.run(&["ping", "-c", "1", "-W", "2", "169.254.1.1"]).is_some(), "no answer from the gateway");
    bench.call("DEL", &configuration).run().success();
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

/// As podman, nomad and cnitool call: annotations, and no pod in CNI_ARGS.
fn annotated(mut configuration: Value, annotations: &Value) -> Value {
    configuration["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
    configuration
}

#[test]
fn a_pod_of_one_family_gets_nothing_of_the_other() {
    let Some(bench) = Bench::new("family") else { return };
    let configuration = bench.configuration(&json!({"type": "bridge", "bridge": "cni0", "isGateway": true}));
    let mut configuration = annotated(configuration, &json!({"kube-ipam.families": "ipv4"}));
    let result = bench.call("ADD", &configuration).run().success();
    assert_eq!(result["ips"].as_array().unwrap().len(), 1, "{result}");
    let addresses = bench.pod.run(&["ip", "-o", "addr", "show", "dev", "eth0"]).unwrap();
    assert!(addresses.contains("10.88.0.2/") && !addresses.contains("fd88:"), "{addresses}");
    assert!(bench.pod.run(&["ping", "-c", "1", "-W", "2", "10.88.0.1"]).is_some(), "no answer from the gateway");
    configuration["prevResult"] = result;
    bench.call("CHECK", &configuration).run().success();
    bench.call("DEL", &configuration).run().success();
}

#[test]
fn a_narrow_prefix_with_its_own_gateway_reaches_it_and_one_without_is_refused() {
    let (Some(refused), Some(bench)) = (Bench::new("refused-prefix"), Bench::new("prefix")) else { return };
    let main = json!({"type": "bridge", "bridge": "cni0", "isGateway": true});
    let narrow = annotated(refused.configuration(&main), &json!({"kube-ipam.ip": "10.88.0.65/28"}));
    let (code, text) = refused.call("ADD", &narrow).run().failure();
    assert!(code == 103 && text.contains("its gateway 10.88.0.1 is outside 10.88.0.64/28"), "{code} {text}");
    refused.call("DEL", &narrow).run().success();

    let annotations = json!({"kube-ipam.ip": "10.88.0.65/28", "kube-ipam.gateway": "10.88.0.66"});
    let narrow = annotated(bench.configuration(&main), &annotations);
    bench.call("ADD", &narrow).run().success();
    assert!(bench.pod.run(&["ping", "-c", "1", "-W", "2", "10.88.0.66"]).is_some(), "no answer from the gateway");
    bench.call("DEL", &narrow).run().success();
}

#[test]
fn two_interfaces_on_one_network_have_the_address_named_for_each() {
    let Some(bench) = Bench::new("interfaces") else { return };
    let mut configuration = bench.configuration(&json!({"type": "bridge", "bridge": "cni0"}));
    configuration["ipam"]["routes"] = json!([]);
    let annotations = json!({"kube-ipam.ip": "10.88.0.20", "kube-ipam.ip.blue.net2": "10.88.0.21"});
    let both = annotated(configuration.clone(), &annotations);
    for (interface, address) in [("net1", "10.88.0.20/"), ("net2", "10.88.0.21/")] {
        bench.call("ADD", &both).with("CNI_IFNAME", interface).run().success();
        let addresses = bench.pod.run(&["ip", "-o", "addr", "show", "dev", interface]).unwrap();
        assert!(addresses.contains(address), "{addresses}");
    }
    let one = annotated(configuration, &json!({"kube-ipam.ip": "10.88.0.20"}));
    let (code, text) = bench.call("ADD", &one).with("CNI_IFNAME", "net3").run().failure();
    assert!(code == 102 && text.contains("kube-ipam.ip.blue.net3") && !text.contains("retries"), "{code} {text}");
    for interface in ["net1", "net2", "net3"] {
        bench.call("DEL", &both).with("CNI_IFNAME", interface).run().success();
    }
}
