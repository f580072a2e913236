//! What two places of a store may disagree about.

use std::net::IpAddr;

use ipam::{Attachment, PodName, Slot};

/// Two places of the store that do not say the same. None can come from this program's own writes, however it is
/// killed; they come from hands, restored backups and other programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// A record nobody can use.
    #[error("the record {key} is damaged: {what}")]
    Damaged {
        /// Where it is kept.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A key that is none of the store's.
    #[error("the key {0} has no meaning")]
    Foreign(String),
    /// A claim lists an address whose record is missing or about somebody else.
    #[error("{attachment} claims {address}, but its record {found}")]
    ClaimWithoutAddress {
        /// Who claims it.
        attachment: Attachment,
        /// Which address.
        address: IpAddr,
        /// What is there instead.
        found: String,
    },
    /// An address is held by an attachment whose claim does not list it: it is lost until it is repaired.
    #[error("{address} is held by {attachment}, whose claim does not list it")]
    AddressWithoutClaim {
        /// Which address.
        address: IpAddr,
        /// Who holds it.
        attachment: Attachment,
    },
    /// GC on that node would not find the claim.
    #[error("{attachment} is missing from the index of node {node:?}")]
    MissingFromNode {
        /// Who.
        attachment: Attachment,
        /// Where.
        node: String,
    },
    /// The node's index lists an attachment that holds nothing there.
    #[error("the index of node {node:?} lists {attachment}, which holds nothing there")]
    StaleNode {
        /// Who.
        attachment: Attachment,
        /// Where.
        node: String,
        /// On which machine of this name.
        machine: String,
    },
    /// The pod's index points at an attachment that holds nothing.
    #[error("the index of pod {pod} points at {attachment}, which holds nothing of it")]
    StalePod {
        /// Which pod.
        pod: PodName,
        /// Who.
        attachment: Attachment,
    },
    /// An address is held and kept at once.
    #[error("{0} is in use and on hold at the same time")]
    HeldAndKept(IpAddr),
    /// An address is kept for an identity that does not know of it, or the other way round.
    #[error("{address} and the index of the identity {identity:?} disagree")]
    Identity {
        /// Which address.
        address: IpAddr,
        /// Whose.
        identity: String,
    },
    /// The index of what ends when has something else than the holds.
    #[error("the hold of {0} and the index of when holds end disagree")]
    Expiry(IpAddr),
    /// A claim lists an address as ceded, but it is not with whom it says.
    #[error("{attachment} ceded {address} to {to}, but it {found}")]
    Ceded {
        /// Who ceded it.
        attachment: Attachment,
        /// Which address.
        address: IpAddr,
        /// Who should have it.
        to: Attachment,
        /// Where it is instead.
        found: String,
    },
    /// The holder of a ceded address does not name the one who ceded it, or names one who did not.
    #[error("{attachment} holds {address} and {found}")]
    Former {
        /// Who holds it.
        attachment: Attachment,
        /// Which address.
        address: IpAddr,
        /// What is wrong.
        found: String,
    },
    /// A slot is taken for an address that does not have it, or an address has one that is not taken.
    #[error("{slot} {found}")]
    Slot {
        /// Which slot.
        slot: Slot,
        /// What is wrong with it.
        found: String,
    },
}
