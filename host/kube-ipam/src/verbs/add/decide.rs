//! The decision: the policy is asked, and asked again after each part of the store it turns out to need. It is a
//! function, so running it again is sound; nothing is read that it does not ask for.

use std::net::IpAddr;

use crate::verbs::Error;
use engine::{Outcome, Policy};
use ipam::{Proposal, Request, Verdict};
use store::Look;

/// The policy's proposals, each verified against the ranges; a refusal is an error.
pub async fn decide(
    policy: &Policy,
    request: &Request,
    settings: &str,
    look: &mut Look,
) -> Result<Vec<Proposal>, Error> {
    for _ in 0..limits::READS_PER_DECISION {
        match policy.allocate(request, settings, &look.snapshot)? {
            Outcome::Verdict(Verdict::Propose(proposals)) => return Ok(proposals),
            Outcome::Verdict(Verdict::Refuse(refusal)) => return Err(Error::Refused { refusal }),
            Outcome::Unread(question) => look.answer(question).await?,
        }
    }
    Err(Error::Inquisitive { policy: policy.name().name.clone(), limit: limits::READS_PER_DECISION })
}

/// The addresses of proposals that lost their race: whoever holds them now is worth knowing.
pub fn contested(lost: &[Proposal]) -> Vec<IpAddr> {
    lost.iter().flatten().map(|assignment| assignment.address).collect()
}
