//! Defaults, and what is refused.

use super::*;

fn range(subnet: &str) -> Range {
    Range::new(&RangeSpec::of_subnet(subnet.parse().unwrap())).unwrap()
}

#[test]
fn defaults_are_those_of_the_predecessor() {
    let range = range("10.188.0.7/24");
    assert_eq!(range.subnet().to_string(), "10.188.0.0/24");
    assert_eq!(range.span().to_string(), "10.188.0.2-10.188.0.254");
    assert_eq!(range.gateway().unwrap().to_string(), "10.188.0.1");
}

#[test]
fn an_ipv6_subnet_has_no_broadcast_address() {
    let range = range("fd00::/64");
    assert_eq!(range.span().to_string(), "fd00::2-fd00::ffff:ffff:ffff:ffff");
    assert_eq!(range.broadcast_address(), None);
}

fn with_gateway(subnet: &str, gateway: &str) -> Result<Range, RangeError> {
    let gateway = gateway.parse().unwrap();
    Range::new(&RangeSpec { gateway, ..RangeSpec::of_subnet(subnet.parse().unwrap()) })
}

#[test]
fn of_two_addresses_one_is_the_gateway_and_of_one_none() {
    for (subnet, gateway) in [("10.0.0.4/31", "10.0.0.5"), ("fd00::4/127", "fd00::5")] {
        let range = range(subnet);
        assert_eq!(range.gateway().unwrap().to_string(), gateway);
        assert_eq!((range.network_address(), range.broadcast_address()), (None, None));
        assert_eq!(with_gateway(subnet, "none").unwrap().gateway(), None);
    }
    assert_eq!(range("fd00::4/128").span().to_string(), "fd00::4");
    assert_eq!(range("10.0.0.4/32").gateway(), None);
}

#[test]
fn without_a_gateway_in_the_subnet_its_first_address_is_for_pods() {
    for (subnet, gateway, span) in [
        ("10.0.0.0/24", "none", "10.0.0.1-10.0.0.254"),
        ("10.0.0.0/24", "169.254.1.1", "10.0.0.1-10.0.0.254"),
        ("10.0.0.0/24", "10.0.0.254", "10.0.0.2-10.0.0.254"),
        ("10.0.0.0/31", "none", "10.0.0.0-10.0.0.1"),
        ("fd00::/126", "none", "fd00::1-fd00::3"),
        ("fd00::/64", "fe80::1", "fd00::1-fd00::ffff:ffff:ffff:ffff"),
    ] {
        let range = with_gateway(subnet, gateway).unwrap();
        assert_eq!(range.span().to_string(), span, "{subnet} {gateway}");
        assert_eq!(range.gateway().map_or("none".to_owned(), |gateway| gateway.to_string()), gateway);
    }
}

#[test]
fn a_gateway_that_nothing_can_be_sent_through_is_refused() {
    for (subnet, gateway, error) in [
        ("10.0.0.0/24", "fd00::1", "gateway fd00::1 is not of the same family as the subnet 10.0.0.0/24"),
        ("fd00::/64", "10.0.0.1", "gateway 10.0.0.1 is not of the same family as the subnet fd00::/64"),
        ("10.0.0.0/24", "0.0.0.0", "gateway 0.0.0.0 of the subnet 10.0.0.0/24 is the unspecified address"),
        ("fd00::/64", "::", "gateway :: of the subnet fd00::/64 is the unspecified address"),
        ("10.0.0.0/24", "224.0.0.1", "gateway 224.0.0.1 of the subnet 10.0.0.0/24 is a multicast address"),
        ("fd00::/64", "ff02::1", "gateway ff02::1 of the subnet fd00::/64 is a multicast address"),
        ("fd00::/64", "::1", "gateway ::1 of the subnet fd00::/64 is a loopback address"),
        ("10.0.0.0/24", "255.255.255.255", "gateway 255.255.255.255 of the subnet 10.0.0.0/24 is the broadcast"),
    ] {
        let refused = with_gateway(subnet, gateway).unwrap_err();
        assert!(refused.to_string().starts_with(error) && refused.hint().is_some(), "{refused}");
    }
    assert!("nobody".parse::<Gateway>().is_err() && "None".parse::<Gateway>().is_err());
}

#[test]
fn a_subnet_that_leaves_nothing_out_or_means_ipv4_is_refused() {
    for (subnet, error) in [
        ("0.0.0.0/0", "the subnet 0.0.0.0/0 covers every IPv4 address"),
        ("10.0.0.0/0", "the subnet 0.0.0.0/0 covers every IPv4 address"),
        ("::/0", "the subnet ::/0 covers every IPv6 address"),
        ("::/64", "the subnet ::/64 contains ::ffff:0:0/96, which is how IPv6 writes IPv4 addresses"),
        ("::ffff:0:0/96", "the subnet ::ffff:0.0.0.0/96 contains ::ffff:0:0/96"),
    ] {
        let refused = Range::new(&RangeSpec::of_subnet(subnet.parse().unwrap())).unwrap_err();
        assert!(refused.to_string().starts_with(error) && refused.hint().is_some(), "{refused}");
    }
}
