//! ADD: give an attachment its addresses (CNI specification 1.1, "ADD"; delegated plugins print the abbreviated result).

use std::net::IpAddr;

use jiff::Timestamp;
use tracing::{Instrument, debug_span};

use super::decide::{contested, decide, refuse_if_held};
use super::meanwhile::meanwhile;
use super::{Deadline, Error};
use crate::cni::result::check_room;
use crate::cni::{Container, Ip, Success};
use crate::config::{Base, Network, PolicyConfig};
use crate::ipam::{Assignment, Claim, Request};
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
    let (look, policy) = meanwhile(look_up(store, &claimant, network, &[]), || load(network)).await;
    let mut look = look?;
    if let Some(claim) = &look.claim {
        return Ok(success(&claim.addresses, network));
    }
    refuse_if_annotations_are_unknown(network)?;
    let policy = policy.unwrap_or_else(|| load(network))?;
    for attempt in 0..limits::ATTEMPTS {
        let request = request(&claimant, network, &look, attempt);
        let proposals = decide(&policy, &request, &network.policy.settings, &mut look)
            .instrument(debug_span!("decide", attempt))
            .await?;
        for proposal in &proposals {
            check_room(base.version, proposal.iter().map(|assignment| assignment.address))?;
        }
        refuse_if_held(&proposals, &look)?;
        deadline.check()?;
        let claim = store.claim(look, &proposals, Some(policy.name().clone()), &[]);
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

/// A pod may want a fixed address. Where the configuration names an API server that would know, and the runtime did not
/// say, no random address is given in its place.
fn refuse_if_annotations_are_unknown(network: &Network) -> Result<(), Error> {
    match &network.pod {
        Some(known) if !known.annotations_known && network.kube_config.is_some() => {
            Err(Error::AnnotationsUnknown { pod: known.pod.name.clone() })
        }
        _ => Ok(()),
    }
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

fn request<V>(claimant: &Claimant, network: &Network, look: &Look<V>, attempt: u32) -> Request {
    Request {
        attachment: claimant.attachment.clone(),
        node: claimant.node.clone(),
        pod: network.pod.as_ref().map(|known| known.pod.clone()),
        requested: network.requested.clone(),
        previous: look.previous.iter().flat_map(Claim::addresses).collect(),
        range_sets: network.range_sets.clone(),
        attempt,
    }
}

fn claimed(claim: &Claim, network: &Network) -> Success {
    tracing::info!(addresses = ?claim.addresses().collect::<Vec<_>>(), "claimed");
    success(&claim.addresses, network)
}

fn success(addresses: &[Assignment], network: &Network) -> Success {
    Success { ips: addresses.iter().map(Ip::from).collect(), routes: network.routes.clone(), dns: network.dns.clone() }
}
