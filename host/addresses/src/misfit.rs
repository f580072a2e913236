//! Whether a pod could use an address in a subnet of some length.

use core::fmt;
use core::net::IpAddr;

use crate::prefix::Prefix;

/// Why a pod could not use an address in a subnet of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The address is that of the network.
    Network(IpAddr, Prefix),
    /// The address is the one that means all hosts.
    Broadcast(IpAddr, Prefix),
    /// The gateway is outside: the main plugin's routes would fail with "network is unreachable".
    Gateway(IpAddr, Prefix),
    /// The gateway has the network or broadcast address, which no router can have.
    GatewayAtEnd(IpAddr, Prefix),
}

impl Misfit {
    /// What is wrong with an address in its subnet of this length. The gateway is the one that lies in the larger subnet of
    /// the address's range; one that lies elsewhere is reached in another way, whatever the length.
    pub fn find(address: IpAddr, length: u8, gateway: Option<IpAddr>) -> Option<Self> {
        let subnet = Prefix::new(address, length)?;
        if subnet.span().size() == 1 {
            // Alone in its subnet every address can be used: there main plugins such as `ptp` route it.
            return None;
        }
        if subnet.network_address() == Some(address) {
            return Some(Self::Network(address, subnet));
        }
        if subnet.broadcast_address() == Some(address) {
            return Some(Self::Broadcast(address, subnet));
        }
        let gateway = gateway?;
        if !subnet.contains(gateway) {
            return Some(Self::Gateway(gateway, subnet));
        }
        let ends = [subnet.network_address(), subnet.broadcast_address()];
        ends.contains(&Some(gateway)).then_some(Self::GatewayAtEnd(gateway, subnet))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address, subnet) => write!(f, "{address} is the network address of {subnet}"),
            Self::Broadcast(address, subnet) => write!(f, "{address} is the broadcast address of {subnet}"),
            Self::Gateway(gateway, subnet) => {
                write!(f, "its gateway {gateway} is outside {subnet} and could not be reached")
            }
            Self::GatewayAtEnd(gateway, subnet) => {
                write!(f, "its gateway {gateway} is the network or broadcast address of {subnet}")
            }
        }
    }
}

impl core::error::Error for Misfit {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_length_leaves_the_gateway_in_reach_or_the_address_alone() {
        for (address, length, gateway, expected) in [
            ("10.61.0.5", 28, Some("10.61.0.1"), "fits"),
            ("10.61.0.65", 28, None, "fits"),
            ("10.61.0.65", 16, Some("10.61.0.1"), "fits"),
            ("10.61.0.65", 32, Some("10.61.0.1"), "fits"),
            ("10.61.0.64", 31, None, "fits"),
            ("10.61.0.65", 33, None, "fits"),
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
            ("fd00::f", 124, None, "fits"),
        ] {
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            let misfit = Misfit::find(address.parse().unwrap(), length, gateway);
            let said = misfit.map_or("fits".to_string(), |misfit| misfit.to_string());
            assert_eq!(said, expected, "{address}/{length}");
        }
    }
}
