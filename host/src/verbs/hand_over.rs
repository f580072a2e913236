//! The hand-over of a fixed address: who holds it, and does that holder still need it?
//!
//! The store lets an older container of the same pod give way by itself. Of any other holder the API server is asked;
//! only where it says that the holder is gone may the claim take the address, fenced by the record that was judged.

use std::net::IpAddr;

use super::Error;
use super::error::Stays;
use crate::ipam::{Assignment, HandOver, HeldAddress, Holder, Kind, PodName, Proposal};
use crate::kubernetes::{ApiServer, Fate};
use crate::store::Look;
use crate::store::ordered::View;

/// What the holders of wanted addresses hand over, their pods being gone. An error that names the holder when every
/// proposal wants, by name, an address whose holder stays. Holders are known only of addresses whose race was lost:
/// before that, nothing is refused here and nobody is asked.
pub(super) async fn hand_over<V: View>(
    proposals: &[Proposal],
    look: &Look<V>,
    server: Option<&ApiServer>,
) -> Result<Vec<HandOver>, Error> {
    let mut handed_over = Vec::new();
    let mut taken = None;
    for proposal in proposals {
        match in_the_way(proposal, look, server, &mut handed_over).await {
            None => return Ok(handed_over),
            Some(error) => taken = taken.or(Some(error)),
        }
    }
    taken.map_or(Ok(handed_over), Err)
}

/// The first address of a proposal whose holder stays.
async fn in_the_way<V: View>(
    proposal: &[Assignment],
    look: &Look<V>,
    server: Option<&ApiServer>,
    handed_over: &mut Vec<HandOver>,
) -> Option<Error> {
    for (address, holder) in blocked(proposal, look) {
        let taken = |stays| Some(Error::Taken { address, holder: holder.clone(), stays });
        let Holder::Attachment(held) = &holder else { return taken(Stays::Kept) };
        match judge(held, look.pod(), server).await {
            Ok(why) => {
                tracing::info!(%address, from = %held.attachment, why, "handed over");
                handed_over.push(HandOver { held: (**held).clone(), former: None });
            }
            Err(stays) => return taken(stays),
        }
    }
    None
}

fn blocked<'a, V: View>(
    proposal: &'a [Assignment],
    look: &'a Look<V>,
) -> impl Iterator<Item = (IpAddr, Holder)> + use<'a, V> {
    let fixed = proposal.iter().filter(|assignment| assignment.kind == Kind::Fixed);
    fixed.filter(|assignment| !look.may_be_claimed(assignment)).filter_map(|assignment| {
        let holder = look.snapshot.holder_of(assignment.address).ok()??;
        Some((assignment.address, holder.clone()))
    })
}

/// Why the holder has to give way, or why it stays.
async fn judge(held: &HeldAddress, claimant: Option<&PodName>, server: Option<&ApiServer>) -> Result<String, Stays> {
    let Some(server) = server else { return Err(Stays::NotAsked) };
    match server.fate(held, claimant).await {
        Ok(Fate::Gone(why)) => Ok(why),
        Ok(Fate::Alive) => Err(Stays::Alive),
        Ok(Fate::Unknowable) => Err(Stays::NoPod),
        Err(error) => Err(Stays::Unknown(error.to_string())),
    }
}
