//! For native tests of a policy: requests of plain values, and a pool that answers like the host.

mod cases;
mod pool_double;

use std::net::IpAddr;

pub use cases::check_cases;
pub use pool_double::PoolDouble;

use crate::address::{Prefix, Span};
use crate::proposal::Proposal;
use crate::range::{AddressRange, RangeSet, RangeSets};
use crate::request::{Pod, Request};

/// A range over a whole subnet with the host's defaults: gateway .1, from .2 to the last usable address; of two
/// addresses the second is the gateway, one alone has none.
///
/// # Panics
/// When the text is not a subnet.
pub fn range(subnet: &str) -> AddressRange {
    let Ok(subnet) = subnet.parse::<Prefix>() else { panic!("{subnet:?} is not a subnet") };
    let gateway = subnet.default_gateway();
    AddressRange { subnet, span: subnet.default_range(gateway), gateway, fixed: None, excluded: Vec::new() }
}

impl AddressRange {
    /// With this gateway, or with none. As the host does it, a range whose gateway is none, or elsewhere, begins with the
    /// first usable address.
    #[must_use]
    pub fn with_gateway(mut self, gateway: Option<IpAddr>) -> Self {
        self.gateway = gateway;
        if gateway.is_some_and(|gateway| self.subnet.contains(gateway)) {
            return self;
        }
        self.span = Span::new(self.subnet.usable().first(), self.span.last()).unwrap_or(self.span);
        self
    }
}

/// One range set for each subnet.
pub fn range_sets(subnets: &[&str]) -> RangeSets {
    RangeSets(subnets.iter().map(|subnet| RangeSet(vec![range(subnet)])).collect())
}

/// Pod `default/web-0` asks in network `blue`, for the first time, for one address of each subnet.
pub fn request(subnets: &[&str]) -> Request {
    let pod = Pod { namespace: "default".to_owned(), name: "web-0".to_owned(), ..Pod::default() };
    Request {
        network: "blue".to_owned(),
        container_id: "c0ffee".to_owned(),
        interface_name: "eth0".to_owned(),
        node: "node-1".to_owned(),
        pod: Some(pod),
        range_sets: range_sets(subnets),
        ..Request::default()
    }
}

impl Request {
    /// With one more annotation of its pod, or of the container without a pod.
    #[must_use]
    pub fn annotated(mut self, name: &str, value: &str) -> Self {
        let annotations = self.pod.as_mut().map_or(&mut self.annotations, |pod| &mut pod.annotations);
        annotations.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The addresses of proposals, to compare: those of one proposal joined by ` + `.
pub fn addresses(proposals: &[Proposal]) -> Vec<String> {
    let mut joined = Vec::with_capacity(proposals.len());
    for proposal in proposals {
        let addresses: Vec<String> = proposal.iter().map(|assignment| assignment.address.to_string()).collect();
        joined.push(addresses.join(" + "));
    }
    joined
}

fn parse(address: &str) -> IpAddr {
    match address.parse() {
        Ok(address) => address,
        Err(_) => panic!("{address:?} is not an address"),
    }
}
