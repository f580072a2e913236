//! The networks that the runtimes' tests are given: one IPAM section under different main plugins.

use kube_ipam_tests::machine::Machine;
use serde_json::{Value, json};

/// The capability by which a runtime hands the pod's annotations on.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// Both families, one address of each for every attachment.
pub(crate) fn dual_stack(machine: &Machine) -> Value {
    machine.ipam(&json!([[{"subnet": "10.88.0.0/24"}], [{"subnet": "fd88::/64"}]]))
}

/// A bridge whose plugin chain publishes ports, as on most nodes.
pub(crate) fn bridge(machine: &Machine) -> Vec<Value> {
    let main = json!({"type": "bridge", "bridge": "cni0", "isGateway": true,
                      "capabilities": {ANNOTATIONS: true}, "ipam": dual_stack(machine)});
    vec![main, json!({"type": "portmap", "capabilities": {"portMappings": true}})]
}

/// A pair of interfaces for each pod, and no bridge.
pub(crate) fn ptp(machine: &Machine) -> Vec<Value> {
    vec![json!({"type": "ptp", "capabilities": {ANNOTATIONS: true}, "ipam": dual_stack(machine)})]
}

/// Pods beside the node on its own link.
pub(crate) fn macvlan(machine: &Machine) -> Vec<Value> {
    machine.run(&["ip", "link", "add", "up0", "type", "veth", "peer", "name", "down0"]);
    machine.run(&["ip", "link", "set", "up0", "up"]);
    machine.run(&["ip", "link", "set", "down0", "up"]);
    let capabilities = json!({ANNOTATIONS: true});
    vec![json!({"type": "macvlan", "master": "up0", "mode": "bridge",
                "capabilities": capabilities, "ipam": dual_stack(machine)})]
}

/// A bridge with two addresses to give.
pub(crate) fn small(machine: &Machine) -> Vec<Value> {
    vec![json!({"type": "bridge", "bridge": "cni0", "ipam": small_ipam(machine)})]
}

/// The IPAM section of the small bridge.
pub(crate) fn small_ipam(machine: &Machine) -> Value {
    machine.ipam(&json!([[{"subnet": "10.89.0.0/29", "rangeStart": "10.89.0.2", "rangeEnd": "10.89.0.3"}]]))
}
