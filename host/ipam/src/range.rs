//! A range: addresses first..last inside a subnet, with everything in it that is never handed out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use addresses::{Family, Misfit, Prefix, Span};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::proposal::Assignment;

/// What a person wrote: only the subnet is required. [`Range::new`] fills the rest in and checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// `subnet`, with the host bits that somebody may have written.
    #[serde(with = "super::words::subnet")]
    pub subnet: IpNetwork,
    #[serde(rename = "rangeStart", default, skip_serializing_if = "Option::is_none")]
    pub first: Option<IpAddr>,
    #[serde(rename = "rangeEnd", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<IpAddr>,
    #[serde(default, with = "super::words::gateway", skip_serializing_if = "Gateway::is_default")]
    pub gateway: Gateway,
    #[serde(rename = "fixedStart", default, skip_serializing_if = "Option::is_none")]
    pub fixed_first: Option<IpAddr>,
    #[serde(rename = "fixedEnd", default, skip_serializing_if = "Option::is_none")]
    pub fixed_last: Option<IpAddr>,
}

impl RangeSpec {
    /// A range that leaves everything but the subnet to the defaults.
    pub fn of_subnet(subnet: IpNetwork) -> Self {
        Self { subnet, first: None, last: None, gateway: Gateway::Default, fixed_first: None, fixed_last: None }
    }
}

/// What a range says of its gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gateway {
    /// Nothing: it has the default of its subnet.
    #[default]
    Default,
    /// `"none"`: pods are told none, and no address is set aside for one.
    None,
    /// This address, in the subnet or outside of it.
    At(IpAddr),
}

impl Gateway {
    /// Whether the range says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

/// A range that cannot be wrong: ends inside the subnet and in order, at least one usable address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: Prefix,
    span: Span,
    gateway: Option<IpAddr>,
    fixed: Option<Span>,
}

/// Why a range cannot be used. Fields are named as in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An address outside the subnet, or of the other family.
    #[error("{field} {address} is outside the subnet {subnet}")]
    Outside { field: &'static str, address: IpAddr, subnet: Prefix },
    /// A subnet that leaves nothing out.
    #[error("the subnet {subnet} covers every {} address", .subnet.family())]
    Everything { subnet: Prefix },
    /// A subnet with addresses that mean IPv4.
    #[error("the subnet {subnet} contains ::ffff:0:0/96, which is how IPv6 writes IPv4 addresses")]
    ContainsIpv4 { subnet: Prefix },
    /// An IPv4 gateway for IPv6, or the reverse.
    #[error("gateway {gateway} is not of the same family as the subnet {subnet}")]
    GatewayFamily { gateway: IpAddr, subnet: Prefix },
    /// A gateway that no pod could send a packet to.
    #[error("gateway {gateway} of the subnet {subnet} is {what}, which nothing can be sent through")]
    GatewayNowhere { gateway: IpAddr, subnet: Prefix, what: &'static str },
    /// The end is below the start.
    #[error("{start_field} {start} is above {end_field} {end}")]
    Inverted { start_field: &'static str, start: IpAddr, end_field: &'static str, end: IpAddr },
    /// One end of the fixed part without the other.
    #[error("fixedStart and fixedEnd belong together: {missing} is missing for subnet {subnet}")]
    HalfFixed { missing: &'static str, subnet: Prefix },
    /// Nothing is left to hand out.
    #[error(
        "the range {span} of subnet {subnet} has no usable address: all of it is gateway, network or broadcast address"
    )]
    Empty { span: Span, subnet: Prefix },
    /// Nothing is left to hand out by what is excluded.
    #[error("every usable address of the range {span} of subnet {subnet} is excluded")]
    Excluded { span: Span, subnet: Prefix },
    /// A range set with no range in it.
    #[error("range set {set} is empty: give it at least one range")]
    EmptySet { set: usize },
    /// IPv4 and IPv6 in one range set.
    #[error(
        "range set {set} mixes families: {one} and {two}; a range set offers one address, so put the other family into a range set of its own"
    )]
    MixedFamilies { set: usize, one: Prefix, two: Prefix },
    /// Two ranges share addresses.
    #[error("ranges {one} (range set {one_set}) and {two} (range set {two_set}) overlap")]
    Overlap { one: Span, one_set: usize, two: Span, two_set: usize },
}

impl RangeError {
    /// What to write instead, where the message does not say it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Everything { subnet } if subnet.family() == Family::V6 => {
                Some("name the part that pods may have, such as fd00:188::/64")
            }
            Self::Everything { .. } => Some("name the part that pods may have, such as 10.188.0.0/16"),
            Self::ContainsIpv4 { .. } => Some("choose another one, for example fd00:188::/64"),
            Self::GatewayFamily { .. } => Some("a network of two families has a range set, and a gateway, for each"),
            Self::GatewayNowhere { .. } => Some("name the router's address, or write \"none\" for no gateway"),
            Self::Empty { .. } => Some("enlarge the range: rangeStart and rangeEnd leave too little of the subnet"),
            Self::Excluded { .. } => Some("exclude less of it, or leave out the range"),
            _ => None,
        }
    }
}

impl Range {
    /// Fill in the defaults and check every field against the subnet.
    ///
    /// The gateway is .1, the first dynamic address .2, the last one the last usable address. A range whose gateway is
    /// none, or elsewhere, begins at .1. Of a subnet of two addresses both are hosts (RFC 3021 §2.1, RFC 6164 §6: no
    /// network, broadcast or anycast address), but one end of such a link is the node's: they have a gateway like every
    /// larger subnet, the second address, which is also what main plugin `bridge` takes where nobody names one. Only
    /// with `"gateway": "none"` both are for pods. A subnet of one address has room for no gateway.
    pub fn new(spec: &RangeSpec) -> Result<Self, RangeError> {
        let subnet = checked_subnet(spec.subnet)?;
        let gateway = match spec.gateway {
            Gateway::Default => subnet.default_gateway(),
            Gateway::None => None,
            Gateway::At(gateway) => Some(checked_gateway(gateway, subnet)?),
        };
        let default = subnet.default_range(gateway);
        let first = inside(subnet, "rangeStart", spec.first)?.unwrap_or(default.first());
        let last = inside(subnet, "rangeEnd", spec.last)?.unwrap_or(default.last());
        let span = ordered("rangeStart", first, "rangeEnd", last)?;
        let fixed_ends =
            (inside(subnet, "fixedStart", spec.fixed_first)?, inside(subnet, "fixedEnd", spec.fixed_last)?);
        let fixed = match fixed_ends {
            (Some(first), Some(last)) => Some(ordered("fixedStart", first, "fixedEnd", last)?),
            (None, None) => None,
            (None, Some(_)) => return Err(RangeError::HalfFixed { missing: "fixedStart", subnet }),
            (Some(_), None) => return Err(RangeError::HalfFixed { missing: "fixedEnd", subnet }),
        };
        Ok(Self { subnet, span, gateway, fixed })
    }

    /// The subnet that the range lies in. Pods may name addresses of it beyond the range.
    pub fn subnet(&self) -> Prefix {
        self.subnet
    }

    /// `rangeStart` to `rangeEnd`, both included: where dynamic addresses come from.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The gateway, in the subnet or not; never handed out.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// `fixedStart` to `fixedEnd`, both included: kept for pods that name their address.
    pub fn fixed(&self) -> Option<Span> {
        self.fixed
    }

    /// The family of the subnet.
    pub fn family(&self) -> Family {
        self.span.family()
    }

    /// The network address of the subnet, if it has one: see [`Prefix::network_address`].
    pub fn network_address(&self) -> Option<IpAddr> {
        self.subnet.network_address()
    }

    /// The broadcast address of the subnet, if it has one: see [`Prefix::broadcast_address`].
    pub fn broadcast_address(&self) -> Option<IpAddr> {
        self.subnet.broadcast_address()
    }

    /// Why a pod could not use its address as the assignment shows it; `None` where it can.
    pub fn misfit(&self, assignment: &Assignment) -> Option<Misfit> {
        // A gateway outside the range's own subnet is reached in another way, whatever the length.
        let gateway = assignment.gateway.filter(|gateway| self.subnet.contains(*gateway));
        Misfit::find(assignment.address, assignment.prefix_length, gateway)
    }
}

/// The subnet with its host bits cleared.
pub fn network_of(subnet: IpNetwork) -> Prefix {
    // A length that the family does not have cannot be in one of these.
    Prefix::new(subnet.ip(), subnet.prefix()).unwrap_or(Prefix::host(subnet.ip()))
}

/// The subnet, where it is one that a network can have.
fn checked_subnet(subnet: IpNetwork) -> Result<Prefix, RangeError> {
    const MAPPED: IpAddr = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0));
    let subnet = network_of(subnet);
    if subnet.length() == 0 {
        return Err(RangeError::Everything { subnet });
    }
    // Whatever reads such an address takes it for IPv4: it would never be found again in its range.
    if subnet.contains(MAPPED) {
        return Err(RangeError::ContainsIpv4 { subnet });
    }
    Ok(subnet)
}

/// The gateway, where it is one that a pod could send to. Inside the subnet that is for whoever chose the subnet to know.
fn checked_gateway(gateway: IpAddr, subnet: Prefix) -> Result<IpAddr, RangeError> {
    if Family::of(gateway) != subnet.family() {
        return Err(RangeError::GatewayFamily { gateway, subnet });
    }
    let what = match gateway {
        _ if subnet.contains(gateway) => return Ok(gateway),
        unspecified if unspecified.is_unspecified() => "the unspecified address",
        multicast if multicast.is_multicast() => "a multicast address",
        loopback if loopback.is_loopback() => "a loopback address",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "the broadcast address",
        gateway => return Ok(gateway),
    };
    Err(RangeError::GatewayNowhere { gateway, subnet, what })
}

fn inside(subnet: Prefix, field: &'static str, address: Option<IpAddr>) -> Result<Option<IpAddr>, RangeError> {
    match address {
        Some(address) if !subnet.contains(address) => Err(RangeError::Outside { field, address, subnet }),
        given => Ok(given),
    }
}

fn ordered(start_field: &'static str, start: IpAddr, end_field: &'static str, end: IpAddr) -> Result<Span, RangeError> {
    Span::new(start, end).ok_or(RangeError::Inverted { start_field, start, end_field, end })
}

#[cfg(test)]
mod tests;
