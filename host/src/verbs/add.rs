//! ADD: give an attachment its addresses (CNI specification 1.1, "ADD"; delegated plugins print the abbreviated result).

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{Instrument, debug_span};

use super::asking::{Asking, who_asks};
use super::decide::{contested, decide};
use super::hand_over::hand_over;
use super::meanwhile::meanwhile;
use super::{Deadline, Error};
use crate::cni::result::check_room;
use crate::cni::{Container, Ip, Success};
use crate::config::{Base, Network, PolicyConfig};
use crate::ipam::{Assignment, Claim, Request};
use crate::kubernetes::ApiServer;
use crate::limits;
use crate::policy::{Compiler, Policy, Source};
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
    let claimant = claimant(container, base, network);
    let server = network.kubernetes.as_ref().map(|kubernetes| ApiServer::of_kubeconfig(&kubernetes.kubeconfig));
    let look = meanwhile(look_up(store, &claimant, network, &[]), || load(network));
    let ((look, policy), asking) = tokio::join!(look, who_asks(base, network, server.as_ref()));
    let mut look = look?;
    if let Some(claim) = &look.claim {
        return Ok(success(&claim.addresses, network));
    }
    let asking = asking?;
    let policy = policy.unwrap_or_else(|| load(network))?;
    for attempt in 0..limits::ATTEMPTS {
        if asking.confirmed {
            look.succeed().await?;
        }
        let request = request(&claimant, &asking, network, &look, attempt);
        let proposals = decide(&policy, &request, &network.policy.settings, &mut look)
            .instrument(debug_span!("decide", attempt))
            .await?;
        for proposal in &proposals {
            check_room(base.version, proposal.iter().map(|assignment| assignment.address))?;
        }
        let forfeited = hand_over(&proposals, &look, server.as_ref()).await?;
        deadline.check()?;
        let claim = store.claim(look, &proposals, Some(policy.name().clone()), &forfeited);
        match claim.instrument(debug_span!("commit", attempt)).await? {
            Claimed::Done(claim) => return Ok(claimed(&claim, network)),
            Claimed::Lost => look = look_up(store, &claimant, network, &contested(&proposals)).await?,
        }
        if let Some(claim) = &look.claim {
            return Ok(success(&claim.addresses, network));
        }
    }
    Err(Error::Contended { network: base.network.clone(), attempts: limits::ATTEMPTS })
}

async fn look_up<M: OrderedMap>(
    store: &Store<M>,
    claimant: &Claimant,
    network: &Network,
    contested: &[IpAddr],
) -> Result<Look<M::View>, Error> {
    let look = store.look_up(claimant, &network.range_sets, contested, Timestamp::now());
    Ok(look.instrument(debug_span!("look_up")).await?)
}

/// The policy of a network, with settings it understands.
pub(crate) fn load(network: &Network) -> Result<Policy, Error> {
    let _inside = debug_span!("load").entered();
    let PolicyConfig { module, sha256, cache_dir, limits, .. } = &network.policy;
    let policy = Policy::load(&Source {
        module: module.as_deref(),
        sha256: sha256.as_deref(),
        cache_dir: Some(cache_dir),
        limits: *limits,
        compiler: Compiler::Child,
    })?;
    if network.policy.settings != "{}" {
        policy.validate_settings(&network.policy.settings)?;
    }
    Ok(policy)
}

fn claimant(container: &Container, base: &Base, network: &Network) -> Claimant {
    Claimant {
        attachment: container.attachment(&base.network),
        node: base.node.clone(),
        pod: network.pod.as_ref().map(|known| known.pod.name.clone()),
    }
}

fn request<V>(claimant: &Claimant, asking: &Asking, network: &Network, look: &Look<V>, attempt: u32) -> Request {
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

fn claimed(claim: &Claim, network: &Network) -> Success {
    tracing::info!(addresses = ?claim.addresses().collect::<Vec<_>>(), "claimed");
    success(&claim.addresses, network)
}

fn success(addresses: &[Assignment], network: &Network) -> Success {
    Success { ips: addresses.iter().map(Ip::from).collect(), routes: network.routes.clone(), dns: network.dns.clone() }
}
