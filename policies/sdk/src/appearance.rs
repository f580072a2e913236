//! How the pod shall see its addresses: annotations `kube-ipam.netmask` and `kube-ipam.gateway`, and the length an address
//! was named with.

use std::net::IpAddr;

use addresses::Misfit;

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

    /// The assignment as the pod asked to see it, where it asked for anything.
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
        let mut placed: Vec<(Span, &AddressRange)> = Vec::with_capacity(spans.len());
        for span in spans {
            if let Some(range) = request.range_sets.containing(span.first()) {
                placed.push((*span, range));
            }
        }
        // A gateway says which of several subnets is meant; one that is in none of them is for another range set.
        if is_dynamic && placed.iter().any(|(_, range)| self.gateway(range).is_some()) {
            placed.retain(|(_, range)| self.gateway(range).is_some());
        }
        placed.into_iter().flat_map(|(span, range)| self.fitting_in(span, range)).collect()
    }

    /// Without a gateway, of the first subnet of that length.
    fn fitting_in(&self, span: Span, range: &AddressRange) -> Vec<Span> {
        let mut fitting = Some(span);
        // Alone in its subnet an address needs neither a gateway in it nor to keep off its ends.
        if let Some(length) = self.length(range.family()).filter(|length| *length < range.family().bits()) {
            let gateway = self.gateway(range).or(range.gateway).filter(|gateway| range.subnet.contains(*gateway));
            let subnet = Prefix::new(gateway.unwrap_or(span.first()), length);
            fitting = subnet.and_then(|subnet| span.intersection(&subnet.usable()));
        }
        without(fitting.into_iter().collect(), self.gateways.iter().copied().map(Span::single))
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
        let ranges: Vec<&AddressRange> =
            request.range_sets.ranges().filter(|range| may_serve(range, addresses)).collect();
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

/// Whether the pod may have an address of the range: it names one of its subnet, or none of its family.
fn may_serve(range: &AddressRange, addresses: &[(IpAddr, Option<u8>)]) -> bool {
    let mut none_of_family = true;
    for (address, _) in addresses {
        if range.subnet.contains(*address) {
            return true;
        }
        none_of_family &= Family::of(*address) != range.family();
    }
    none_of_family
}

/// The families of what is named, or where nothing is, of the network.
fn families(request: &Request, addresses: &[(IpAddr, Option<u8>)], choice: &[Span]) -> Vec<Family> {
    let mut named: Vec<Family> = addresses.iter().map(|(address, _)| Family::of(*address)).collect();
    named.extend(choice.iter().map(Span::family));
    let mut families = Family::BOTH.to_vec();
    if named.is_empty() {
        families.retain(|family| request.range_sets.has(*family));
    } else {
        families.retain(|family| named.contains(family));
    }
    families
}

/// Why the pod could not use its address in a subnet of this length, and what its author may do.
pub(crate) fn explain(misfit: Misfit) -> String {
    let unreachable = match misfit {
        Misfit::Network(..) | Misfit::Broadcast(..) => return misfit.to_string(),
        Misfit::Gateway(..) => misfit.to_string(),
        Misfit::GatewayAtEnd(..) => format!("{misfit} and could not be reached"),
    };
    format!("{unreachable}; leave out the length, or name a gateway in that subnet with annotation {GATEWAY}")
}
