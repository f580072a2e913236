//! How the pod shall see its named addresses: annotations `kube-ipam.netmask` and `kube-ipam.gateway`.

use std::net::IpAddr;

use crate::address::{Family, Prefix, Span};
use crate::annotations::{Annotation, GATEWAY, NETMASK};
use crate::log;
use crate::proposal::{Assignment, Refusal};
use crate::range::{AddressRange, list};
use crate::request::Request;

/// A subnet length for each family and a gateway for each subnet, as far as the pod named any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appearance {
    lengths: Vec<(Family, u8)>,
    gateways: Vec<IpAddr>,
}

impl Appearance {
    /// A malformed annotation is refused even where it has no effect: it says less than its author believes.
    pub(crate) fn read(
        request: &Request,
        addresses: &[(IpAddr, Option<u8>)],
        choice: &[Span],
    ) -> Result<Self, Refusal> {
        let named = addresses.iter().map(|(address, _)| Family::of(*address)).chain(choice.iter().map(Span::family));
        let families: Vec<Family> =
            Family::BOTH.into_iter().filter(|family| named.clone().any(|other| other == *family)).collect();
        let netmask = Annotation::find(request, NETMASK);
        let gateway = Annotation::find(request, GATEWAY);
        let appearance = Self {
            lengths: netmask.as_ref().map(|netmask| netmask.netmasks(&families)).transpose()?.unwrap_or_default(),
            gateways: gateway.as_ref().map(Annotation::gateways).transpose()?.unwrap_or_default(),
        };
        if families.is_empty() {
            for annotation in netmask.iter().chain(&gateway) {
                log::warn(&format!("{annotation} has no effect: the pod names no address for this network"));
            }
            return Ok(Self::default());
        }
        if let Some(netmask) = netmask {
            appearance.check_lengths(request, addresses, &netmask)?;
        }
        if let Some(gateway) = gateway {
            appearance.check_gateways(request, addresses, &gateway)?;
        }
        Ok(appearance)
    }

    pub(crate) fn dress(&self, mut assignment: Assignment, range: &AddressRange) -> Assignment {
        if let Some((_, length)) = self.lengths.iter().find(|(family, _)| *family == range.family()) {
            assignment.prefix_length = *length;
        }
        if let Some(gateway) = self.gateways.iter().find(|gateway| range.reaches(**gateway)) {
            assignment.gateway = Some(*gateway);
        }
        assignment
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
            if [range.network_address(), range.broadcast_address()].contains(&Some(*gateway)) {
                return Err(
                    annotation.invalid(format_args!("{gateway} is the network or broadcast address of {subnet}"))
                );
            }
        }
        Ok(())
    }
}
