//! What a policy answers.

use serde::{Deserialize, Serialize};

use super::proposal::Proposal;

/// Proposals, best first, or a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At least one proposal.
    Propose(Vec<Proposal>),
    /// No address, and why.
    Refuse(Refusal),
}

/// A policy's "no", with the text for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", tag = "kind", content = "text")]
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
    /// The rules of the site do not give this pod an address.
    #[error("{0}")]
    Denied(String),
}

impl Refusal {
    /// Which no it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Exhausted(_) => "exhausted",
            Self::Taken(_) => "taken",
            Self::Invalid(_) => "invalid",
            Self::Denied(_) => "denied",
        }
    }
}
