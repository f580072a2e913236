//! Gateways that nothing answers at.

use std::net::{IpAddr, Ipv4Addr};

use super::routes::is_on_the_wire;
use super::{Doubt, WrittenRange};
use crate::config::routes;
use cni::NetConf;
use ipam::{Family, Range};

pub(super) fn doubts(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for WrittenRange { path, range, .. } in ranges {
        let Some(range) = range else { continue };
        let Some(gateway) = range.gateway() else { continue };
        doubts.extend(at_an_end(path, range, gateway));
        if let IpAddr::V4(address) = gateway {
            doubts.extend(out_of_reach(path, range, address, netconf, ranges));
        }
    }
    doubts
}

fn at_an_end(path: &str, range: &Range, gateway: IpAddr) -> Option<Doubt> {
    let subnet = range.subnet();
    let what = if range.broadcast_address() == Some(gateway) {
        format!("the broadcast address of {subnet}: no router can have it")
    } else if range.network_address() != Some(gateway) {
        return None;
    } else if range.family() == Family::V4 {
        format!("the network address of {subnet}: no router should have it")
    } else {
        format!("the subnet-router anycast address of {subnet}: only a router that is set up for it answers")
    };
    let hint = format!("set the address of the router; without it, {path}.gateway is the first usable address");
    Some(Doubt::new(format!("{path}.gateway is {gateway}, {what}"), hint))
}

/// 10.16.0.1 for 10.61.0.0/24. What routed pods have is left alone: subnets of one address, link-local gateways, which the
/// host answers for, and what `ptp` adds a route to; a route that leads through the gateway is told of itself.
fn out_of_reach(
    path: &str,
    range: &Range,
    gateway: Ipv4Addr,
    netconf: &NetConf,
    ranges: &[WrittenRange],
) -> Option<Doubt> {
    let address = IpAddr::V4(gateway);
    let usable = ranges.iter().filter_map(|written| written.range.as_ref());
    let of_family: Vec<&Range> = usable.filter(|range| range.family() == Family::V4).collect();
    let routes = routes::read(netconf).unwrap_or_default();
    let is_told = of_family.first().is_some_and(|first| first.gateway() == Some(address))
        && routes.iter().any(|route| route.gw.is_none() && Family::of(route.dst.ip()) == Family::V4);
    let is_routed = range.subnet().length() == 32 || gateway.is_link_local() || netconf.main_plugin() == Some("ptp");
    if is_told || is_routed || is_on_the_wire(&of_family, &routes, address) {
        return None;
    }
    let subnet = range.subnet();
    let message = format!("{path}.gateway is {gateway}, outside {subnet}: pods have no route to it");
    let hint = format!("correct the address, or set {path}.gateway to none where pods need no gateway");
    Some(Doubt::new(message, hint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{doubts_beside, doubts_of};

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
    fn a_gateway_out_of_reach_is_told_once() {
        let typo = json!({"subnet": "10.61.0.0/24", "gateway": "10.16.0.1"});
        assert_eq!(
            doubts_of(typo.clone()),
            ["ipam.gateway is 10.16.0.1, outside 10.61.0.0/24: pods have no route to it"]
        );
        assert_eq!(doubts_beside(json!({"type": "ptp"}), typo.clone()), [""; 0]);
        let mut routed = typo;
        routed["routes"] = json!([{"dst": "0.0.0.0/0"}]);
        let told = doubts_of(routed);
        assert!(told.len() == 1 && told[0].starts_with("ipam.routes[0] leads to the gateway 10.16.0.1"), "{told:?}");
        assert_eq!(doubts_of(json!({"subnet": "10.61.0.7/32", "gateway": "10.9.0.1"})), [""; 0]);
        assert_eq!(doubts_of(json!({"subnet": "10.61.0.0/24", "gateway": "169.254.1.1"})), [""; 0]);
        let dual = json!([[{"subnet": "10.61.0.0/24"}], [{"subnet": "10.62.0.0/24", "gateway": "10.61.0.1"}]]);
        assert_eq!(doubts_of(json!({"ranges": dual})), [""; 0], "the pod has an address beside it, too");
    }

    #[test]
    fn gateways_that_may_answer_are_not_doubted() {
        for subnet in ["10.0.0.0/24", "10.0.0.0/30", "10.0.0.0/31", "10.0.0.0/32", "fd00::/64", "fd00::/127"] {
            assert_eq!(doubts_of(json!({"subnet": subnet})), [""; 0], "{subnet}");
        }
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24", "gateway": "10.0.0.254"})), [""; 0]);
    }
}
