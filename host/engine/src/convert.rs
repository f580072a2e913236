//! Between the subject's types and the guest's, both ways. The only file that knows both.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::bindings::exports::kube_ipam::policy::allocator;
use super::bindings::kube_ipam::policy::types as wit;
use super::error::Fault;
use super::text::{tame, tame_lines};
use limits::{ASSIGNMENTS, IDENTITY, Limit, PROPOSALS, SCHEMA, TEXT};

/// What a module says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// A short name, as the module calls itself: not the file's.
    pub name: String,
    /// The version, in whatever form its author counts.
    pub version: String,
    /// One line on what the rule does.
    pub summary: String,
    /// A JSON Schema of the settings; empty when there are none.
    pub settings_schema: String,
    /// The annotations beginning with `kube-ipam.` that it reads; absent where it says nothing of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<String>>,
}

/// The member of the settings schema that names the annotations a policy reads. A schema may have members of others'.
pub(super) const ANNOTATIONS: &str = "x-annotations";

/// A verdict in the guest's types, not checked yet.
pub(super) type GuestVerdict = Result<Vec<wit::Proposal>, wit::Refusal>;

pub(super) fn address(address: IpAddr) -> wit::IpAddress {
    match address {
        IpAddr::V4(v4) => wit::IpAddress::Ipv4(v4.octets().into()),
        IpAddr::V6(v6) => wit::IpAddress::Ipv6(v6.segments().into()),
    }
}

pub(super) fn address_from(address: wit::IpAddress) -> IpAddr {
    match address {
        wit::IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        wit::IpAddress::Ipv6(segments) => Ipv6Addr::from(<[u16; 8]>::from(segments)).into(),
    }
}

/// `None` when the ends are of two families, or inverted.
pub(super) fn span_from(span: wit::IpSpan) -> Option<ipam::Span> {
    ipam::Span::new(address_from(span.first), address_from(span.last))
}

fn span(span: ipam::Span) -> wit::IpSpan {
    wit::IpSpan { first: address(span.first()), last: address(span.last()) }
}

fn prefix(subnet: ipam::Prefix) -> wit::IpPrefix {
    wit::IpPrefix { address: address(subnet.address()), length: subnet.length() }
}

pub(super) fn request(request: &ipam::Request) -> wit::Request {
    wit::Request {
        network: request.attachment.network.clone(),
        container_id: request.attachment.container.clone(),
        interface_name: request.attachment.interface.clone(),
        node: request.node.clone(),
        pod: request.pod.as_ref().map(pod).or_else(|| nameless(&request.annotations)),
        requested: request.requested.iter().copied().map(address).collect(),
        previous: request.previous.iter().copied().map(address).collect(),
        range_sets: range_sets(&request.range_sets),
        attempt: request.attempt,
        namespace_metadata: request.namespace.as_ref().map(metadata),
        node_metadata: request.node_metadata.as_ref().map(metadata),
    }
}

fn pod(pod: &ipam::Pod) -> wit::Pod {
    let ipam::Pod { name, annotations, labels, owner } = pod;
    wit::Pod {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
        uid: name.uid.clone(),
        annotations: pairs(annotations),
        labels: pairs(labels),
        owner: owner.as_ref().map(|owner| wit::OwnerRef { kind: owner.kind.clone(), name: owner.name.clone() }),
    }
}

/// The annotations of a container for which the runtime named no pod: the world has a place for them in a pod alone.
fn nameless(annotations: &BTreeMap<String, String>) -> Option<wit::Pod> {
    if annotations.is_empty() {
        return None;
    }
    let (namespace, name, labels) = (String::new(), String::new(), Vec::new());
    Some(wit::Pod { namespace, name, uid: None, annotations: pairs(annotations), labels, owner: None })
}

fn metadata(metadata: &ipam::Metadata) -> wit::Metadata {
    wit::Metadata { labels: pairs(&metadata.labels), annotations: pairs(&metadata.annotations) }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn range_sets(sets: &ipam::RangeSets) -> Vec<Vec<wit::AddressRange>> {
    let mut told = Vec::new();
    for set in sets.iter() {
        told.push(set.ranges().iter().map(|one| range(one, sets.excluded())).collect());
    }
    told
}

fn range(range: &ipam::Range, excluded: &[ipam::Prefix]) -> wit::AddressRange {
    wit::AddressRange {
        subnet: prefix(range.subnet()),
        span: span(range.span()),
        gateway: range.gateway().map(address),
        fixed: range.fixed().map(span),
        excluded: excluded_within(range, excluded),
    }
}

/// The excluded parts that touch a range's subnet.
fn excluded_within(range: &ipam::Range, excluded: &[ipam::Prefix]) -> Vec<wit::IpPrefix> {
    let subnet = range.subnet().span();
    let touching = excluded.iter().filter(|part| part.span().overlaps(&subnet));
    touching.copied().map(prefix).collect()
}

pub(super) fn holder(holder: &ipam::Holder) -> wit::Holder {
    match holder {
        ipam::Holder::Hold { identity, until: _ } => wit::Holder::Hold(identity.clone()),
        ipam::Holder::Reservation(reservation) => wit::Holder::Hold(reservation.as_identity()),
        ipam::Holder::Attachment(held) => wit::Holder::Attachment(wit::AttachmentHolder {
            container_id: held.attachment.container.clone(),
            interface_name: held.attachment.interface.clone(),
            network: held.attachment.network.clone(),
            node: held.node.clone(),
            pod: held.pod.as_ref().map(|pod| (pod.namespace.clone(), pod.name.clone())),
            since: held.since.to_string(),
        }),
    }
}

pub(super) fn usage(usage: ipam::Usage) -> wit::Usage {
    wit::Usage { size: u64::try_from(usage.size).unwrap_or(u64::MAX), held: usage.held }
}

pub(super) fn verdict_from(verdict: GuestVerdict) -> Result<ipam::Verdict, Fault> {
    match verdict {
        Ok(proposals) => {
            within(proposals.len(), &PROPOSALS)?;
            proposals.into_iter().map(proposal_from).collect::<Result<_, _>>().map(ipam::Verdict::Propose)
        }
        Err(refusal) => refusal_from(refusal).map(ipam::Verdict::Refuse),
    }
}

fn proposal_from(proposal: wit::Proposal) -> Result<ipam::Proposal, Fault> {
    within(proposal.len(), &ASSIGNMENTS)?;
    proposal.into_iter().map(assignment_from).collect()
}

fn assignment_from(assignment: wit::Assignment) -> Result<ipam::Assignment, Fault> {
    let wit::Assignment { address, prefix_length, gateway, kind, hold, slot } = assignment;
    Ok(ipam::Assignment {
        address: address_from(address),
        prefix_length,
        gateway: gateway.map(address_from),
        kind: match kind {
            wit::AssignmentKind::Dynamic => ipam::Kind::Dynamic,
            wit::AssignmentKind::Fixed => ipam::Kind::Fixed,
        },
        hold: hold.map(hold_from).transpose()?,
        slot: slot.map(slot_from).transpose()?,
        why: None,
    })
}

/// An identity becomes part of a store's key: it is refused when too long, and never rewritten.
fn hold_from(hold: wit::Hold) -> Result<ipam::HoldTerms, Fault> {
    within(hold.identity.len(), &IDENTITY)?;
    Ok(ipam::HoldTerms { identity: hold.identity, seconds: hold.seconds })
}

/// The name of a list becomes part of a store's key, too.
fn slot_from(slot: wit::Slot) -> Result<ipam::Slot, Fault> {
    within(slot.name.len(), &IDENTITY)?;
    Ok(ipam::Slot { name: slot.name, number: slot.number })
}

fn refusal_from(refusal: wit::Refusal) -> Result<ipam::Refusal, Fault> {
    Ok(match refusal {
        wit::Refusal::Exhausted(why) => ipam::Refusal::Exhausted(text(&why, &TEXT)?),
        wit::Refusal::Taken(why) => ipam::Refusal::Taken(text(&why, &TEXT)?),
        wit::Refusal::Invalid(why) => ipam::Refusal::Invalid(text(&why, &TEXT)?),
        wit::Refusal::Denied(why) => ipam::Refusal::Denied(text(&why, &TEXT)?),
    })
}

pub(super) fn description_from(description: allocator::Description) -> Result<Description, Fault> {
    within(description.settings_schema.len(), &SCHEMA)?;
    let schema: Option<serde_json::Value> = serde_json::from_str(&description.settings_schema).ok();
    let annotations = schema.as_ref().and_then(|schema| Vec::<String>::deserialize(schema.get(ANNOTATIONS)?).ok());
    // A module without settings has a schema all the same where it names its annotations there: nobody is shown that.
    let is_list_alone = schema.is_some_and(|schema| schema.as_object().is_some_and(|schema| schema.len() == 1));
    let settings_schema = if annotations.is_some() && is_list_alone {
        String::new()
    } else {
        tame_lines(&description.settings_schema, SCHEMA.default)
    };
    Ok(Description {
        annotations: annotations.map(|names| names.iter().map(|name| tame(name, TEXT.default)).collect()),
        name: text(&description.name, &TEXT)?,
        version: text(&description.version, &TEXT)?,
        summary: text(&description.summary, &TEXT)?,
        settings_schema,
    })
}

/// A text of the guest that a person will read.
pub(super) fn text(text: &str, limit: &'static Limit) -> Result<String, Fault> {
    within(text.len(), limit)?;
    Ok(tame(text, limit.default))
}

fn within(size: usize, limit: &'static Limit) -> Result<(), Fault> {
    if size as u64 > limit.default {
        return Err(Fault::Limit { limit, value: limit.default });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_survives_the_way_to_the_guest_and_back(v4: u32, v6: u128) {
            for ip in [IpAddr::V4(Ipv4Addr::from_bits(v4)), IpAddr::V6(Ipv6Addr::from_bits(v6))] {
                prop_assert_eq!(address_from(address(ip)), ip);
            }
        }

        #[test]
        fn a_span_survives_and_an_inverted_one_is_none(one: u128, two: u128) {
            let ends = |first: u128, last: u128| wit::IpSpan {
                first: address(Ipv6Addr::from_bits(first).into()),
                last: address(Ipv6Addr::from_bits(last).into()),
            };
            let back = span_from(ends(one, two));
            prop_assert_eq!(back.is_some(), one <= two);
            if let Some(whole) = back {
                prop_assert_eq!(span_from(span(whole)), Some(whole));
            }
        }
    }

    #[test]
    fn every_field_of_an_assignment_arrives() {
        let guest = wit::Assignment {
            address: address("fd00::9".parse().unwrap()),
            prefix_length: 64,
            gateway: Some(address("fd00::1".parse().unwrap())),
            kind: wit::AssignmentKind::Fixed,
            hold: Some(wit::Hold { identity: "web-0".to_owned(), seconds: 60 }),
            slot: Some(wit::Slot { name: "team-a".to_owned(), number: 7 }),
        };
        let expected = ipam::Assignment {
            address: "fd00::9".parse().unwrap(),
            prefix_length: 64,
            gateway: Some("fd00::1".parse().unwrap()),
            kind: ipam::Kind::Fixed,
            hold: Some(ipam::HoldTerms { identity: "web-0".to_owned(), seconds: 60 }),
            slot: Some(ipam::Slot { name: "team-a".to_owned(), number: 7 }),
            why: None,
        };
        let verdict = verdict_from(Ok(vec![vec![guest]])).unwrap();
        assert_eq!(verdict, ipam::Verdict::Propose(vec![vec![expected]]));
    }

    #[test]
    fn every_refusal_keeps_its_kind_and_loses_its_colours() {
        let told = |refusal| verdict_from(Err(refusal)).unwrap();
        let refused = |refusal| ipam::Verdict::Refuse(refusal);
        let (raw, tamed) = ("\x1b[1mfull".to_owned(), "\\u{1b}[1mfull".to_owned());
        assert_eq!(told(wit::Refusal::Exhausted(raw.clone())), refused(ipam::Refusal::Exhausted(tamed.clone())));
        assert_eq!(told(wit::Refusal::Taken(raw.clone())), refused(ipam::Refusal::Taken(tamed.clone())));
        assert_eq!(told(wit::Refusal::Invalid(raw.clone())), refused(ipam::Refusal::Invalid(tamed.clone())));
        assert_eq!(told(wit::Refusal::Denied(raw)), refused(ipam::Refusal::Denied(tamed)));
    }

    #[test]
    fn a_range_tells_only_of_exclusions_in_its_subnet() {
        let spec = |subnet: &str| vec![ipam::RangeSpec::of_subnet(subnet.parse().unwrap())];
        let excluded = ["10.0.0.64/28".parse().unwrap(), "fd00::/120".parse().unwrap()];
        let sets = ipam::RangeSets::new(vec![spec("10.0.0.0/24"), spec("fd00::/64")], &excluded).unwrap();
        let told = range_sets(&sets);
        assert_eq!(told[0][0].excluded.len(), 1);
        assert_eq!(told[0][0].excluded[0].length, 28);
        assert_eq!(told[1][0].excluded[0].length, 120);
        assert_eq!(address_from(told[1][0].span.first).to_string(), "fd00::2");
    }
}
