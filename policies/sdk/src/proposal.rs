//! What a policy answers: proposals, best first, or a refusal.

use std::net::IpAddr;

use crate::range::AddressRange;

/// How strongly an address is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any free address would do: if it is taken, the next proposal is tried.
    Dynamic,
    /// The pod named this very address: if it is taken, the host looks whether its holder may hand it over.
    Fixed,
}

/// Keep the address for an identity after its attachment is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Who may have it: a request whose assignment carries the same identity.
    pub identity: String,
    /// For how long after the release.
    pub seconds: u64,
}

/// A numbered place of a list: taken together with an address and given back with it. Only one of all claims takes a
/// slot; see [`Slots`](crate::Slots).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The list, for example `namespace/team-a`. Networks of one domain share it.
    pub name: String,
    /// Which of its places.
    pub number: u32,
}

/// One address for the attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The address.
    pub address: IpAddr,
    /// Length in bits of the subnet as the pod shall see it.
    pub prefix_length: u8,
    /// The gateway as the pod shall see it.
    pub gateway: Option<IpAddr>,
    /// Dynamic or fixed.
    pub kind: Kind,
    /// Keep it after the release.
    pub hold: Option<Hold>,
    /// Take it together with the address.
    pub slot: Option<Slot>,
}

/// All the addresses an attachment would get, together or not at all.
pub type Proposal = Vec<Assignment>;

/// A "no". The text is for the operator: name the object, and say what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Every address the policy may use is held.
    #[error("{0}")]
    Exhausted(String),
    /// The address the pod named is held by another.
    #[error("{0}")]
    Taken(String),
    /// An annotation or a requested address is malformed or outside the ranges.
    #[error("{0}")]
    Invalid(String),
    /// The rules of the site do not give this pod an address here.
    #[error("{0}")]
    Denied(String),
}

impl Assignment {
    /// Any free address would do, and this is one; subnet length and gateway are the range's.
    pub fn dynamic(address: IpAddr, range: &AddressRange) -> Self {
        let prefix_length = range.subnet.length();
        Self { address, prefix_length, gateway: range.gateway, kind: Kind::Dynamic, hold: None, slot: None }
    }

    /// The pod named this very address; subnet length and gateway are the range's.
    pub fn fixed(address: IpAddr, range: &AddressRange) -> Self {
        Self { kind: Kind::Fixed, ..Self::dynamic(address, range) }
    }

    /// With another subnet length.
    pub fn with_prefix_length(self, prefix_length: u8) -> Self {
        Self { prefix_length, ..self }
    }

    /// With another gateway.
    pub fn with_gateway(self, gateway: IpAddr) -> Self {
        Self { gateway: Some(gateway), ..self }
    }

    /// Kept for an identity after the release.
    pub fn with_hold(self, identity: impl Into<String>, seconds: u64) -> Self {
        Self { hold: Some(Hold { identity: identity.into(), seconds }), ..self }
    }

    /// Together with a slot of a list.
    pub fn with_slot(self, name: impl Into<String>, number: u32) -> Self {
        Self { slot: Some(Slot { name: name.into(), number }), ..self }
    }
}
