//! A range: addresses first..last inside a subnet, with everything in it that is never handed out.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::address::{Family, Span, number};

/// What a person wrote: only the subnet is required. [`Range::new`] fills the rest in and checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// `subnet`, with or without host bits.
    #[serde(with = "super::words::subnet")]
    pub subnet: IpNetwork,
    /// `rangeStart`.
    #[serde(rename = "rangeStart", default, skip_serializing_if = "Option::is_none")]
    pub first: Option<IpAddr>,
    /// `rangeEnd`.
    #[serde(rename = "rangeEnd", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<IpAddr>,
    /// `gateway`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// `fixedStart`.
    #[serde(rename = "fixedStart", default, skip_serializing_if = "Option::is_none")]
    pub fixed_first: Option<IpAddr>,
    /// `fixedEnd`.
    #[serde(rename = "fixedEnd", default, skip_serializing_if = "Option::is_none")]
    pub fixed_last: Option<IpAddr>,
}

impl RangeSpec {
    /// A range that leaves everything but the subnet to the defaults.
    pub fn of_subnet(subnet: IpNetwork) -> Self {
        Self { subnet, first: None, last: None, gateway: None, fixed_first: None, fixed_last: None }
    }
}

/// A range that cannot be wrong: ends inside the subnet and in order, gateway inside, at least one usable address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    span: Span,
    gateway: Option<IpAddr>,
    fixed: Option<Span>,
}

/// Why a range cannot be used. Fields are named as in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An address outside the subnet, or of the other family.
    #[error("{field} {address} is outside the subnet {subnet}")]
    Outside {
        /// The configuration's field.
        field: &'static str,
        /// What it held.
        address: IpAddr,
        /// The subnet it must lie in.
        subnet: IpNetwork,
    },
    /// The end is below the start.
    #[error("{start_field} {start} is above {end_field} {end}")]
    Inverted {
        /// The field of the lower end.
        start_field: &'static str,
        /// What it held.
        start: IpAddr,
        /// The field of the upper end.
        end_field: &'static str,
        /// What it held.
        end: IpAddr,
    },
    /// One end of the fixed part without the other.
    #[error("fixedStart and fixedEnd belong together: {missing} is missing for subnet {subnet}")]
    HalfFixed {
        /// The field that is missing.
        missing: &'static str,
        /// The range it concerns.
        subnet: IpNetwork,
    },
    /// Nothing is left to hand out.
    #[error(
        "the range {span} of subnet {subnet} has no usable address: all of it is gateway, network, broadcast or excluded"
    )]
    Empty {
        /// The range.
        span: Span,
        /// Its subnet.
        subnet: IpNetwork,
    },
    /// A range set with no range in it.
    #[error("range set {set} is empty: give it at least one range")]
    EmptySet {
        /// Index of the range set.
        set: usize,
    },
    /// IPv4 and IPv6 in one range set.
    #[error(
        "range set {set} mixes families: {one} and {two}; a range set offers one address, so put the other family into a range set of its own"
    )]
    MixedFamilies {
        /// Index of the range set.
        set: usize,
        /// A range of one family.
        one: IpNetwork,
        /// A range of the other.
        two: IpNetwork,
    },
    /// Two ranges share addresses.
    #[error("ranges {one} (range set {one_set}) and {two} (range set {two_set}) overlap")]
    Overlap {
        /// The first of the two.
        one: Span,
        /// Its range set.
        one_set: usize,
        /// The second of the two.
        two: Span,
        /// Its range set.
        two_set: usize,
    },
}

impl Range {
    /// Fill in the defaults (gateway .1, first .2, last the last usable address; subnets of one or two addresses
    /// have no gateway and use all of them, RFC 3021 and RFC 6164) and check every field against the subnet.
    pub fn new(spec: &RangeSpec) -> Result<Self, RangeError> {
        let subnet = network_of(spec.subnet);
        let whole = Span::of_subnet(subnet);
        let family = whole.family();
        let nth = |n: u128| family.address(number(whole.first()) + n);
        let roomy = whole.len() > 2;

        let inside = |field, address: Option<IpAddr>| match address {
            Some(address) if !whole.contains(address) => Err(RangeError::Outside { field, address, subnet }),
            other => Ok(other),
        };
        let default_first = if roomy { nth(2) } else { whole.first() };
        let first = inside("rangeStart", spec.first)?.unwrap_or(default_first);
        let last = inside("rangeEnd", spec.last)?.unwrap_or_else(|| last_usable(subnet));
        let gateway = inside("gateway", spec.gateway)?.or_else(|| roomy.then(|| nth(1)));
        let span = ordered("rangeStart", first, "rangeEnd", last)?;
        let fixed = match (inside("fixedStart", spec.fixed_first)?, inside("fixedEnd", spec.fixed_last)?) {
            (Some(first), Some(last)) => Some(ordered("fixedStart", first, "fixedEnd", last)?),
            (None, None) => None,
            (None, Some(_)) => return Err(RangeError::HalfFixed { missing: "fixedStart", subnet }),
            (Some(_), None) => return Err(RangeError::HalfFixed { missing: "fixedEnd", subnet }),
        };
        Ok(Self { subnet, span, gateway, fixed })
    }

    /// The subnet, host bits zero.
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// `rangeStart` to `rangeEnd`.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The gateway; never handed out.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// `fixedStart` to `fixedEnd`.
    pub fn fixed(&self) -> Option<Span> {
        self.fixed
    }

    /// The family of the subnet.
    pub fn family(&self) -> Family {
        self.span.family()
    }

    /// The network address (IPv6: the subnet-router anycast address, RFC 4291 §2.6.1), if the subnet has one.
    pub fn network_address(&self) -> Option<IpAddr> {
        (Span::of_subnet(self.subnet).len() > 2).then(|| self.subnet.network())
    }

    /// The broadcast address; IPv6 has none, nor has an IPv4 subnet of one or two addresses.
    pub fn broadcast_address(&self) -> Option<IpAddr> {
        let has_one = self.family() == Family::V4 && Span::of_subnet(self.subnet).len() > 2;
        has_one.then(|| self.subnet.broadcast())
    }
}

/// The subnet with its host bits cleared.
pub fn network_of(subnet: IpNetwork) -> IpNetwork {
    IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}

fn last_usable(subnet: IpNetwork) -> IpAddr {
    let whole = Span::of_subnet(subnet);
    let skip = u128::from(whole.family() == Family::V4 && whole.len() > 2);
    whole.family().address(number(whole.last()) - skip)
}

fn ordered(start_field: &'static str, start: IpAddr, end_field: &'static str, end: IpAddr) -> Result<Span, RangeError> {
    Span::new(start, end).ok_or(RangeError::Inverted { start_field, start, end_field, end })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn subnets_of_one_and_two_addresses_use_all_of_them() {
        assert_eq!(range("10.0.0.4/31").span().to_string(), "10.0.0.4-10.0.0.5");
        assert_eq!(range("10.0.0.4/31").gateway(), None);
        assert_eq!(range("fd00::4/128").span().to_string(), "fd00::4");
    }

    #[test]
    fn a_gateway_outside_is_named_with_its_subnet() {
        let mut spec = RangeSpec::of_subnet("10.0.0.0/24".parse().unwrap());
        spec.gateway = Some("10.0.1.1".parse().unwrap());
        let error = Range::new(&spec).unwrap_err().to_string();
        assert_eq!(error, "gateway 10.0.1.1 is outside the subnet 10.0.0.0/24");
    }
}
