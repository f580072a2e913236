//! Subnets with host bits, and subnets that no pod should have addresses of.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

use super::{Doubt, WrittenRange};
use ipam::Prefix;
use ipam::range::network_of;

/// An address block that is not for pods.
struct Special {
    first: IpAddr,
    prefix: u8,
    /// What the block is for, and what an address of it would suffer.
    what: &'static str,
}

/// The special-purpose registries of IANA (RFC 6890), as far as an address of a block cannot work for a pod.
const SPECIAL: [Special; 8] = [
    v4([0, 0, 0, 0], 8, "\"this network\", which means no host"),
    v4([127, 0, 0, 0], 8, "loopback, which never leaves the pod"),
    v4([169, 254, 0, 0], 16, "link-local, which no router forwards and clouds serve metadata from"),
    v4([224, 0, 0, 0], 4, "multicast, which no interface can have as its own"),
    v4([240, 0, 0, 0], 4, "reserved, which most systems and routers refuse"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 127, "the unspecified address and loopback, which never leave the pod"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local, which no router forwards and every interface has already"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast, which no interface can have as its own"),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8, what: &'static str) -> Special {
    Special { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix, what }
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8, what: &'static str) -> Special {
    Special { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix, what }
}

pub(super) fn doubts(ranges: &[WrittenRange]) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    for WrittenRange { path, subnet, range, .. } in ranges {
        let field = format!("{path}.subnet");
        doubts.extend(host_bits(&field, *subnet));
        // A subnet may be refused for another reason, such as its gateway, that comes of this one. One that is everything
        // is refused as such.
        if range.is_some() || subnet.prefix() > 0 {
            doubts.extend(not_for_pods(&field, network_of(*subnet)));
        }
    }
    doubts
}

fn host_bits(field: &str, written: IpNetwork) -> Option<Doubt> {
    let (meant, address) = (network_of(written), written.ip());
    if address == meant.address() {
        return None;
    }
    let message = format!("{field} is {written}, which has host bits: it is treated as {meant}");
    let hint = format!("write {meant}; to begin at {address}, set rangeStart, and if it is the router's, gateway");
    Some(Doubt::new(message, hint))
}

/// One doubt at most: a subnet as large as to have several special blocks has one fault.
fn not_for_pods(field: &str, subnet: Prefix) -> Option<Doubt> {
    let hint = "use a subnet of your own network, such as 10.188.0.0/16 or fd00:188::/64";
    for Special { first, prefix, what } in SPECIAL {
        let Some(block) = Prefix::new(first, prefix) else { continue };
        if !block.span().overlaps(&subnet.span()) {
            continue;
        }
        let relation = match subnet.length().cmp(&prefix) {
            Ordering::Less => format!("which contains {block}: "),
            Ordering::Equal => String::new(),
            Ordering::Greater => format!("which lies in {block}: "),
        };
        return Some(Doubt::new(format!("{field} is {subnet}, {relation}{what}"), hint));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::doubts_of;
    use super::*;

    #[test]
    fn host_bits_are_told_with_what_the_subnet_is_taken_for() {
        let ipam =
            json!({"ranges": [[{"subnet": "10.188.1.7/24"}], [{"subnet": "fd00::/64"}, {"subnet": "fd01::1/64"}]]});
        let expected = [
            "ipam.ranges[0][0].subnet is 10.188.1.7/24, which has host bits: it is treated as 10.188.1.0/24",
            "ipam.ranges[1][1].subnet is fd01::1/64, which has host bits: it is treated as fd01::/64",
        ];
        assert_eq!(doubts_of(ipam), expected);
    }

    #[test]
    fn subnets_that_are_not_for_pods_are_told_for_what_they_are() {
        let what = |subnet: &str| {
            let doubt = not_for_pods("ipam.subnet", subnet.parse().unwrap());
            doubt.map(|doubt| doubt.message.split_once(", ").unwrap().1.to_owned()).unwrap_or_default()
        };
        for (subnet, expected) in [
            ("10.0.0.0/8", ""),
            ("100.64.0.0/10", ""),
            ("fd00::/8", ""),
            ("2001:db8::/32", ""),
            ("127.0.0.0/24", "which lies in 127.0.0.0/8: loopback"),
            ("169.254.0.0/16", "link-local, which"),
            ("224.0.0.0/3", "which contains 224.0.0.0/4: multicast"),
            ("239.1.2.0/24", "which lies in 224.0.0.0/4: multicast"),
            ("255.255.255.0/24", "which lies in 240.0.0.0/4: reserved"),
            ("0.0.0.0/24", "which lies in 0.0.0.0/8: \"this network\""),
            ("fe80::/64", "which lies in fe80::/10: link-local"),
            ("ff02::/16", "which lies in ff00::/8: multicast"),
        ] {
            let what = what(subnet);
            assert!(what.starts_with(expected) && what.is_empty() == expected.is_empty(), "{subnet}: {what}");
        }
    }
}
