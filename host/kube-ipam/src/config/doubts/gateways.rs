//! Gateways that nothing answers at.

use super::{Doubt, WrittenRange};
use ipam::Family;

pub(super) fn doubts(ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for WrittenRange { path, range, .. } in ranges {
        let Some(range) = range else { continue };
        let Some(gateway) = range.gateway() else { continue };
        let subnet = range.subnet();
        let what = if range.broadcast_address() == Some(gateway) {
            format!("the broadcast address of {subnet}: no router can have it")
        } else if range.network_address() != Some(gateway) {
            continue;
        } else if range.family() == Family::V4 {
            format!("the network address of {subnet}: no router should have it")
        } else {
            format!("the subnet-router anycast address of {subnet}: only a router that is set up for it answers")
        };
        let hint = format!("set the address of the router; without it, {path}.gateway is the first usable address");
        doubts.push(Doubt::new(format!("{path}.gateway is {gateway}, {what}"), hint));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::doubts_of;

    #[test]
    fn a_gateway_at_either_end_of_its_subnet_is_told() {
        let ranges = json!([[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.255"}], [{"subnet": "fd00::/64", "gateway": "fd00::"}]]);
        let expected = [
            "ipam.gateway is 10.0.0.0, the network address of 10.0.0.0/24: no router should have it",
            "ipam.ranges[0][0].gateway is 10.1.0.255, the broadcast address of 10.1.0.0/24: no router can have it",
            "ipam.ranges[1][0].gateway is fd00::, the subnet-router anycast address of fd00::/64: only a router that is set \
             up for it answers",
        ];
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24", "gateway": "10.0.0.0", "ranges": ranges})), expected);
    }

    #[test]
    fn gateways_that_may_answer_are_not_doubted() {
        for subnet in ["10.0.0.0/24", "10.0.0.0/30", "10.0.0.0/31", "10.0.0.0/32", "fd00::/64", "fd00::/127"] {
            assert_eq!(doubts_of(json!({"subnet": subnet})), [""; 0], "{subnet}");
        }
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24", "gateway": "10.0.0.254"})), [""; 0]);
    }
}
