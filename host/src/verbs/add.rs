//! ADD: give an attachment its addresses (CNI specification 1.1, "ADD"; delegated plugins print the abbreviated result).

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{Instrument, debug_span};

use super::asking::{Asking, who_asks};
use super::cluster::{Cluster, api_server, which_cluster};
use super::decide::contested;
use super::deciding::{Decided, Deciding};
use super::hand_over::{HandOvers, Way};
use super::load::{load_if_compiled, load_whoever_decides};
use super::meanwhile::meanwhile;
use super::races::Races;
use super::{Deadline, Error, Waited, elsewhere, exhausted};
use crate::cni::result::check_room;
use crate::cni::{Container, Ip, Success};
use crate::config::{Base, Network};
use crate::ipam::{Assignment, Claim, PodName, Proposal, Request};
use crate::limits;
use crate::policy::Policy;
use crate::store::ordered::OrderedMap;
use crate::store::{Claimant, Claimed, Look, Store};

/// Look up, decide, commit. A repeated ADD answers what the attachment holds already.
pub async fn add<M: OrderedMap>(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store<M>,
    deadline: &Deadline,
) -> Result<Success, Error> {
    let server = api_server(network);
    let cluster = which_cluster(network, server.as_ref()).await;
    let claimant = claimant(container, base, network, &cluster);
    let limits = network.policy.limits;
    // The policy is loaded while the store's answer travels, and so is the pod's, where it has to be asked for.
    let look =
        meanwhile(look_up(store, &claimant, network, &[], Timestamp::now()), || load_if_compiled(network, limits));
    let asking = deadline.bound(Waited::ApiServer, who_asks(base, network, &cluster, server.as_ref()));
    let ((look, policy), asking) = tokio::join!(look, asking);
    let look = look?;
    if let Some(claim) = look.claim {
        return Ok(success(&whole(claim)?.addresses, network));
    }
    // Containers that have their addresses in a store that was left behind would share them with new ones.
    elsewhere::refuse_earlier_stores(base).await?;
    let hand_overs = HandOvers::to(claimant.pod.clone(), base, network, server.as_ref(), deadline);
    let inquiry = Inquiry { claimant, asking: asking?, base, network, hand_overs };
    let policy = policy.flatten().unwrap_or_else(|| load_whoever_decides(network, limits, deadline))?;
    match obtain(&inquiry, &policy, store, look, deadline, Timestamp::now).await {
        Ok(claim) => Ok(success(&claim.addresses, network)),
        Err(error) => Err(Box::pin(exhausted::explain(error, base, store, deadline)).await),
    }
}

/// Who asks, and where.
pub(crate) struct Inquiry<'a> {
    pub(crate) claimant: Claimant,
    pub(crate) asking: Asking,
    pub(crate) base: &'a Base,
    pub(crate) network: &'a Network,
    pub(crate) hand_overs: HandOvers<'a>,
}

/// From a look to a claim: decide and commit, and look again where the race was lost.
pub(crate) async fn obtain<M: OrderedMap>(
    inquiry: &Inquiry<'_>,
    policy: &Policy,
    store: &Store<M>,
    mut look: Look<M::View>,
    deadline: &Deadline,
    now: impl Fn() -> Timestamp,
) -> Result<Claim, Error> {
    let Inquiry { claimant, base, network, .. } = inquiry;
    let mut deciding = Deciding::by(policy, &network.policy);
    let mut races = Races::default();
    for attempt in 0..limits::ATTEMPTS {
        match inquiry.attempt(&mut deciding, store, look, deadline, attempt).await? {
            Attempt::Won(claim) => return Ok(claim),
            Attempt::Lost(proposals) => {
                look = look_up(store, claimant, network, &contested(&proposals), now()).await?;
                races.lost(proposals, &look);
            }
        }
        if let Some(claim) = look.claim {
            return whole(claim);
        }
    }
    Err(races.given_up(policy.name(), &base.network))
}

/// How one attempt ended.
#[allow(clippy::large_enum_variant, reason = "one per invocation")]
pub(crate) enum Attempt {
    /// The attachment holds this now.
    Won(Claim),
    /// Others were faster at each of these.
    Lost(Vec<Proposal>),
}

pub(crate) async fn look_up<M: OrderedMap>(
    store: &Store<M>,
    claimant: &Claimant,
    network: &Network,
    contested: &[IpAddr],
    now: Timestamp,
) -> Result<Look<M::View>, Error> {
    let look = store.look_up(claimant, &network.range_sets, contested, now);
    let look = look.instrument(debug_span!("look_up")).await?;
    store.refuse_moved(&look).await?;
    Ok(look)
}

fn claimant(container: &Container, base: &Base, network: &Network, cluster: &Cluster) -> Claimant {
    let pod = network.pod.as_ref().map(|known| known.pod.name.clone());
    Claimant {
        attachment: container.attachment(&base.network),
        node: base.node.clone(),
        machine: base.machine.clone(),
        pod: pod.map(|pod| PodName { cluster: cluster.name.clone(), ..pod }),
    }
}

/// What an attachment holds, unless it ceded a part of it: it is not told again what another has now.
fn whole(claim: Claim) -> Result<Claim, Error> {
    if claim.ceded.is_empty() {
        return Ok(claim);
    }
    Err(Error::Ceded { attachment: claim.attachment, ceded: claim.ceded })
}

impl Inquiry<'_> {
    /// Decide on what was seen, and commit.
    pub(crate) async fn attempt<M: OrderedMap>(
        &self,
        deciding: &mut Deciding<'_>,
        store: &Store<M>,
        mut look: Look<M::View>,
        deadline: &Deadline,
        attempt: u32,
    ) -> Result<Attempt, Error> {
        if self.asking.confirmed {
            Box::pin(look.succeed()).await?;
        }
        let request = self.request(&look, attempt);
        let decided = deciding.decide(request, &mut look, deadline);
        let Decided { proposals, policy } = decided.instrument(debug_span!("decide", attempt)).await?;
        for proposal in &proposals {
            check_room(self.base.version, proposal.iter().map(|assignment| assignment.address))?;
        }
        let handed_over = match self.hand_overs.way(&proposals, &look).await? {
            Way::Open(handed_over) => handed_over,
            Way::Barred(leaving) => {
                // Nobody should keep reading the past while waiting.
                drop(look);
                self.hand_overs.wait(&leaving, store).await?;
                return Ok(Attempt::Lost(proposals));
            }
        };
        deadline.check()?;
        let claim = store.claim(look, &proposals, Some(policy), &handed_over);
        match claim.instrument(debug_span!("commit", attempt)).await? {
            Claimed::Done(claim) => {
                let claim = whole(claim)?;
                tracing::info!(addresses = ?claim.addresses().collect::<Vec<_>>(), attempt, "claimed");
                Ok(Attempt::Won(claim))
            }
            Claimed::Lost => Ok(Attempt::Lost(proposals)),
        }
    }

    /// What the policy is told at this attempt.
    pub(crate) fn request<V>(&self, look: &Look<V>, attempt: u32) -> Request {
        let Self { claimant, asking, network, .. } = self;
        Request {
            attachment: claimant.attachment.clone(),
            node: claimant.node.clone(),
            pod: asking.pod.clone(),
            requested: network.requested.clone(),
            previous: look.previous.iter().flat_map(Claim::addresses).collect(),
            range_sets: network.range_sets.clone(),
            attempt,
            namespace: asking.namespace.clone(),
            node_metadata: asking.node.clone(),
        }
    }
}

fn success(addresses: &[Assignment], network: &Network) -> Success {
    Success { ips: addresses.iter().map(Ip::from).collect(), routes: network.routes.clone(), dns: network.dns.clone() }
}
