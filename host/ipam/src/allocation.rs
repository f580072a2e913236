//! Addresses at rest: what an attachment holds, and who holds an address.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attachment::{Attachment, PodName};
use super::proposal::{Assignment, HoldTerms, Kind, Slot, Why};
use super::reservation::Reservation;

/// Which policy chose an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    /// The module's own name, or the stem of its file.
    pub name: String,
    /// SHA-256 of the module in hexadecimal digits: 64 of them, or in what the store has kept, as many as it keeps.
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
    /// The name of the Kubernetes node.
    pub node: String,
    /// The machine that calls itself by this node's name, a hash of `/etc/machine-id`; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// The addresses, in the order of the proposal.
    pub addresses: Vec<Assignment>,
    /// Addresses that the pod still uses although another has them for the time being.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ceded: Vec<Ceded>,
    /// Who ceded which of the addresses, and gets it back when this claim ends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former: BTreeMap<IpAddr, Party>,
    /// Who chose them; absent for imported addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    pub since: Timestamp,
}

/// One side of a ceded address: an attachment and its pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Whose the address is.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// The name of the Kubernetes node.
    pub node: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// Since when it holds, or held, the address.
    pub since: Timestamp,
}

/// An address that a living pod let another have. It returns to the pod when the other's claim ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceded {
    /// The address as the pod was told it.
    #[serde(flatten)]
    pub assignment: Assignment,
    /// Who has it meanwhile.
    pub to: Party,
}

/// That a held address may be taken from its holder, as found out of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The record that was judged.
    pub held: Allocation,
    /// Who lives and gets the address back later: the holder itself where it cedes it, or whoever had ceded it to a
    /// holder that is gone. Nobody where all of them are gone.
    pub former: Option<Party>,
}

/// The record kept under an address: the part of a claim that concerns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    pub address: IpAddr,
    pub kind: Kind,
    #[serde(flatten)]
    pub attachment: Attachment,
    /// The name of the Kubernetes node.
    pub node: String,
    /// The machine that calls itself by this node's name; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// The pod, when the runtime named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// Who chose it; absent for imported addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    pub since: Timestamp,
    /// For whom, and for how long, it is kept after the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldTerms>,
    /// Taken with the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Who ceded the address and still uses it: it goes back there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Box<Party>>,
    /// Why it is this address; absent where any would have done, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
}

impl Allocation {
    pub fn party(&self) -> Party {
        let Self { attachment, node, pod, since, .. } = self;
        Party { attachment: attachment.clone(), node: node.clone(), pod: pod.clone(), since: *since }
    }
}

impl Claim {
    /// A claim of nothing yet.
    pub fn empty(attachment: Attachment, node: &str, machine: &str, pod: Option<PodName>, since: Timestamp) -> Self {
        Self {
            attachment,
            node: node.to_owned(),
            machine: machine.to_owned(),
            pod,
            addresses: Vec::new(),
            ceded: Vec::new(),
            former: BTreeMap::new(),
            policy: None,
            since: to_microseconds(since),
        }
    }

    /// A claim of nothing yet, of whoever holds this address: what a claim that is lost is begun with again.
    pub fn empty_like(held: &Allocation) -> Self {
        let Allocation { attachment, node, machine, pod, policy, since, .. } = held;
        let empty = Self::empty(attachment.clone(), node, machine, pod.clone(), *since);
        Self { policy: policy.clone(), ..empty }
    }

    /// The bare addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().map(|assignment| assignment.address)
    }

    /// The slots taken with them, and with those that are ceded: the pod lives and counts.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.assignments().filter_map(|assignment| assignment.slot.as_ref())
    }

    /// The assignments of what it holds, and then of what it ceded.
    pub fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.addresses.iter().chain(self.ceded.iter().map(|ceded| &ceded.assignment))
    }

    /// The attachments that ceded one of its addresses to it, or have one that it ceded.
    pub fn counterparts(&self) -> impl Iterator<Item = &Attachment> {
        let former = self.former.values().map(|former| &former.attachment);
        former.chain(self.ceded.iter().map(|ceded| &ceded.to.attachment))
    }

    /// Whether nothing is left of it: no address that is held, none that would come back.
    pub fn is_over(&self) -> bool {
        self.addresses.is_empty() && self.ceded.is_empty()
    }

    /// Who holds the addresses.
    pub fn party(&self) -> Party {
        let Self { attachment, node, pod, since, .. } = self;
        Party { attachment: attachment.clone(), node: node.clone(), pod: pod.clone(), since: *since }
    }

    /// The records to keep under each address.
    pub fn allocations(&self) -> impl Iterator<Item = Allocation> + '_ {
        self.addresses.iter().map(|assignment| self.allocation(assignment))
    }

    /// The record to keep under one of the addresses.
    pub fn allocation(&self, assignment: &Assignment) -> Allocation {
        Allocation {
            address: assignment.address,
            kind: assignment.kind,
            attachment: self.attachment.clone(),
            node: self.node.clone(),
            machine: self.machine.clone(),
            pod: self.pod.clone(),
            policy: self.policy.clone(),
            since: self.since,
            hold: assignment.hold.clone(),
            slot: assignment.slot.clone(),
            // Beside the address, too: whoever takes it over has only this record to go by.
            former: self.former.get(&assignment.address).cloned().map(Box::new),
            why: assignment.why,
        }
    }
}

/// A time as claims have it: at rest they keep no more digits, and what is remembered has to be what is written.
pub fn to_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Holder {
    /// An attachment holds it.
    Attachment(Box<Allocation>),
    /// Nobody holds it, but it is kept for an identity until then.
    Hold { identity: String, until: Timestamp },
    /// Nobody gets it: an operator has taken it out of circulation.
    Reservation(Box<Reservation>),
}
