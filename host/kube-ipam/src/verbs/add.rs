//! ADD: give an attachment its addresses (CNI specification 1.1, "ADD"; delegated plugins print the abbreviated result).

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{Instrument, debug_span};

use super::annotations::{self, wanted_families};
use super::asking::{Asking, who_asks};
use super::cluster::{Cluster, api_server, which_cluster};
use super::decide::contested;
use super::deciding::{Decided, Deciding};
use super::hand_over::{HandOvers, Way};
use super::load::{load_if_compiled, load_whoever_decides};
use super::meanwhile::meanwhile;
use super::races::Races;
use super::{Deadline, Error, Waited, elsewhere, exhausted};
use crate::config::{Base, Network};
use cni::args::Requested;
use cni::result::check_room;
use cni::{Container, Ip, Success};
use engine::Policy;
use ipam::misfit::misfit;
use ipam::{Assignment, Claim, Family, Kind, PodName, Proposal, Refusal, Request, Snapshot};
use store::{Claimant, Claimed, Look, Store};

/// Look up, decide, commit. A repeated ADD answers what the attachment holds already.
pub async fn add(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
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
        let claim = whole(claim)?;
        refuse_second_plugin(&claim, network)?;
        return Ok(success(&claim.addresses, network));
    }
    // Containers that have their addresses in a store that was left behind would share them with new ones.
    elsewhere::refuse_earlier_stores(base, deadline).await?;
    let hand_overs = HandOvers::to(claimant.pod.clone(), base, network, server.as_ref(), deadline);
    let asking = asking?;
    let policy = policy.flatten().unwrap_or_else(|| load_whoever_decides(network, limits, deadline))?;
    let inquiry = Inquiry::new(claimant, asking, base, network, hand_overs, &policy)?;
    match obtain(&inquiry, &policy, store, look, deadline, Timestamp::now).await {
        Ok(claim) => Ok(success(&claim.addresses, network)),
        Err(error) => Err(Box::pin(exhausted::explain(error, base, store, deadline)).await),
    }
}

/// Who asks, and where.
pub struct Inquiry<'a> {
    claimant: Claimant,
    asking: Asking,
    base: &'a Base,
    network: &'a Network,
    hand_overs: HandOvers<'a>,
    /// Of these families alone; `None` for all of the network's.
    families: Option<Vec<Family>>,
}

/// From a look to a claim: decide and commit, and look again where the race was lost.
pub async fn obtain(
    inquiry: &Inquiry<'_>,
    policy: &Policy,
    store: &Store,
    mut look: Look,
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
pub enum Attempt {
    /// The attachment holds this now.
    Won(Claim),
    /// Others were faster at each of these.
    Lost(Vec<Proposal>),
}

pub async fn look_up(
    store: &Store,
    claimant: &Claimant,
    network: &Network,
    contested: &[IpAddr],
    now: Timestamp,
) -> Result<Look, Error> {
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

/// Two plugins of one list ask for the same interface of the same container: to CNI that is one attachment, which would be
/// told the addresses of the first plugin for the second one, too. A runtime that merely repeats an ADD begins with the first
/// plugin, and without its result.
fn refuse_second_plugin(claim: &Claim, network: &Network) -> Result<(), Error> {
    match claim.addresses().find(|address| network.given_before.contains(address)) {
        Some(address) => Err(Error::AskedTwice { attachment: claim.attachment.clone(), address }),
        None => Ok(()),
    }
}

impl<'a> Inquiry<'a> {
    /// Annotations of ours that mean nothing are refused here, before anybody decides.
    pub fn new(
        claimant: Claimant,
        asking: Asking,
        base: &'a Base,
        network: &'a Network,
        hand_overs: HandOvers<'a>,
        policy: &Policy,
    ) -> Result<Self, Error> {
        annotations::judge(&asking, &claimant.attachment, policy, network.policy.on_fault)?;
        let families = wanted_families(&asking, &claimant.attachment, &network.range_sets)?;
        Ok(Self { claimant, asking, base, network, hand_overs, families })
    }

    /// Decide on what was seen, and commit.
    pub async fn attempt(
        &self,
        deciding: &mut Deciding<'_>,
        store: &Store,
        mut look: Look,
        deadline: &Deadline,
        attempt: u32,
    ) -> Result<Attempt, Error> {
        let Self { network, .. } = self;
        if self.asking.confirmed {
            Box::pin(look.succeed()).await?;
        }
        let request = self.request(&mut look, attempt);
        let decided = deciding.decide(request, &mut look, deadline);
        let decided = decided.instrument(debug_span!("decide", attempt)).await;
        let is_exhausted = matches!(&decided, Err(Error::Refused { refusal: Refusal::Exhausted(_) }));
        // Where a policy is tried, full ranges are what it is tried on, and there is no log.
        if is_exhausted && self.base.log.file.is_some() {
            warn_of_full(&look.snapshot);
        }
        let Decided { mut proposals, policy } = decided?;
        dress_as_requested(&mut proposals, network)?;
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
    pub fn request(&self, look: &mut Look, attempt: u32) -> Request {
        let Self { claimant, asking, network, .. } = self;
        if let Some(families) = &self.families {
            look.snapshot.keep_families(families);
        }
        Request {
            attachment: claimant.attachment.clone(),
            node: claimant.node.clone(),
            pod: asking.pod.clone(),
            annotations: asking.annotations.clone(),
            requested: network.requested.iter().map(|asked| asked.address).collect(),
            previous: look.previous.iter().flat_map(Claim::addresses).collect(),
            range_sets: look.snapshot.range_sets().clone(),
            attempt,
            namespace: asking.namespace.clone(),
            node_metadata: asking.node.clone(),
        }
    }
}

/// Name the range sets that have no address left, where the policy has asked how full they are: nobody is asked for this.
fn warn_of_full(snapshot: &Snapshot) {
    for range_set in 0..snapshot.range_sets().len() {
        if let Ok(Some(usage)) = snapshot.usage(range_set)
            && usage.is_full()
        {
            tracing::warn!(
                range_set,
                size = usage.size,
                held = usage.held,
                "a range set is full: new pods get no address; those that have one, or one that is kept for them, do"
            );
        }
    }
}

/// A policy is told the addresses that the runtime asks for, not their prefixes. Where it shows one as its range does, and the
/// runtime gave another prefix, that one counts.
fn dress_as_requested(proposals: &mut [Proposal], network: &Network) -> Result<(), Error> {
    for &Requested { address, prefix_length } in &network.requested {
        let range = network.range_sets.iter().find_map(|set| set.range_of(address));
        let (Some(prefix_length), Some(range)) = (prefix_length, range) else { continue };
        let own = range.subnet().prefix();
        for assignment in proposals.iter_mut().flatten().filter(|one| one.address == address) {
            if assignment.kind != Kind::Fixed || prefix_length == own || prefix_length == assignment.prefix_length {
                continue;
            }
            if assignment.prefix_length != own {
                let length = assignment.prefix_length;
                tracing::warn!(%address, length, "the runtime asks for the prefix /{prefix_length}, which is passed over");
                continue;
            }
            assignment.prefix_length = prefix_length;
            if let Some(misfit) = misfit(assignment, range) {
                return Err(Error::RequestedPrefix { address, prefix_length, misfit });
            }
        }
    }
    Ok(())
}

/// Routes of a family that the pod left out would fail: it has no address to send from.
fn success(addresses: &[Assignment], network: &Network) -> Success {
    let has = |family| addresses.iter().any(|one| Family::of(one.address) == family);
    let is_left_out = |family| network.range_sets.iter().any(|set| set.family() == family) && !has(family);
    let mut routes = network.routes.clone();
    routes.retain(|route| !is_left_out(Family::of(route.dst.network())));
    Success { ips: addresses.iter().map(Ip::from).collect(), routes, dns: network.dns.clone() }
}
