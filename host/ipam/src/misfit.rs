//! Whether a pod could use an address in a subnet of some length. The SDK of policies asks the same of what a pod names;
//! here it is asked of what a runtime names, whose prefix no policy is told.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::address::{Family, Span};
use super::proposal::Assignment;
use super::range::{Range, network_of};

/// Why a pod could not use an address with this prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The address is the network's.
    #[error("{0} is the network address of {1}")]
    Network(IpAddr, IpNetwork),
    /// The address is for all.
    #[error("{0} is the broadcast address of {1}")]
    Broadcast(IpAddr, IpNetwork),
    /// The main plugin's routes would fail: "network is unreachable".
    #[error("its gateway {0} is outside {1} and could not be reached")]
    Gateway(IpAddr, IpNetwork),
    /// No router can have it there.
    #[error("its gateway {0} is the network or broadcast address of {1}")]
    GatewayAtEnd(IpAddr, IpNetwork),
}

impl Misfit {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Network(..) | Self::Broadcast(..) => "ask for it without a prefix, or for another address",
            Self::Gateway(..) | Self::GatewayAtEnd(..) => {
                "ask for it without a prefix, or name a gateway inside by annotation kube-ipam.gateway"
            }
        }
    }
}

/// `None` where it could. Alone in its subnet every address can be used: there main plugins such as `ptp` route it.
pub fn misfit(assignment: &Assignment, range: &Range) -> Option<Misfit> {
    let &Assignment { address, prefix_length, gateway, .. } = assignment;
    let subnet = network_of(IpNetwork::new(address, prefix_length).ok()?);
    let size = Span::of_subnet(subnet).len();
    if size == 1 {
        return None;
    }
    if size > 2 && address == subnet.network() {
        return Some(Misfit::Network(address, subnet));
    }
    if size > 2 && Family::of(address) == Family::V4 && address == subnet.broadcast() {
        return Some(Misfit::Broadcast(address, subnet));
    }
    // One outside its own range's subnet is reached in another way, whatever the length.
    let gateway = gateway.filter(|gateway| range.subnet().contains(*gateway))?;
    if !subnet.contains(gateway) {
        return Some(Misfit::Gateway(gateway, subnet));
    }
    let is_broadcast = Family::of(gateway) == Family::V4 && gateway == subnet.broadcast();
    if size > 2 && (gateway == subnet.network() || is_broadcast) {
        return Some(Misfit::GatewayAtEnd(gateway, subnet));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, RangeSpec};

    #[test]
    fn a_prefix_leaves_the_gateway_in_reach_or_the_address_alone() {
        let range = Range::new(&RangeSpec::of_subnet("10.61.0.0/24".parse().unwrap())).unwrap();
        for (address, prefix_length, gateway, expected) in [
            ("10.61.0.5", 28, Some("10.61.0.1"), "fits"),
            ("10.61.0.65", 28, None, "fits"),
            ("10.61.0.65", 16, Some("10.61.0.1"), "fits"),
            ("10.61.0.65", 32, Some("10.61.0.1"), "fits"),
            ("10.61.0.64", 31, None, "fits"),
            ("10.61.0.65", 28, Some("10.99.0.1"), "fits"),
            (
                "10.61.0.130",
                25,
                Some("10.61.0.128"),
                "its gateway 10.61.0.128 is the network or broadcast address of 10.61.0.128/25",
            ),
            (
                "10.61.0.65",
                28,
                Some("10.61.0.1"),
                "its gateway 10.61.0.1 is outside 10.61.0.64/28 and could not be reached",
            ),
            ("10.61.0.64", 28, None, "10.61.0.64 is the network address of 10.61.0.64/28"),
            ("10.61.0.79", 28, None, "10.61.0.79 is the broadcast address of 10.61.0.64/28"),
        ] {
            let (address, gateway) = (address.parse().unwrap(), gateway.map(|gateway| gateway.parse().unwrap()));
            let assignment = Assignment { address, prefix_length, gateway, kind: Kind::Fixed, hold: None, slot: None };
            let said = misfit(&assignment, &range).map_or("fits".to_owned(), |misfit| misfit.to_string());
            assert_eq!(said, expected, "{address}/{prefix_length}");
        }
    }
}
