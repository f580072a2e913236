//! The decision: the policy is asked, and asked again after each part of the store it turns out to need. It is a
//! function, so running it again is sound; nothing is read that it does not ask for.

use std::net::IpAddr;

use super::Error;
use crate::ipam::{Assignment, Holder, Kind, Proposal, Request, Verdict};
use crate::limits;
use crate::policy::{Outcome, Policy};
use crate::store::Look;
use crate::store::ordered::View;

/// The policy's proposals, each verified against the ranges; a refusal is an error.
pub(super) async fn decide<V: View>(
    policy: &Policy,
    request: &Request,
    settings: &str,
    look: &mut Look<V>,
) -> Result<Vec<Proposal>, Error> {
    for _ in 0..limits::READS_PER_DECISION {
        match policy.allocate(request, settings, &look.snapshot)? {
            Outcome::Verdict(Verdict::Propose(proposals)) => return Ok(proposals),
            Outcome::Verdict(Verdict::Refuse(refusal)) => {
                return Err(Error::Refused { network: request.attachment.network.clone(), refusal });
            }
            Outcome::Unread(question) => look.answer(question).await?,
        }
    }
    Err(Error::Inquisitive { policy: policy.name().name.clone(), limit: limits::READS_PER_DECISION })
}

/// An error that names the holder when every proposal wants, by name, an address whose holder does not hand it over.
/// Holders are known only of addresses whose race was lost: before that, nothing is refused here.
pub(super) fn refuse_if_held<V: View>(proposals: &[Proposal], look: &Look<V>) -> Result<(), Error> {
    let mut taken = None;
    for proposal in proposals {
        match blocked_by(proposal, look) {
            None => return Ok(()),
            Some((address, holder)) => taken = taken.or(Some(Error::Taken { address, holder })),
        }
    }
    taken.map_or(Ok(()), Err)
}

fn blocked_by<V: View>(proposal: &[Assignment], look: &Look<V>) -> Option<(IpAddr, Holder)> {
    proposal.iter().filter(|assignment| assignment.kind == Kind::Fixed).find_map(|assignment| {
        let holder = look.snapshot.holder_of(assignment.address).ok()??;
        (!look.may_be_claimed(assignment)).then(|| (assignment.address, holder.clone()))
    })
}

/// The addresses of proposals that lost their race: whoever holds them now is worth knowing.
pub(super) fn contested(lost: &[Proposal]) -> Vec<IpAddr> {
    lost.iter().flatten().map(|assignment| assignment.address).collect()
}
