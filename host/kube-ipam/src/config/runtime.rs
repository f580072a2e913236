//! Keys of `runtimeConfig` that nobody reads here. It is the runtime's, which hands all capabilities of a network to all of its
//! plugins, so that most of them are others'. What is nearly one of ours is told in the log: what somebody asks for by it is
//! not followed.

use super::unknown::{schema, shown, suggestion};
use cni::{IgnoredKey, NetConf};
use spelling::is_near;

/// What runtimes tell an IPAM plugin.
const CAPABILITIES: [&str; 3] = ["ips", "ipRanges", "io.kubernetes.cri.pod-annotations"];

const RUNTIME_CONFIG: &str = "runtimeConfig";
const RANGES: &str = "runtimeConfig.ipRanges";

/// Tell the log what may be meant for us. Nothing is looked at where the runtime has no other keys.
pub(super) fn warn_of_near(netconf: &NetConf) {
    for (path, hint) in nearly_ours(&netconf.ignored()) {
        tracing::warn!(path, hint, "a key that the runtime passes is not read");
    }
}

fn nearly_ours(ignored: &[IgnoredKey]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for IgnoredKey { object, key } in ignored {
        let hint = if object == RUNTIME_CONFIG {
            let meant = CAPABILITIES.into_iter().find(|known| is_near(key, known));
            meant.map(|meant| format!("did you mean {meant:?}?"))
        } else if let Some(range) = object.strip_prefix(RANGES) {
            suggestion(&format!("ipam.ranges{range}"), key, &schema())
        } else {
            None
        };
        if let Some(hint) = hint {
            found.push((format!("{object}.{}", shown(key)), hint));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(runtime: Value) -> Vec<String> {
        let netconf = json!({"name": "blue", "ipam": {}, "runtimeConfig": runtime}).to_string();
        let netconf = NetConf::parse(netconf.as_bytes()).unwrap();
        netconf.runtime_config().unwrap();
        nearly_ours(&netconf.ignored()).into_iter().map(|(path, hint)| format!("{path}: {hint}")).collect()
    }

    #[test]
    fn what_is_nearly_a_capability_is_told() {
        for (key, meant) in [
            ("ip", "ips"),
            ("IPs", "ips"),
            ("ipss", "ips"),
            ("ipranges", "ipRanges"),
            ("ip-ranges", "ipRanges"),
            ("ipRange", "ipRanges"),
            ("io.kubernetes.cri.pod-annotation", "io.kubernetes.cri.pod-annotations"),
        ] {
            let expected = format!("runtimeConfig.{}: did you mean {meant:?}?", shown(key));
            assert_eq!(told(json!({key: []})), [expected]);
        }
        assert_eq!(
            told(json!({"ipRanges": [[{"subnet": "10.0.0.0/24", "rangestart": "10.0.0.9"}]]})),
            ["runtimeConfig.ipRanges[0][0].rangestart: did you mean \"rangeStart\"?"]
        );
    }

    #[test]
    fn the_capabilities_of_others_are_not() {
        let others = json!({
            "ips": [],
            "portMappings": [],
            "bandwidth": {},
            "dns": {"servers": []},
            "mac": "02:00:00:00:00:01",
            "aliases": {},
            "deviceID": "0000:00:00.0",
            "infinibandGUID": "",
            "cgroupPath": "",
            "io.kubernetes.cri.pod-annotations": {"ip": "10.0.0.7"}
        });
        assert_eq!(told(others), [""; 0]);
    }
}
