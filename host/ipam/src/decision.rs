//! A decision as data: everything a policy was told, and what it answered. A policy is a function, so whoever has the
//! one can have the other again, of the same module or of another.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::allocation::PolicyName;
use super::proposal::Proposal;
use super::request::Request;
use super::snapshot::Snapshot;
use super::verdict::{Refusal, Verdict};
use super::words;

/// A decision that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Written")]
pub struct Decision {
    /// The moment of the look at the store.
    pub at: Timestamp,
    /// Who decided.
    pub policy: PolicyName,
    /// `policy.settings`.
    pub settings: Map<String, Value>,
    /// What the policy was told.
    pub request: Request,
    /// What was known of the ranges when it answered, and so every answer it got.
    pub snapshot: Snapshot,
    /// What it answered.
    pub answer: Answer,
    /// What a second policy answered to the same request on the same look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadowed>,
    /// Annotations that were not written down, or not whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// A second policy's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shadowed {
    /// Who was asked; without a digest where there was no module to ask.
    pub policy: PolicyName,
    /// Its settings.
    pub settings: Map<String, Value>,
    /// What it answered.
    pub answer: Answer,
}

/// What came of asking a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Best first.
    #[serde(with = "words::proposals")]
    Proposals(Vec<Proposal>),
    /// Its no.
    Refusal(Refusal),
    /// It could not be loaded, or misbehaved.
    Fault(String),
}

/// What a policy is to be told: a decision that may not have been made yet. Everything is free where no snapshot says
/// otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Told {
    /// `policy.settings`.
    pub settings: Map<String, Value>,
    /// Who asks, and for which ranges.
    pub request: Request,
    /// What is known of the ranges.
    pub snapshot: Option<Snapshot>,
}

impl Decision {
    /// What the policy was told.
    pub fn told(&self) -> Told {
        let Self { settings, request, snapshot, .. } = self;
        Told { settings: settings.clone(), request: request.clone(), snapshot: Some(snapshot.clone()) }
    }
}

impl Answer {
    /// Whether an attachment is better or worse off with the other answer: the addresses it is given first, the kind of
    /// the refusal.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Proposals(one), Self::Proposals(two)) => first_addresses(one).eq(first_addresses(two)),
            (Self::Refusal(one), Self::Refusal(two)) => one.kind() == two.kind(),
            (Self::Fault(_), Self::Fault(_)) => true,
            _ => false,
        }
    }
}

fn first_addresses(proposals: &[Proposal]) -> impl Iterator<Item = std::net::IpAddr> + '_ {
    proposals.iter().take(1).flatten().map(|assignment| assignment.address)
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Propose(proposals) => Self::Proposals(proposals),
            Verdict::Refuse(refusal) => Self::Refusal(refusal),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proposals(proposals) => {
                let addresses: Vec<_> = first_addresses(proposals).map(|address| address.to_string()).collect();
                f.write_str(&addresses.join(", "))
            }
            Self::Refusal(refusal) => write!(f, "refused ({}): {refusal}", refusal.kind()),
            Self::Fault(fault) => write!(f, "fault: {fault}"),
        }
    }
}

/// As it is found in a file, by whomever it was written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    at: Option<Timestamp>,
    policy: Option<PolicyName>,
    #[serde(default)]
    settings: Map<String, Value>,
    request: Request,
    snapshot: Option<Snapshot>,
    answer: Option<Answer>,
    shadow: Option<Shadowed>,
    #[serde(default)]
    left_out: Vec<String>,
}

/// A part of a decision that is not there.
#[derive(Debug, thiserror::Error)]
#[error("missing field `{0}`: the decision is incomplete")]
struct Missing(&'static str);

impl TryFrom<Written> for Decision {
    type Error = Missing;

    fn try_from(written: Written) -> Result<Self, Missing> {
        let Written { at, policy, settings, request, snapshot, answer, shadow, left_out } = written;
        Ok(Self {
            at: at.ok_or(Missing("at"))?,
            policy: policy.ok_or(Missing("policy"))?,
            snapshot: snapshot.ok_or(Missing("snapshot"))?.about(request.range_sets.clone()),
            answer: answer.ok_or(Missing("answer"))?,
            settings,
            request,
            shadow,
            left_out,
        })
    }
}

impl From<Written> for Told {
    fn from(written: Written) -> Self {
        let Written { settings, request, snapshot, .. } = written;
        Self { settings, snapshot: snapshot.map(|snapshot| snapshot.about(request.range_sets.clone())), request }
    }
}

#[cfg(test)]
mod tests;
