//! Between the generated types and the plain ones. What the host sends is valid: spans are in order, prefixes have
//! no host bits.

use std::net::IpAddr;

use super::bindings::exports::kube_ipam::policy::allocator;
use super::bindings::kube_ipam::policy::types as wit;
use crate::{address, policy, pool, proposal, range, request};

impl From<wit::IpAddress> for IpAddr {
    fn from(address: wit::IpAddress) -> Self {
        match address {
            wit::IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
            wit::IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
        }
    }
}

impl From<IpAddr> for wit::IpAddress {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::Ipv4(v4.octets().into()),
            IpAddr::V6(v6) => Self::Ipv6(v6.segments().into()),
        }
    }
}

impl From<address::Span> for wit::IpSpan {
    fn from(span: address::Span) -> Self {
        Self { first: span.first().into(), last: span.last().into() }
    }
}

/// Ends in order and of one family are the host's promise.
impl From<wit::IpSpan> for address::Span {
    fn from(span: wit::IpSpan) -> Self {
        let first = span.first.into();
        Self::new(first, span.last.into()).unwrap_or(Self::single(first))
    }
}

impl From<wit::IpPrefix> for address::Prefix {
    fn from(prefix: wit::IpPrefix) -> Self {
        let address = prefix.address.into();
        Self::new(address, prefix.length).unwrap_or(Self::host(address))
    }
}

impl From<wit::AddressRange> for range::AddressRange {
    fn from(range: wit::AddressRange) -> Self {
        Self {
            subnet: range.subnet.into(),
            span: range.span.into(),
            gateway: range.gateway.map(Into::into),
            fixed: range.fixed.map(Into::into),
            excluded: range.excluded.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<wit::Request> for request::Request {
    fn from(request: wit::Request) -> Self {
        let mut range_sets = Vec::with_capacity(request.range_sets.len());
        for ranges in request.range_sets {
            range_sets.push(range::RangeSet(ranges.into_iter().map(Into::into).collect()));
        }
        // The world has a place for annotations in a pod alone; those of a container without one come in a pod without a name.
        let (pod, annotations) = match request.pod {
            Some(pod) if pod.namespace.is_empty() && pod.name.is_empty() => (None, pod.annotations),
            pod => (pod.map(Into::into), Vec::new()),
        };
        Self {
            network: request.network,
            container_id: request.container_id,
            interface_name: request.interface_name,
            node: request.node,
            pod,
            annotations,
            requested: request.requested.into_iter().map(Into::into).collect(),
            previous: request.previous.into_iter().map(Into::into).collect(),
            range_sets: range::RangeSets(range_sets),
            attempt: request.attempt,
            namespace: request.namespace_metadata.map(Into::into),
            node_metadata: request.node_metadata.map(Into::into),
        }
    }
}

impl From<wit::Metadata> for request::Metadata {
    fn from(metadata: wit::Metadata) -> Self {
        let wit::Metadata { labels, annotations } = metadata;
        Self { labels, annotations }
    }
}

impl From<wit::Pod> for request::Pod {
    fn from(pod: wit::Pod) -> Self {
        let wit::Pod { namespace, name, uid, annotations, labels, owner } = pod;
        let owner = owner.map(|wit::OwnerRef { kind, name }| request::Owner { kind, name });
        Self { namespace, name, uid, annotations, labels, owner }
    }
}

impl From<wit::Holder> for pool::Holder {
    fn from(holder: wit::Holder) -> Self {
        match holder {
            wit::Holder::Hold(identity) => Self::Hold(identity),
            wit::Holder::Attachment(attachment) => {
                let wit::AttachmentHolder { container_id, interface_name, network, node, pod, since } = attachment;
                Self::Attachment(pool::AttachmentHolder { container_id, interface_name, network, node, pod, since })
            }
        }
    }
}

pub(super) fn proposal(proposal: proposal::Proposal) -> wit::Proposal {
    proposal.into_iter().map(Into::into).collect()
}

impl From<proposal::Assignment> for wit::Assignment {
    fn from(assignment: proposal::Assignment) -> Self {
        Self {
            address: assignment.address.into(),
            prefix_length: assignment.prefix_length,
            gateway: assignment.gateway.map(Into::into),
            kind: match assignment.kind {
                proposal::Kind::Dynamic => wit::AssignmentKind::Dynamic,
                proposal::Kind::Fixed => wit::AssignmentKind::Fixed,
            },
            hold: assignment.hold.map(|proposal::Hold { identity, seconds }| wit::Hold { identity, seconds }),
            slot: assignment.slot.map(|proposal::Slot { name, number }| wit::Slot { name, number }),
        }
    }
}

impl From<proposal::Refusal> for wit::Refusal {
    fn from(refusal: proposal::Refusal) -> Self {
        match refusal {
            proposal::Refusal::Exhausted(why) => Self::Exhausted(why),
            proposal::Refusal::Taken(why) => Self::Taken(why),
            proposal::Refusal::Invalid(why) => Self::Invalid(why),
            proposal::Refusal::Denied(why) => Self::Denied(why),
        }
    }
}

pub(super) fn description(description: &policy::Description, annotations: &[&str]) -> allocator::Description {
    allocator::Description {
        name: description.name.to_owned(),
        version: description.version.to_owned(),
        summary: description.summary.to_owned(),
        settings_schema: description.schema_with(annotations),
    }
}
