//! Addresses at rest: what an attachment holds, and who holds an address.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attachment::{Attachment, PodName};
use super::proposal::{Assignment, Hold, Kind, Slot};

/// Which policy chose an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    /// The module's own name, or the stem of its file.
    pub name: String,
    /// SHA-256 of the module, 64 hexadecimal digits.
    pub sha256: String,
    /// The policy in whose stead this one decided, that being at fault.
    #[serde(default, rename = "insteadOf", skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.instead_of.iter().try_for_each(|other| write!(f, " (for {other})"))
    }
}

/// All that one attachment holds: the record from which a repeated ADD, CHECK, DEL and GC work, without the policy,
/// without Kubernetes and without valid ranges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who holds the addresses.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// The Kubernetes node.
    pub node: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// The addresses, in the order of the proposal.
    pub addresses: Vec<Assignment>,
    /// Who chose them; absent for imported addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// Since when.
    pub since: Timestamp,
}

/// The record kept under an address: the part of a claim that concerns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAddress {
    /// The address.
    pub address: IpAddr,
    /// Dynamic or fixed.
    pub kind: Kind,
    /// Who holds it.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// The Kubernetes node.
    pub node: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// Who chose it; absent for imported addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// Since when.
    pub since: Timestamp,
    /// Kept for whom after the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Taken with the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

impl Claim {
    /// The bare addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(|assignment| assignment.address)
    }

    /// The slots taken with them.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.addresses.iter().filter_map(|assignment| assignment.slot.as_ref())
    }

    /// The records to keep under each address.
    pub fn held_addresses(&self) -> impl Iterator<Item = HeldAddress> + '_ {
        self.addresses.iter().map(|assignment| HeldAddress {
            address: assignment.address,
            kind: assignment.kind,
            attachment: self.attachment.clone(),
            node: self.node.clone(),
            pod: self.pod.clone(),
            policy: self.policy.clone(),
            since: self.since,
            hold: assignment.hold.clone(),
            slot: assignment.slot.clone(),
        })
    }
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Holder {
    /// An attachment holds it.
    Attachment(Box<HeldAddress>),
    /// Nobody holds it, but it is kept for an identity until then.
    Hold {
        /// For whom.
        identity: String,
        /// Until when.
        until: Timestamp,
    },
}
