//! The addresses that the pods of the cluster have, by the API server's word.
//!
//! Kubelet reports the addresses of a pod's first network in `status.podIPs`; Multus reports those of every network in an
//! annotation. Neither names a container, and the name of a network attachment may differ from the network's. So an
//! address is assigned to a network by the ranges that it lies in.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Pod as PodObject;
use serde::Deserialize;

use super::Inventory;
use ipam::PodName;
use ipam::address::parse_address;

/// The annotation in which Multus reports what it attached, by its present name and its former one.
const NETWORK_STATUS: [&str; 2] = ["k8s.v1.cni.cncf.io/network-status", "k8s.v1.cni.cncf.io/networks-status"];

/// A pod that has not ended, with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddresses {
    /// The pod's name, with its uid.
    pub pod: PodName,
    /// The name of the node that it runs on.
    pub node: String,
    /// Whether it is about to end, so that its addresses may be released already.
    pub is_terminating: bool,
    /// Its addresses, each once.
    pub addresses: Vec<PodAddress>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddress {
    pub address: IpAddr,
    /// The interface, where Multus names it.
    pub interface: Option<String>,
}

/// One network of Multus' annotation.
#[derive(Deserialize)]
struct Attached {
    interface: Option<String>,
    #[serde(default)]
    ips: Vec<String>,
}

impl Inventory {
    /// The pods that live and have addresses of their own. Pods on their node's network share the node's.
    pub fn addresses(&self) -> Vec<PodAddresses> {
        self.pods.values().filter_map(addresses_of).collect()
    }
}

fn addresses_of(pod: &PodObject) -> Option<PodAddresses> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if has_ended || spec.host_network == Some(true) {
        return None;
    }
    let mut addresses: Vec<PodAddress> = Vec::new();
    // Multus comes first: of an address that both report, only its report names the interface.
    for Attached { interface, ips } in read_annotation(pod) {
        for ip in ips {
            add_address(&mut addresses, &ip, interface.as_ref());
        }
    }
    for ip in status.pod_ips.iter().flatten() {
        add_address(&mut addresses, &ip.ip, None);
    }
    if let Some(ip) = &status.pod_ip {
        add_address(&mut addresses, ip, None);
    }
    let metadata = &pod.metadata;
    Some(PodAddresses {
        pod: PodName {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone(),
            cluster: None,
        },
        node: spec.node_name.clone().unwrap_or_default(),
        is_terminating: metadata.deletion_timestamp.is_some(),
        addresses,
    })
}

fn add_address(addresses: &mut Vec<PodAddress>, text: &str, interface: Option<&String>) {
    if let Some(address) = parse_address(text)
        && !addresses.iter().any(|known| known.address == address)
    {
        addresses.push(PodAddress { address, interface: interface.cloned() });
    }
}

/// The networks that Multus reports of a pod. A report that cannot be read is passed over, because anybody may write the
/// annotation.
fn read_annotation(pod: &PodObject) -> Vec<Attached> {
    let Some(annotations) = &pod.metadata.annotations else { return Vec::new() };
    let text = NETWORK_STATUS.iter().find_map(|name| annotations.get(*name));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(metadata: &Value, spec: &Value, status: &Value) -> Option<PodAddresses> {
        let pod = json!({"metadata": metadata, "spec": spec, "status": status});
        addresses_of(&serde_json::from_value(pod).unwrap())
    }

    fn texts(found: &PodAddresses) -> Vec<String> {
        let text = |one: &PodAddress| format!("{} {}", one.address, one.interface.as_deref().unwrap_or("-"));
        found.addresses.iter().map(text).collect()
    }

    fn metadata(annotation: &str) -> Value {
        json!({"namespace": "shop", "name": "web", "uid": "u1", "annotations": {NETWORK_STATUS[0]: annotation}})
    }

    fn spec() -> Value {
        json!({"nodeName": "node-1", "containers": []})
    }

    #[test]
    fn kubelet_and_multus_are_put_together() {
        let annotation = r#"[{"name": "cbr0", "interface": "eth0", "ips": ["10.1.0.5"], "default": true},
            {"name": "shop/lan", "interface": "net1", "ips": ["::ffff:10.2.0.5", "fd00::5"], "mac": "02:00:00:00:00:01"}]"#;
        let status =
            json!({"phase": "Running", "podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}, {"ip": "fd01::5"}]});
        let found = found(&metadata(annotation), &spec(), &status).unwrap();
        assert_eq!(texts(&found), ["10.1.0.5 eth0", "10.2.0.5 net1", "fd00::5 net1", "fd01::5 -"]);
        assert_eq!(
            (found.pod.uid.as_deref(), found.node.as_str(), found.is_terminating),
            (Some("u1"), "node-1", false)
        );
    }

    #[test]
    fn a_strange_annotation_hides_nothing() {
        for annotation in ["", "{}", "[{\"ips\": 5}]", "[{\"ips\": [\"5\"]}]"] {
            let status = json!({"phase": "Pending", "podIPs": [{"ip": "10.1.0.5"}]});
            assert_eq!(texts(&found(&metadata(annotation), &spec(), &status).unwrap()), ["10.1.0.5 -"], "{annotation}");
        }
    }

    #[test]
    fn whoever_has_ended_or_shares_the_nodes_network_has_no_address_of_its_own() {
        let status = |phase: &str| json!({"phase": phase, "podIPs": [{"ip": "10.1.0.5"}]});
        for phase in ["Succeeded", "Failed"] {
            assert_eq!(found(&metadata("[]"), &spec(), &status(phase)), None);
        }
        let on_host = json!({"nodeName": "node-1", "hostNetwork": true, "containers": []});
        assert_eq!(found(&metadata("[]"), &on_host, &status("Running")), None);
        let mut leaving = metadata("[]");
        leaving["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(found(&leaving, &spec(), &status("Running")).unwrap().is_terminating);
    }
}
