//! Routes that the kernel refuses, so that the pod fails after it has its address; and parts of a route that no pod sees.
//!
//! The main plugin adds them one after the other, each in the network namespace of the pod: a next hop has to be reachable
//! by then, and the same route must not be there yet.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::{Doubt, WrittenRange};
use crate::config::routes;
use cni::{NetConf, Route, Version};
use ipam::range::network_of;
use ipam::{Family, Prefix, Range};

pub(super) fn doubts(netconf: &NetConf, ranges: &[WrittenRange]) -> Vec<Doubt> {
    let Ok(routes) = routes::read(netconf) else { return Vec::new() };
    let version = netconf.version().unwrap_or(Version::NEWEST);
    let carried = version >= Version::V1_1_0;
    let mut doubts = Vec::new();
    for (nth, route) in routes.iter().enumerate() {
        let field = format!("ipam.routes[{nth}]");
        doubts.extend(host_bits(&field, route.dst));
        doubts.extend(again(&field, route, &routes[..nth], ranges, carried));
        doubts.extend(next_hop(&field, route, &routes[..nth], ranges));
        if !carried {
            doubts.extend(dropped(&field, route, version));
        }
    }
    doubts
}

fn host_bits(field: &str, dst: IpNetwork) -> Option<Doubt> {
    let meant = network_of(dst);
    if dst.ip() == meant.address() {
        return None;
    }
    let consequence = match Family::of(dst.ip()) {
        Family::V4 => "the kernel refuses such a route (invalid argument)".to_owned(),
        Family::V6 => format!("it is treated as {meant}"),
    };
    let message = format!("{field}.dst is {dst}, which has host bits: {consequence}");
    let host = format!("{}/{}", dst.ip(), Family::of(dst.ip()).bits());
    Some(Doubt::new(message, format!("write {meant}, or {host} for that host alone")))
}

/// A second default route is the usual case. Main plugins add routes one beside the other (`RouteAddEcmp` in the `ipam` package
/// of containernetworking/plugins), and the kernel takes two that are alike in all but their next hop. What it makes of them is
/// another thing.
fn again(field: &str, route: &Route, before: &[Route], ranges: &[WrittenRange], carried: bool) -> Option<Doubt> {
    let earlier = before.iter().position(|other| place(other, carried) == place(route, carried))?;
    let family = Family::of(route.dst.ip());
    let gateway = of_family(ranges, family).and_then(|ranges| ranges.first()?.gateway());
    let (hop, earlier_hop) = (route.gw.or(gateway), before[earlier].gw.or(gateway));
    let consequence = if hop == earlier_hop {
        "by the same next hop: the kernel refuses the second (file exists)"
    } else if family == Family::V4 {
        "by another next hop: pods use the later route"
    } else {
        "by another next hop: pods divide what they send between the two"
    };
    let dst = network_of(route.dst);
    let message = format!("{field}.dst is {dst} like that of ipam.routes[{earlier}], {consequence}");
    let hint = if carried {
        "remove one of the two, or give them different values of priority"
    } else {
        "remove one of the two; with cniVersion 1.1.0 they may also differ in priority"
    };
    Some(Doubt::new(message, hint))
}

/// What has to differ in two routes that lead by one next hop.
fn place(route: &Route, carried: bool) -> (Prefix, Option<u32>, Option<u32>) {
    // What the version does not carry does not tell routes apart either.
    let attributes = if carried { route.attributes } else { Default::default() };
    (network_of(route.dst), attributes.table, attributes.priority)
}

/// The ranges of a family. Nobody knows where a pod's addresses are if a range of the network cannot be used.
fn of_family(ranges: &[WrittenRange], family: Family) -> Option<Vec<&Range>> {
    let mut usable = Vec::new();
    for range in ranges {
        usable.push(range.range.as_ref()?);
    }
    if usable.is_empty() {
        return None;
    }
    usable.retain(|range| range.family() == family);
    Some(usable)
}

fn next_hop(field: &str, route: &Route, before: &[Route], ranges: &[WrittenRange]) -> Option<Doubt> {
    let family = Family::of(route.dst.ip());
    let of_family = of_family(ranges, family)?;
    let Some(first) = of_family.first() else {
        let message = format!("{field}.dst is {}, but the network gives no {family} address", route.dst);
        return Some(Doubt::new(message, format!("add an {family} range to ipam.ranges, or remove the route")));
    };
    match route.gw {
        Some(gw) if Family::of(gw) != family => {
            let dst = route.dst;
            let message =
                format!("{field}.gw is {gw}, and {field}.dst {dst} is {family}: the kernel refuses the route");
            Some(Doubt::new(message, format!("set an {family} next hop")))
        }
        Some(gw) => unreachable(&format!("{field}.gw is {gw}"), gw, before, &of_family),
        // Main plugins take the gateway of the pod's first address of the family, or none.
        None => {
            let gateway = first.gateway()?;
            unreachable(&format!("{field} leads to the gateway {gateway}"), gateway, before, &of_family)
        }
    }
}

fn unreachable(which: &str, next_hop: IpAddr, before: &[Route], ranges: &[&Range]) -> Option<Doubt> {
    if let Some(subnet) = broadcast_subnet(ranges, next_hop) {
        let message = format!("{which}, the broadcast address of {subnet}: the kernel refuses the route");
        return Some(Doubt::new(message, "set the address of a router"));
    }
    if is_on_the_wire(ranges, before, next_hop) {
        return None;
    }
    let subnets: Vec<String> = ranges.iter().map(|range| range.subnet().to_string()).collect();
    let subnets = subnets.join(", ");
    let message = format!("{which}, outside {subnets}: the kernel refuses a route through what it cannot reach");
    let hint = "set a router in a subnet of the pod, unless the main plugin adds a route to this one, as ptp does for its \
                gateway";
    Some(Doubt::new(message, hint))
}

fn broadcast_subnet(ranges: &[&Range], gw: IpAddr) -> Option<Prefix> {
    ranges.iter().find(|range| range.broadcast_address() == Some(gw)).map(|range| range.subnet())
}

/// In a subnet of the pod, or where an earlier route says so that has no next hop itself. Every interface reaches
/// link-local IPv6.
pub(super) fn is_on_the_wire(ranges: &[&Range], before: &[Route], next_hop: IpAddr) -> bool {
    if matches!(next_hop, IpAddr::V6(next_hop) if next_hop.is_unicast_link_local()) {
        return true;
    }
    let without_gateway = ranges.first().is_some_and(|range| range.gateway().is_none());
    for route in before {
        let on_link = without_gateway && route.gw.is_none() && route.dst.prefix() > 0;
        if on_link && route.dst.contains(next_hop) {
            return true;
        }
    }
    ranges.iter().any(|range| range.subnet().contains(next_hop))
}

/// Results of older versions have no place for it.
fn dropped(field: &str, route: &Route, version: Version) -> Option<Doubt> {
    let attributes = &route.attributes;
    let all = [
        ("mtu", attributes.mtu),
        ("advmss", attributes.advmss),
        ("priority", attributes.priority),
        ("table", attributes.table),
        ("scope", attributes.scope),
    ];
    let (key, value) = all.into_iter().find_map(|(key, value)| Some((key, value?)))?;
    let message =
        format!("{field}.{key} is {value}, which no pod gets: a result of cniVersion {version} cannot carry it");
    Some(Doubt::new(message, format!("set cniVersion to 1.1.0 if the main plugin speaks it, or remove {key}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{doubts_of, of_network};
    use super::*;

    fn doubts_of_routes(routes: Value) -> Vec<String> {
        doubts_of(json!({"ranges": [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/64"}]], "routes": routes}))
    }

    #[test]
    fn what_the_kernel_refuses_is_told() {
        let doubts = doubts_of_routes(json!([
            {"dst": "0.0.0.0/0"},
            {"dst": "0.0.0.0/0", "gw": "10.0.0.2"},
            {"dst": "10.9.0.1/16"},
            {"dst": "10.8.0.0/16", "gw": "10.7.0.1"},
            {"dst": "10.7.0.0/16", "gw": "fd00::1"},
            {"dst": "10.6.0.0/16", "gw": "10.0.0.255"},
            {"dst": "fd09::1/64"},
            {"dst": "10.5.0.1/32"},
            {"dst": "10.4.0.0/16", "gw": "10.5.0.1"},
            {"dst": "0.0.0.0/0", "gw": "10.0.0.1"},
        ]));
        let expected = [
            "ipam.routes[1].dst is 0.0.0.0/0 like that of ipam.routes[0], by another next hop: pods use the later route",
            "ipam.routes[2].dst is 10.9.0.1/16, which has host bits: the kernel refuses such a route (invalid argument)",
            "ipam.routes[3].gw is 10.7.0.1, outside 10.0.0.0/24: the kernel refuses a route through what it cannot reach",
            "ipam.routes[4].gw is fd00::1, and ipam.routes[4].dst 10.7.0.0/16 is IPv4: the kernel refuses the route",
            "ipam.routes[5].gw is 10.0.0.255, the broadcast address of 10.0.0.0/24: the kernel refuses the route",
            "ipam.routes[6].dst is fd09::1/64, which has host bits: it is treated as fd09::/64",
            "ipam.routes[8].gw is 10.5.0.1, outside 10.0.0.0/24: the kernel refuses a route through what it cannot reach",
            "ipam.routes[9].dst is 0.0.0.0/0 like that of ipam.routes[0], by the same next hop: the kernel refuses the second \
             (file exists)",
        ];
        assert_eq!(doubts, expected);
    }

    #[test]
    fn what_the_kernel_takes_is_not_doubted() {
        let doubts = doubts_of_routes(json!([
            {"dst": "0.0.0.0/0"},
            {"dst": "0.0.0.0/0", "gw": "10.0.0.2", "priority": 5},
            {"dst": "0.0.0.0/0", "table": 7},
            {"dst": "::/0", "gw": "fe80::1"},
            {"dst": "fd08::/64", "gw": "fd00::9"},
        ]));
        assert_eq!(doubts, [""; 0]);
        let routes = json!([{"dst": "169.254.1.1/32"}, {"dst": "0.0.0.0/0", "gw": "169.254.1.1"}]);
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.7/32", "routes": routes})), [""; 0], "the way of routed pods");
    }

    #[test]
    fn a_route_of_a_family_without_an_address_is_told() {
        let doubts = doubts_of(json!({"subnet": "10.0.0.0/24", "routes": [{"dst": "::/0"}]}));
        assert_eq!(doubts, ["ipam.routes[0].dst is ::/0, but the network gives no IPv6 address"]);
    }

    #[test]
    fn what_an_older_version_does_not_carry_is_told_and_tells_no_routes_apart() {
        let routes = json!([{"dst": "0.0.0.0/0", "priority": 1}, {"dst": "0.0.0.0/0", "priority": 2}]);
        let netconf =
            json!({"cniVersion": "1.0.0", "name": "blue", "ipam": {"subnet": "10.0.0.0/24", "routes": routes}});
        let doubts = of_network(&NetConf::parse(netconf.to_string().as_bytes()).unwrap());
        let doubts: Vec<_> = doubts.into_iter().map(|doubt| doubt.message).collect();
        assert_eq!(doubts.len(), 3, "{doubts:?}");
        assert_eq!(
            doubts[0],
            "ipam.routes[0].priority is 1, which no pod gets: a result of cniVersion 1.0.0 cannot carry it"
        );
        assert!(doubts[1].ends_with("the kernel refuses the second (file exists)"), "{doubts:?}");
    }
}
