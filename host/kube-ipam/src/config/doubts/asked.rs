//! What a file asks a runtime for by capabilities, and everybody's pods for by `args`.

use super::{Doubt, WrittenRange};
use crate::config::policy;
use cni::NetConf;
use cni::args::Requested;
use spelling::nearest;

/// The capabilities that runtimes know: the conventions of the CNI project, and what containerd, CRI-O and Multus add.
const CAPABILITIES: [&str; 11] = [
    "aliases",
    "bandwidth",
    "cgroupPath",
    "deviceID",
    "dns",
    "infinibandGUID",
    "io.kubernetes.cri.pod-annotations",
    "ipRanges",
    "ips",
    "mac",
    "portMappings",
];

pub(super) fn doubts(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = capabilities(netconf);
    doubts.extend(addresses(netconf, ranges));
    doubts
}

/// A runtime passes over a capability that it does not know: the pods' annotations, or the addresses they ask for, never come.
fn capabilities(netconf: &NetConf) -> Vec<Doubt> {
    let capabilities = match netconf.capabilities() {
        Ok(capabilities) => capabilities,
        Err(error) => {
            let hint = "write an object: \"capabilities\": { \"ips\": true }";
            return vec![Doubt::new(format!("{error}: runtimes refuse the file"), hint)];
        }
    };
    let mut doubts = Vec::new();
    for (capability, value) in &capabilities {
        if !value.is_boolean() {
            let message =
                format!("capabilities.{capability} is {value}, and not true or false: runtimes refuse the file");
            doubts.push(Doubt::new(message, "write true, or remove the capability"));
        } else if !CAPABILITIES.contains(&capability.as_str()) {
            let Some(nearest) = nearest(capability, CAPABILITIES) else { continue };
            let message = format!("capabilities.{capability} is a capability that no runtime knows: it has no effect");
            doubts.push(Doubt::new(message, format!("did you mean {nearest:?}?")));
        }
    }
    doubts
}

/// What a file asks for, it asks for every pod of the network. Malformed addresses are an error. The built-in policy refuses
/// one that it cannot give; what a module makes of it nobody knows.
fn addresses(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let is_refused = policy::read(netconf).is_ok_and(|policy| policy.module.is_none());
    let asked = netconf.conventional_args(|_| {}).ok().and_then(|args| args.ips).unwrap_or_default();
    let mut doubts = Vec::new();
    for (nth, held) in asked.iter().enumerate() {
        let Some(Requested { address, .. }) = Requested::parse(held) else { continue };
        if ranges.is_empty() || ranges.iter().any(|range| range.subnet.contains(address)) {
            continue;
        }
        let message =
            format!("args.cni.ips[{nth}] is {address}, outside every subnet of the network: no pod can have it");
        let hint = "ask for an address of the network, or remove args.cni.ips";
        doubts.push(Doubt { is_refused, ..Doubt::new(message, hint) });
    }
    doubts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::doubts_beside;

    fn doubts(beside: Value) -> Vec<String> {
        doubts_beside(beside, json!({"subnet": "10.61.0.0/24"}))
    }

    #[test]
    fn a_capability_that_is_nearly_known_is_told() {
        for capability in [
            "ip",
            "IPs",
            "iprange",
            "ipRange",
            "DNS",
            "portMapping",
            "portmappings",
            "bandwith",
            "MAC",
            "io.kubernetes.cri.pod-annotation",
        ] {
            let told = doubts(json!({"capabilities": {capability: true}}));
            assert!(told.len() == 1 && told[0].contains(capability), "{capability}: {told:?}");
        }
        let known =
            json!({"ips": true, "io.kubernetes.cri.pod-annotations": true, "example.com/tea": true, "dns": false});
        assert_eq!(doubts(json!({"capabilities": known})), [""; 0]);
    }

    #[test]
    fn capabilities_that_runtimes_refuse_are_told() {
        let told = doubts(json!({"capabilities": ["ips"]}));
        assert_eq!(told, ["capabilities is a list: expected an object: runtimes refuse the file"]);
        let told = doubts(json!({"capabilities": {"ips": "true"}}));
        assert_eq!(told, ["capabilities.ips is \"true\", and not true or false: runtimes refuse the file"]);
    }

    #[test]
    fn an_address_that_no_pod_can_have_is_told() {
        let asked = |ips: Value| doubts(json!({"args": {"cni": {"ips": ips}}}));
        let expected = "args.cni.ips[1] is 10.16.0.9, outside every subnet of the network: no pod can have it";
        assert_eq!(asked(json!(["10.61.0.9/24", "10.16.0.9/24"])), [expected]);
        assert_eq!(asked(json!(["10.61.0.9"])), [""; 0]);
    }
}
