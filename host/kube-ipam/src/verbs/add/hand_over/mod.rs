//! The hand-over of a fixed address: who holds it, and does that holder still need it?
//!
//! The store lets an older container of the same pod give way by itself. Of any other holder the API server is asked;
//! only where it says that the holder is gone, or cedes the address, may the claim take it, fenced by the record that
//! was judged. A holder that is on its way out is waited for.

mod patience;
mod stays;

use std::net::IpAddr;
use std::time::Duration;

use tracing::{Instrument, info_span};

pub use stays::Stays;
pub(crate) use stays::{name_of, sum_up};

use crate::config::{Base, Network};
use crate::verbs::{Deadline, Error};
use cluster::{ApiServer, Judgement, Keeps, Succession};
use ipam::{Allocation, Assignment, HandOver, Holder, Kind, PodName, Proposal};
use patience::Patience;
use store::StoreConfig;
use store::{Look, Store};

/// What one ADD may take from others: whom to ask about them, and how long to wait for them.
pub struct HandOvers<'a> {
    succession: Option<Succession<'a>>,
    patience: Patience,
}

/// Whether an ADD can go on with what the policy proposes.
#[derive(Debug)]
pub(crate) enum Way {
    /// As far as is known, with these handed over.
    Open(Vec<HandOver>),
    /// Not yet: these holders are on their way out.
    Barred(Vec<Allocation>),
}

/// What stands between an ADD and one proposal.
enum Obstacle {
    /// The holder may be gone soon.
    Leaving(Box<Allocation>),
    /// The holder stays; the error names it.
    Taken(Error),
}

impl<'a> HandOvers<'a> {
    /// To this pod. Without an API server nobody is asked, and nobody is waited for.
    pub(super) fn to(
        pod: Option<PodName>,
        base: &Base,
        network: &Network,
        server: Option<&'a ApiServer>,
        deadline: &Deadline,
    ) -> Self {
        let single_node = matches!(base.store, StoreConfig::Embedded { .. });
        let succession = server.map(|server| Succession::new(server, pod, network.cluster.clone(), single_node));
        Self { succession, patience: Patience::of(network.hand_over_wait, deadline) }
    }

    /// To somebody for whom nobody is asked.
    pub fn none() -> Self {
        Self { succession: None, patience: Patience::of(Duration::ZERO, &Deadline::after(Duration::ZERO)) }
    }

    /// What the holders of wanted addresses hand over. An error that names the holder when every proposal wants, by name,
    /// an address whose holder stays. Holders are known only of addresses whose race was lost: before that, nothing is
    /// refused here and nobody is asked.
    pub(super) async fn way(&self, proposals: &[Proposal], look: &Look) -> Result<Way, Error> {
        let mut handed_over = Vec::new();
        let mut leaving = Vec::new();
        let mut taken = None;
        for proposal in proposals {
            match self.obstacle(proposal, look, &mut handed_over).await {
                None => return Ok(Way::Open(handed_over)),
                Some(Obstacle::Leaving(held)) => leaving.push(*held),
                Some(Obstacle::Taken(error)) => taken = taken.or(Some(error)),
            }
        }
        match taken {
            Some(error) if leaving.is_empty() => Err(error),
            _ if leaving.is_empty() => Ok(Way::Open(handed_over)),
            _ => Ok(Way::Barred(leaving)),
        }
    }

    /// Until one of these is worth another look.
    pub(super) async fn wait(&self, leaving: &[Allocation], store: &Store) -> Result<(), Error> {
        Box::pin(self.patience.wait(leaving, store)).await
    }

    /// The first address of a proposal whose holder does not give way.
    async fn obstacle(
        &self,
        proposal: &[Assignment],
        look: &Look,
        handed_over: &mut Vec<HandOver>,
    ) -> Option<Obstacle> {
        for (address, holder) in blocked(proposal, look) {
            let Holder::Attachment(held) = &holder else { return Some(taken(address, holder, Stays::Kept)) };
            let requester = &look.requester.attachment;
            // The API server knows pods and not interfaces: of a sibling it would say that the pod is alive.
            if held.attachment.container == requester.container {
                return Some(taken(address, holder, Stays::Sibling(requester.clone().into())));
            }
            match self.judge(held).await {
                Ok(Judgement::GivesWay { why, former }) => {
                    tracing::info!(%address, from = %held.attachment, why, "handed over");
                    let former = former.map(|former| *former);
                    handed_over.push(HandOver { held: (**held).clone(), former });
                }
                Ok(Judgement::Leaves(why)) => {
                    tracing::info!(%address, from = %held.attachment, why, "waiting");
                    return Some(Obstacle::Leaving(held.clone()));
                }
                Ok(Judgement::Keeps(Keeps::Leaving)) => {
                    return Some(taken(address, holder, Stays::Leaving(self.patience.spent())));
                }
                Ok(Judgement::Keeps(keeps)) => return Some(taken(address, holder, Stays::Judged(keeps))),
                Err(stays) => return Some(taken(address, holder, stays)),
            }
        }
        None
    }

    async fn judge(&self, held: &Allocation) -> Result<Judgement, Stays> {
        if held.pod.is_none() {
            return Err(Stays::NoPod);
        }
        let Some(succession) = &self.succession else { return Err(Stays::NotAsked) };
        let judged = Box::pin(succession.judge(held, self.patience.is_left())).instrument(info_span!("api_server"));
        judged.await.map_err(Stays::unknown)
    }
}

fn taken(address: IpAddr, holder: Holder, stays: Stays) -> Obstacle {
    Obstacle::Taken(Error::Taken { address, holder, stays })
}

/// The addresses that are wanted by name and seen to be held, each with its holder. Of a dynamic one nobody is asked: there are
/// others.
fn blocked<'a>(proposal: &'a [Assignment], look: &'a Look) -> impl Iterator<Item = (IpAddr, Holder)> + use<'a> {
    let fixed = proposal.iter().filter(|assignment| assignment.kind == Kind::Fixed);
    fixed.filter(|assignment| !look.may_be_claimed(assignment)).filter_map(|assignment| {
        let holder = look.snapshot.holder_of(assignment.address).ok()??;
        Some((assignment.address, holder.clone()))
    })
}
