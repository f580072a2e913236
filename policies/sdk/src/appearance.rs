//! How the pod shall see its addresses: annotations `kube-ipam.netmask` and `kube-ipam.gateway`, and the length an address
//! was named with.

use std::net::IpAddr;

use crate::address::{Family, Prefix, Span, without};
use crate::annotations::{Annotation, GATEWAY, NETMASK};
use crate::proposal::{Assignment, Refusal};
use crate::range::{AddressRange, list};
use crate::request::Request;

/// A subnet length for each family and a gateway for each subnet, as far as the pod named any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appearance<'a> {
    netmask: Option<Annotation<'a>>,
    lengths: Vec<(Family, u8)>,
    gateways: Vec<IpAddr>,
}

impl<'a> Appearance<'a> {
    /// A malformed annotation is refused even where it has no effect: it says less than its author believes.
    pub(crate) fn read(
        request: &'a Request,
        addresses: &[(IpAddr, Option<u8>)],
        choice: &[Span],
    ) -> Result<Self, Refusal> {
        let netmask = Annotation::find(request, NETMASK);
        let gateway = Annotation::find(request, GATEWAY);
        if netmask.is_none() && gateway.is_none() {
            return Ok(Self::default());
        }
        let families = families(request, addresses, choice);
        let appearance = Self {
            lengths: netmask.as_ref().map(|netmask| netmask.netmasks(&families)).transpose()?.unwrap_or_default(),
            gateways: gateway.as_ref().map(Annotation::gateways).transpose()?.unwrap_or_default(),
            netmask,
        };
        if let Some(netmask) = &appearance.netmask {
            appearance.check_lengths(request, addresses, netmask)?;
        }
        if let Some(gateway) = gateway {
            appearance.check_gateways(request, addresses, &gateway)?;
        }
        Ok(appearance)
    }

    /// The annotation that says how long the subnet is.
    pub(crate) fn netmask(&self) -> Option<&Annotation<'a>> {
        self.netmask.as_ref()
    }

    pub(crate) fn dress(&self, mut assignment: Assignment, range: &AddressRange) -> Assignment {
        if let Some(length) = self.length(range.family()) {
            assignment.prefix_length = length;
        }
        if let Some(gateway) = self.gateway(range) {
            assignment.gateway = Some(gateway);
        }
        assignment
    }

    /// What of a draw's spans can be seen so: an address that reaches its gateway, and is not that gateway. Where a pod of
    /// no particular address names a gateway, it gets an address of that one's subnet.
    pub(crate) fn fitting(&self, request: &Request, spans: &[Span], is_dynamic: bool) -> Vec<Span> {
        let ranges = |span: &Span| request.range_sets.containing(span.first());
        let has_gateway = |span: &&Span| ranges(span).is_some_and(|range| self.gateway(range).is_some());
        let any_has_gateway = is_dynamic && spans.iter().any(|span| has_gateway(&span));
        let meant = spans.iter().filter(|span| !any_has_gateway || has_gateway(span));
        meant.filter_map(|span| Some(self.fitting_in(*span, ranges(span)?))).flatten().collect()
    }

    /// Without a gateway, of the first subnet of that length.
    fn fitting_in(&self, span: Span, range: &AddressRange) -> Vec<Span> {
        let mut fitting = vec![span];
        if let Some(length) = self.length(range.family()).filter(|length| *length < range.family().bits()) {
            let gateway = self.gateway(range).or(range.gateway).filter(|gateway| range.subnet.contains(*gateway));
            let Some(subnet) = Prefix::new(gateway.unwrap_or(span.first()), length) else { return fitting };
            let ends = [subnet.network_address(), subnet.broadcast_address()].into_iter().flatten();
            fitting = without(span.intersection(&subnet.span()).into_iter().collect(), ends.map(Span::single));
        }
        without(fitting, self.gateways.iter().copied().map(Span::single))
    }

    fn length(&self, family: Family) -> Option<u8> {
        self.lengths.iter().find(|(of, _)| *of == family).map(|(_, length)| *length)
    }

    fn gateway(&self, range: &AddressRange) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|gateway| range.reaches(*gateway))
    }

    fn check_lengths(
        &self,
        request: &Request,
        addresses: &[(IpAddr, Option<u8>)],
        netmask: &Annotation<'_>,
    ) -> Result<(), Refusal> {
        for &(family, length) in &self.lengths {
            if !request.range_sets.has(family) {
                let network = &request.network;
                return Err(netmask.invalid(format_args!("network {network:?} has no {family} range")));
            }
            let same_family = addresses.iter().filter(|(address, _)| Family::of(*address) == family);
            for (address, own) in same_family.filter_map(|(address, own)| own.map(|own| (address, own))) {
                if own != length {
                    return Err(netmask.invalid(format_args!("it contradicts the length of {address}/{own}")));
                }
            }
        }
        Ok(())
    }

    /// A gateway must be of use to an address the pod gets: in the subnet of a named one or, for a family of which
    /// none is named, in any subnet.
    fn check_gateways(
        &self,
        request: &Request,
        addresses: &[(IpAddr, Option<u8>)],
        annotation: &Annotation<'_>,
    ) -> Result<(), Refusal> {
        let is_of_use = |range: &&AddressRange| {
            let mut same_family =
                addresses.iter().filter(|(address, _)| Family::of(*address) == range.family()).peekable();
            same_family.peek().is_none() || same_family.any(|(address, _)| range.subnet.contains(*address))
        };
        let ranges: Vec<&AddressRange> = request.range_sets.ranges().filter(is_of_use).collect();
        for (nth, gateway) in self.gateways.iter().enumerate() {
            let Some(range) = ranges.iter().find(|range| range.reaches(*gateway)) else {
                let subnets = list(ranges.iter().map(|range| range.subnet));
                return Err(
                    annotation.invalid(format_args!("{gateway} is outside the subnet of the address ({subnets})"))
                );
            };
            let subnet: Prefix = range.subnet;
            if self.gateways[..nth].iter().any(|earlier| range.reaches(*earlier)) {
                return Err(annotation.invalid(format_args!("there are two gateways for the subnet {subnet}")));
            }
            if addresses.iter().any(|(address, _)| address == gateway) {
                return Err(annotation.invalid(format_args!("{gateway} is the address of the pod itself")));
            }
            if [subnet.network_address(), subnet.broadcast_address()].contains(&Some(*gateway)) {
                return Err(
                    annotation.invalid(format_args!("{gateway} is the network or broadcast address of {subnet}"))
                );
            }
        }
        Ok(())
    }
}

/// The families of what is named, or where nothing is, of the network.
fn families(request: &Request, addresses: &[(IpAddr, Option<u8>)], choice: &[Span]) -> Vec<Family> {
    let named = addresses.iter().map(|(address, _)| Family::of(*address)).chain(choice.iter().map(Span::family));
    let named: Vec<Family> = named.collect();
    let is_meant = |family: &Family| match named.is_empty() {
        true => request.range_sets.has(*family),
        false => named.contains(family),
    };
    Family::BOTH.into_iter().filter(is_meant).collect()
}

/// Why a pod could not use its address in a subnet of this length; `None` where it can. Alone in its subnet every address
/// can be used: there the main plugin routes it.
pub(crate) fn misfit(assignment: &Assignment, range: &AddressRange) -> Option<String> {
    let &Assignment { address, prefix_length, gateway, .. } = assignment;
    let subnet = Prefix::new(address, prefix_length).filter(|subnet| subnet.span().size() > 1)?;
    if subnet.network_address() == Some(address) {
        return Some(format!("{address} is the network address of {subnet}"));
    }
    if subnet.broadcast_address() == Some(address) {
        return Some(format!("{address} is the broadcast address of {subnet}"));
    }
    // One outside its own range's subnet is reached in another way, whatever the length.
    let gateway = gateway.filter(|gateway| range.subnet.contains(*gateway))?;
    let is_end = [subnet.network_address(), subnet.broadcast_address()].contains(&Some(gateway));
    if subnet.contains(gateway) && !is_end {
        return None;
    }
    let why = if is_end { "is the network or broadcast address of" } else { "is outside" };
    Some(format!(
        "its gateway {gateway} {why} {subnet} and could not be reached; leave out the length, or name a gateway inside by \
         annotation {GATEWAY}"
    ))
}
