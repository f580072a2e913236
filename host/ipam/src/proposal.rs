//! What a policy would accept for an attachment, and the check every proposal passes before a claim: however hostile
//! a policy is, it cannot leave the configured subnets nor hand out a special address.

use std::fmt;
use std::net::IpAddr;

use addresses::{Family, Unusable};
use serde::{Deserialize, Serialize};

use super::range::Range;
use super::range_set::RangeSets;
use limits::store::HOLD;

/// How strongly an address is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any free address would do.
    Dynamic,
    /// The pod named this very address.
    Fixed,
}

/// Why an attachment has this address and not another. What none of these says is a dynamic one: any would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// An annotation names it.
    Annotation,
    /// An annotation names a list or a range that it is from.
    Pool,
    /// The runtime asked for it.
    Request,
    /// An older container of the same pod had it.
    Previous,
    /// It was on hold for the identity that asked.
    Hold,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Annotation => "an annotation names it",
            Self::Pool => "from the pool that an annotation names",
            Self::Request => "the runtime asked for it",
            Self::Previous => "an older container of the pod had it",
            Self::Hold => "it was on hold for this identity",
        })
    }
}

/// Keep the address for an identity after its attachment is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldTerms {
    /// Who may have it: a request whose assignment carries the same identity.
    pub identity: String,
    /// For how long after the release.
    pub seconds: u64,
}

/// A numbered place of a list, taken together with an address and given back with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    pub name: String,
    /// Which of its places.
    pub number: u32,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} of {:?}", self.number, self.name)
    }
}

/// One address for an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub address: IpAddr,
    /// Length in bits of the subnet as the pod shall see it.
    pub prefix_length: u8,
    /// The gateway as the pod shall see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Why it is this address; found out by the host, whatever the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl Assignment {
    /// A dynamic address as the range says a pod shall see it; alone in its subnet where no range has it.
    pub fn in_range_of(range_sets: &RangeSets, address: IpAddr) -> Self {
        // No range has it where the ranges have changed since somebody got it.
        let range = range_sets.iter().find_map(|set| set.range_of(address));
        Self {
            address,
            prefix_length: range.map_or(Family::of(address).bits(), |range| range.subnet().length()),
            gateway: range.and_then(Range::gateway),
            kind: Kind::Dynamic,
            hold: None,
            slot: None,
            why: None,
        }
    }
}

/// All the addresses an attachment would get, together or not at all.
pub type Proposal = Vec<Assignment>;

/// What is wrong with a proposal. A policy that proposes it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// A proposal without an address.
    #[error("it is empty")]
    Empty,
    /// Outside every subnet, or special in one.
    #[error("{address} {why}")]
    Unusable { address: IpAddr, why: Unusable },
    /// The same address twice.
    #[error("{0} appears twice")]
    Duplicate(IpAddr),
    /// A prefix length the family does not have.
    #[error("{address}/{prefix_length}: the prefix length of an {family} address is 1 to {}", .family.bits())]
    PrefixLength { address: IpAddr, prefix_length: u8, family: Family },
    /// An IPv4 gateway for an IPv6 address, or the reverse.
    #[error("gateway {gateway} is not of the same family as {address}")]
    GatewayFamily { address: IpAddr, gateway: IpAddr },
    /// A pod that would send everything to itself.
    #[error("gateway {gateway} of {address} is an address of the pod itself")]
    OwnGateway { address: IpAddr, gateway: IpAddr },
    /// A hold for nobody.
    #[error("the hold on {0} does not name an identity")]
    HoldIdentity(IpAddr),
    /// A hold for longer than any address is kept.
    #[error("the hold on {address} is for {seconds} s: the maximum is {} s", HOLD.as_secs())]
    HoldTooLong { address: IpAddr, seconds: u64 },
    /// A slot of no list.
    #[error("the slot of {0} does not name a list")]
    SlotName(IpAddr),
    /// The same slot twice.
    #[error("{0} appears twice")]
    DuplicateSlot(Slot),
    /// A family for which the network has ranges got no address: all families or none.
    #[error("it has no {0} address although the network has {0} ranges")]
    MissingFamily(Family),
}

/// Every address inside a configured subnet and usable there, no duplicate, every configured family served.
pub fn check(proposal: &[Assignment], range_sets: &RangeSets) -> Result<(), ProposalError> {
    if proposal.is_empty() {
        return Err(ProposalError::Empty);
    }
    // Each with all before it: a proposal has limits::ASSIGNMENTS addresses at most, so that a set would cost more than it saves.
    for (nth, assignment) in proposal.iter().enumerate() {
        check_assignment(assignment, range_sets)?;
        if proposal[..nth].iter().any(|earlier| earlier.address == assignment.address) {
            return Err(ProposalError::Duplicate(assignment.address));
        }
        // Not the earlier ones alone: the gateway may be an address that comes later.
        if let Some(gateway) = assignment.gateway
            && proposal.iter().any(|one| one.address == gateway)
        {
            return Err(ProposalError::OwnGateway { address: assignment.address, gateway });
        }
        if let Some(slot) = &assignment.slot
            && proposal[..nth].iter().any(|earlier| earlier.slot.as_ref() == Some(slot))
        {
            return Err(ProposalError::DuplicateSlot(slot.clone()));
        }
    }
    // A pod that got one family of two would start, and fail where nobody looks.
    for set in range_sets.iter() {
        if !proposal.iter().any(|assignment| Family::of(assignment.address) == set.family()) {
            return Err(ProposalError::MissingFamily(set.family()));
        }
    }
    Ok(())
}

fn check_assignment(assignment: &Assignment, range_sets: &RangeSets) -> Result<(), ProposalError> {
    let &Assignment { address, prefix_length, gateway, .. } = assignment;
    let family = Family::of(address);
    if let Some(why) = range_sets.unusable(address) {
        return Err(ProposalError::Unusable { address, why });
    }
    // With 0 the main plugin would route everything to the pod's own link.
    if prefix_length == 0 || prefix_length > family.bits() {
        return Err(ProposalError::PrefixLength { address, prefix_length, family });
    }
    // Whether the pod reaches it is the policy's to know: a router elsewhere is reached by routes that only the site knows.
    if let Some(gateway) = gateway
        && Family::of(gateway) != family
    {
        return Err(ProposalError::GatewayFamily { address, gateway });
    }
    if let Some(hold) = &assignment.hold {
        // The identity is a part of the key that the hold is found by.
        if hold.identity.is_empty() {
            return Err(ProposalError::HoldIdentity(address));
        }
        if hold.seconds > HOLD.as_secs() {
            return Err(ProposalError::HoldTooLong { address, seconds: hold.seconds });
        }
    }
    match &assignment.slot {
        Some(slot) if slot.name.is_empty() => Err(ProposalError::SlotName(address)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RangeSpec;

    fn dual_stack() -> RangeSets {
        let subnet = |text: &str| vec![RangeSpec::of_subnet(text.parse().unwrap())];
        RangeSets::new(vec![subnet("10.0.0.0/24"), subnet("fd00::/64")], &["10.0.0.64/28".parse().unwrap()]).unwrap()
    }

    fn assignment(address: &str, prefix_length: u8) -> Assignment {
        let address = address.parse().unwrap();
        Assignment { address, prefix_length, gateway: None, kind: Kind::Dynamic, hold: None, slot: None, why: None }
    }

    fn verdict(addresses: &[(&str, u8)]) -> String {
        let proposal: Proposal = addresses.iter().map(|(address, length)| assignment(address, *length)).collect();
        check(&proposal, &dual_stack()).map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    #[test]
    fn no_hold_is_for_ever() {
        let with_hold = |seconds| {
            let hold = Some(HoldTerms { identity: "me".into(), seconds });
            let proposal = [Assignment { hold, ..assignment("10.0.0.9", 24) }, assignment("fd00::9", 64)];
            check(&proposal, &dual_stack())
        };
        assert_eq!(with_hold(HOLD.as_secs()), Ok(()));
        let error = with_hold(u64::MAX).unwrap_err().to_string();
        assert!(
            error.starts_with("the hold on 10.0.0.9 is for 18446744073709551615 s: the maximum is 7776000 s"),
            "{error}"
        );
    }

    #[test]
    fn a_good_proposal_serves_every_family() {
        assert_eq!(verdict(&[("10.0.0.9", 24), ("fd00::9", 64)]), "good");
        assert_eq!(verdict(&[("10.0.0.9", 24)]), "it has no IPv6 address although the network has IPv6 ranges");
    }

    #[test]
    fn no_special_address_passes() {
        assert_eq!(verdict(&[("10.0.0.1", 24)]), "10.0.0.1 is the gateway of 10.0.0.0/24");
        assert_eq!(verdict(&[("10.0.0.0", 24)]), "10.0.0.0 is the network address of 10.0.0.0/24");
        assert_eq!(verdict(&[("10.0.0.255", 24)]), "10.0.0.255 is the broadcast address of 10.0.0.0/24");
        assert_eq!(verdict(&[("10.0.0.70", 24)]), "10.0.0.70 is excluded by 10.0.0.64/28");
        assert_eq!(verdict(&[("10.9.0.1", 24)]), "10.9.0.1 is outside every configured subnet");
        assert_eq!(verdict(&[("fd00::", 64)]), "fd00:: is the network address of fd00::/64");
    }

    #[test]
    fn a_pod_is_not_its_own_gateway() {
        let with_gateway = |gateway: &str| {
            let gateway = gateway.parse().ok();
            let proposal = [
                Assignment { gateway, ..assignment("10.0.0.9", 24) },
                assignment("fd00::9", 64),
                assignment("10.0.0.8", 24),
            ];
            check(&proposal, &dual_stack()).map_or_else(|error| error.to_string(), |()| "good".to_owned())
        };
        assert_eq!(with_gateway("10.0.0.7"), "good");
        assert_eq!(with_gateway("10.0.0.9"), "gateway 10.0.0.9 of 10.0.0.9 is an address of the pod itself");
        assert_eq!(with_gateway("10.0.0.8"), "gateway 10.0.0.8 of 10.0.0.9 is an address of the pod itself");
    }

    #[test]
    fn a_slot_is_named_and_taken_once() {
        let with = |slots: [(&str, u32); 2]| {
            let slot = |(name, number): (&str, u32)| Some(Slot { name: name.to_owned(), number });
            let proposal = [("10.0.0.9", 24), ("fd00::9", 64)].map(|(address, length)| assignment(address, length));
            let proposal: Proposal =
                proposal.into_iter().zip(slots).map(|(one, taken)| Assignment { slot: slot(taken), ..one }).collect();
            check(&proposal, &dual_stack()).map_or_else(|error| error.to_string(), |()| "good".to_owned())
        };
        assert_eq!(with([("a", 0), ("a", 1)]), "good");
        assert_eq!(with([("a", 0), ("b", 0)]), "good");
        assert_eq!(with([("a", 7), ("a", 7)]), "slot 7 of \"a\" appears twice");
        assert_eq!(with([("a", 7), ("", 0)]), "the slot of fd00::9 does not name a list");
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(verdict(&[]), "it is empty");
        assert_eq!(verdict(&[("10.0.0.9", 24), ("10.0.0.9", 24)]), "10.0.0.9 appears twice");
        assert_eq!(verdict(&[("10.0.0.9", 33)]), "10.0.0.9/33: the prefix length of an IPv4 address is 1 to 32");
    }
}
