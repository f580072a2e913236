//! ADD: give an attachment its addresses (CNI specification 1.1, "ADD"; delegated plugins print the abbreviated result).
//!
//! ```text
//!  look up ── holds addresses already? ── answer them
//!     │
//!  decide  ── who asks, what the pod wants, what the policy proposes
//!     │  ▲
//!     │  └── another was faster: look again
//!  commit  ── one transaction; every index changes with it
//! ```

pub(crate) mod annotations;
mod answer;
pub mod attempt;
pub mod context;
pub mod decide;
pub mod exhausted;
pub(crate) mod explain;
pub mod hand_over;
mod meanwhile;
pub mod metadata;
pub mod retry;
pub(super) mod shadow;
mod told;
pub(super) mod trial;
mod which_cluster;
mod why;

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{Instrument, info_span};

pub use attempt::Attempt;
pub use context::AddContext;

use super::load::{load_if_compiled, load_whoever_decides};
use super::{Deadline, Error, OUTCOME, Waited, address_list, elsewhere};
use crate::config::{Base, Network};
use answer::{refuse_second_plugin, success, whole};
use cluster::ApiServer;
use cni::{Container, Success};
use context::requester;
use decide::Deciders;
use engine::Policy;
use hand_over::HandOvers;
use ipam::Claim;
use meanwhile::meanwhile;
use metadata::{RequesterMetadata, find_metadata};
use retry::{Races, contested};
use store::{Look, Requester, Store};
use which_cluster::{api_server, which_cluster};

/// Whom an ADD asks beside the store, where its caller has them at hand: one that makes thousands of ADDs in one process
/// connects and loads once.
#[derive(Clone, Copy, Default)]
pub struct Advisers<'a> {
    /// In place of the one that the network names.
    pub server: Option<&'a ApiServer>,
    /// In place of the network's module, loaded already.
    pub policy: Option<&'a Policy>,
}

/// Look up, decide, commit. A repeated ADD answers what the attachment holds already.
pub async fn add(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
    deadline: &Deadline,
) -> Result<Success, Error> {
    let server = api_server(network);
    let advisers = Advisers { server: server.as_ref(), policy: None };
    add_advised(container, base, network, store, deadline, advisers).await
}

/// An ADD whose caller says whom it asks.
pub async fn add_advised(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
    deadline: &Deadline,
    advisers: Advisers<'_>,
) -> Result<Success, Error> {
    let (requester, metadata, policy, look) =
        match look_around(container, base, network, store, deadline, advisers).await? {
            Surroundings::Held(claim) => {
                tracing::info!(target: OUTCOME, addresses = address_list(&claim), "held already");
                return Ok(success(&claim.addresses, network));
            }
            Surroundings::Open { requester, metadata, policy, look } => (requester, metadata, policy, look),
        };
    let hand_overs = HandOvers::to(requester.pod.clone(), base, network, advisers.server, deadline);
    let context = AddContext::new(requester, metadata, base, network, hand_overs, &policy)?;
    match obtain(&context, &policy, store, look, deadline, Timestamp::now).await {
        Ok(claim) => Ok(success(&claim.addresses, network)),
        Err(error) => Err(Box::pin(exhausted::explain(error, base, network, store, deadline)).await),
    }
}

/// What an ADD finds before anybody decides.
#[allow(clippy::large_enum_variant, reason = "one per invocation")]
enum Surroundings {
    /// The attachment holds addresses already: that is the answer.
    Held(Claim),
    Open {
        requester: Requester,
        metadata: RequesterMetadata,
        policy: Policy,
        look: Look,
    },
}

/// What is held, who asks, what the pod wants, and who decides.
async fn look_around(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
    deadline: &Deadline,
    Advisers { server, policy: at_hand }: Advisers<'_>,
) -> Result<Surroundings, Error> {
    let cluster = which_cluster(network, server).await;
    let requester = requester(container, base, network, &cluster);
    let limits = network.policy.limits;

    // Nothing here needs what the other finds out, and each waits for somebody else: the store's answer travels while the policy
    // is loaded, and beside both the pod is asked for at the API server, where the runtime did not say enough.
    let look = meanwhile(look_up(store, &requester, network, &[], Timestamp::now()), || match at_hand {
        Some(policy) => Some(Ok(policy.clone())),
        None => load_if_compiled(network, limits),
    });
    let metadata = deadline.bound(Waited::ApiServer, find_metadata(base, network, &cluster, server));
    let ((look, policy), metadata) = tokio::join!(look, metadata);
    let look = look?;
    // Before anything that could fail below: a runtime repeats an ADD whose answer it did not hear, and has to hear it, whatever
    // has become of the policy, the pod or the API server since.
    if let Some(claim) = look.claim {
        let claim = whole(claim)?;
        refuse_second_plugin(&claim, network)?;
        return Ok(Surroundings::Held(claim));
    }

    // Containers that have their addresses in a store that was left behind would share them with new ones.
    elsewhere::refuse_earlier_stores(base, deadline).await?;
    let metadata = metadata?;
    // Not loaded yet, where the answer was there at once or the module has to be compiled first.
    let policy = match (policy.flatten(), at_hand) {
        (Some(loaded), _) => loaded?,
        (None, Some(policy)) => policy.clone(),
        (None, None) => load_whoever_decides(network, limits, deadline)?,
    };
    Ok(Surroundings::Open { requester, metadata, policy, look })
}

/// From a look to a claim: decide and commit, and look again where the race was lost.
pub async fn obtain(
    context: &AddContext<'_>,
    policy: &Policy,
    store: &Store,
    mut look: Look,
    deadline: &Deadline,
    now: impl Fn() -> Timestamp,
) -> Result<Claim, Error> {
    let AddContext { requester, base, network, .. } = context;
    let mut deciders = Deciders::by(policy, &network.policy);
    let mut races = Races::default();
    for attempt in 0..limits::ATTEMPTS {
        match context.attempt(&mut deciders, store, look, deadline, attempt).await? {
            Attempt::Won(claim) => return Ok(claim),
            Attempt::Lost(proposals) => {
                // Only now is it asked who has what was proposed: most ADDs lose no race, and what is free need not be asked
                // about. A new look, and not more of the old one, which shows none of what others have done since.
                look = look_up(store, requester, network, &contested(&proposals), now()).await?;
                races.lost(proposals, &look);
            }
        }
        // A runtime that gave up waiting may have started the same ADD again, and that one was faster.
        if let Some(claim) = look.claim {
            return whole(claim);
        }
    }
    Err(races.given_up(policy.name(), &base.network))
}

/// One view of the store, at one moment. Refused where the network keeps its addresses elsewhere.
pub async fn look_up(
    store: &Store,
    requester: &Requester,
    network: &Network,
    contested: &[IpAddr],
    now: Timestamp,
) -> Result<Look, Error> {
    // Boxed: every caller's future would carry what a look needs, and the stack would be touched further down.
    let look = Box::pin(store.look_up(requester, &network.range_sets, contested, now));
    let look = look.instrument(info_span!("look_up")).await?;
    store.refuse_moved(&look).await?;
    Ok(look)
}
