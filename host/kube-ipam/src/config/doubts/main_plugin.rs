//! What the `bridge` plugin makes of an address that is right by itself. An ADD of ours works, and the plugin then fails:
//! the pod does not start, for a reason that nobody looks for here.
//!
//! As its source has it (`cmdAdd`, `calcGateways` and `ensureAddr` in `bridge.go`), and as the binary does.

use std::net::IpAddr;

use super::{Doubt, WrittenRange};
use crate::config::routes;
use cni::{NetConf, Route};
use ipam::Family;

pub(super) fn doubts(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if netconf.main_plugin() != Some("bridge") || !netconf.is_pods_gateway() {
        return doubts;
    }
    if netconf.is_default_gateway() {
        doubts.extend(default_routes(netconf, ranges));
    }
    doubts.extend(several_gateways(ranges));
    if !netconf.forces_address() {
        doubts.extend(link_local(ranges));
    }
    doubts
}

/// Its own default route is one too many, unless it sees another with a next hop.
fn default_routes(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let routes = routes::read(netconf).unwrap_or_default();
    let mut doubts = Vec::new();
    for family in [Family::V4, Family::V6] {
        let is_given = ranges.iter().any(|written| written.range.as_ref().is_some_and(|one| one.family() == family));
        let has_next_hop = routes.iter().any(|route| is_default(route, family) && route.gw.is_some());
        if !is_given || has_next_hop {
            continue;
        }
        let Some(nth) = routes.iter().position(|route| is_default(route, family)) else { continue };
        let message = format!(
            "ipam.routes[{nth}] is a default route, and isDefaultGateway makes the bridge plugin add another: the kernel \
             refuses it (file exists)"
        );
        doubts.push(Doubt::new(message, "remove the route, or write isGateway in place of isDefaultGateway"));
    }
    doubts
}

fn is_default(route: &Route, family: Family) -> bool {
    route.dst.prefix() == 0 && Family::of(route.dst.ip()) == family
}

/// The bridge takes the gateway for its own address, and has one of IPv4.
fn several_gateways(ranges: &[WrittenRange]) -> Option<Doubt> {
    let mut first = None;
    for WrittenRange { path, range, .. } in ranges {
        let Some(range) = range.as_ref().filter(|range| range.family() == Family::V4) else { continue };
        let Some(gateway) = range.gateway() else { continue };
        let (known, length) = *first.get_or_insert((gateway, range.subnet().length()));
        if (gateway, range.subnet().length()) == (known, length) {
            continue;
        }
        let message = format!(
            "{path} has the gateway {gateway}, and another range has {known}: with isGateway the bridge plugin gives its \
             bridge one IPv4 address, and fails (or with forceAddress takes the first one away)"
        );
        let hint = "use one IPv4 subnet a bridge: a network of its own, with another bridge, for the other";
        return Some(Doubt::new(message, hint));
    }
    None
}

/// Every bridge has a link-local address of its own already, in the subnet of this one.
fn link_local(ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for WrittenRange { path, range, .. } in ranges {
        let Some(IpAddr::V6(gateway)) = range.as_ref().and_then(|range| range.gateway()) else { continue };
        // In fe80::/64.
        if gateway.segments()[..4] != [0xfe80, 0, 0, 0] {
            continue;
        }
        let message = format!(
            "{path}.gateway is {gateway}, and with isGateway the bridge plugin fails: its bridge has another link-local address \
             already"
        );
        let hint = "set forceAddress, which makes this one the address of the bridge; or remove isGateway";
        doubts.push(Doubt::new(message, hint));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::doubts_beside;

    fn bridge(plugin: Value, ipam: Value) -> Vec<String> {
        let mut beside = json!({"type": "bridge"});
        beside.as_object_mut().unwrap().extend(plugin.as_object().unwrap().clone());
        doubts_beside(beside, ipam)
    }

    #[test]
    fn a_default_route_beside_that_of_the_bridge_is_told() {
        let v4 = json!({"subnet": "10.61.0.0/24", "routes": [{"dst": "10.9.0.0/16"}, {"dst": "0.0.0.0/0"}]});
        let told = bridge(json!({"isDefaultGateway": true}), v4.clone());
        let expected = "ipam.routes[1] is a default route, and isDefaultGateway makes the bridge plugin add another: the kernel \
                        refuses it (file exists)";
        assert_eq!(told, [expected]);
        assert_eq!(bridge(json!({"isGateway": true}), v4), [""; 0]);
        // It sees one with a next hop, and adds none.
        let own = json!({"subnet": "10.61.0.0/24", "routes": [{"dst": "0.0.0.0/0", "gw": "10.61.0.1"}]});
        assert_eq!(bridge(json!({"isDefaultGateway": true}), own), [""; 0]);
        let v6 = json!({"subnet": "fd00:61::/64", "routes": [{"dst": "::/0"}]});
        assert_eq!(bridge(json!({"isDefaultGateway": true}), v6).len(), 1);
    }

    #[test]
    fn a_link_local_gateway_that_the_bridge_cannot_take_is_told() {
        let ipam = json!({"subnet": "fd00:61::/64", "gateway": "fe80::1"});
        let told = bridge(json!({"isGateway": true}), ipam.clone());
        assert!(told.len() == 1 && told[0].starts_with("ipam.gateway is fe80::1, and with isGateway"), "{told:?}");
        assert_eq!(bridge(json!({"isGateway": true, "forceAddress": true}), ipam.clone()), [""; 0]);
        assert_eq!(bridge(json!({}), ipam.clone()), [""; 0]);
        assert_eq!(doubts_beside(json!({"type": "macvlan", "isGateway": true}), ipam), [""; 0]);
    }

    #[test]
    fn two_ipv4_gateways_of_one_bridge_are_told() {
        let two = json!({"ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "10.62.0.0/24"}]]});
        let told = bridge(json!({"isGateway": true}), two.clone());
        assert!(told.len() == 1 && told[0].starts_with("ipam.ranges[1][0] has the gateway 10.62.0.1"), "{told:?}");
        assert_eq!(bridge(json!({"isGateway": true, "forceAddress": true}), two.clone()).len(), 1);
        assert_eq!(bridge(json!({}), two), [""; 0]);
        let families = json!({"ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd00:61::/64"}], [{"subnet": "fd00:62::/64"}]]});
        assert_eq!(bridge(json!({"isGateway": true}), families), [""; 0]);
    }
}
