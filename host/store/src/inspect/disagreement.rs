//! What two places of a store may disagree about.

use std::net::IpAddr;

use ipam::{Attachment, Slot};

/// Two places of the store that do not say the same. None can come from this program's own writes, wherever it is
/// killed; they come from edits by hand, restored backups and other programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// A record that cannot be read, or that is about something else than its key.
    #[error("the record {key} is damaged: {what}")]
    Damaged { key: String, what: String },
    /// A key that is none of the store's.
    #[error("the key {0} has no meaning")]
    Foreign(String),
    /// A claim lists an address whose record is missing or about somebody else.
    #[error("{attachment} claims {address}, but its record {found}")]
    ClaimWithoutAddress {
        attachment: Attachment,
        address: IpAddr,
        /// What its record says instead, as the end of a sentence.
        found: String,
    },
    /// An address is held by an attachment whose claim does not list it: it is lost until it is repaired.
    #[error("{address} is held by {attachment}, whose claim does not list it")]
    AddressWithoutClaim { address: IpAddr, attachment: Attachment },
    /// GC on that node would not find the claim.
    #[error("{attachment} is missing from the index of node {node:?}")]
    MissingFromNode { attachment: Attachment, node: String },
    /// The index of nodes lists an attachment where it holds nothing.
    #[error("the index of nodes lists {attachment} under {node}/{machine}, where it holds nothing")]
    StaleNode {
        attachment: Attachment,
        /// The digest of the node's name.
        node: String,
        /// The machine that calls itself by the node's name.
        machine: String,
    },
    /// The index of pods points at an attachment that holds nothing of the pod.
    #[error("the index of pods points at {attachment} under {pod}, and it holds nothing of such a pod")]
    StalePod {
        /// The digests of the pod's name and of its cluster.
        pod: String,
        attachment: Attachment,
    },
    /// An address is held by an attachment and on hold at once.
    #[error("{0} is in use and on hold at the same time")]
    HeldAndOnHold(IpAddr),
    /// An address is on hold for an identity whose index does not list it, or the other way round.
    #[error("{address} and the index of the identity {identity:?} disagree")]
    Identity { address: IpAddr, identity: String },
    /// The index of when holds end differs from the holds.
    #[error("the hold of {0} and the index of when holds end disagree")]
    Expiry(IpAddr),
    /// A claim lists an address as ceded, but it is not with whom it says.
    #[error("{attachment} ceded {address} to {to}, but it {found}")]
    Ceded {
        attachment: Attachment,
        address: IpAddr,
        /// The attachment that should have it.
        to: Attachment,
        /// Where it is instead.
        found: String,
    },
    /// The holder of a ceded address does not name the one who ceded it, or names one who did not.
    #[error("{attachment} holds {address} and {found}")]
    Former { attachment: Attachment, address: IpAddr, found: String },
    /// A slot is taken for an address that does not have it, or an address has one that is not taken.
    #[error("{slot} {found}")]
    Slot { slot: Slot, found: String },
}

impl Disagreement {
    /// The address that it is about, where it is about one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::ClaimWithoutAddress { address, .. }
            | Self::AddressWithoutClaim { address, .. }
            | Self::Identity { address, .. }
            | Self::Ceded { address, .. }
            | Self::Former { address, .. }
            | Self::HeldAndOnHold(address)
            | Self::Expiry(address) => Some(*address),
            Self::Damaged { .. }
            | Self::Foreign(_)
            | Self::MissingFromNode { .. }
            | Self::StaleNode { .. }
            | Self::StalePod { .. }
            | Self::Slot { .. } => None,
        }
    }
}
