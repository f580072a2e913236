//! An ADD that is only rehearsed, for `kube-ipam explain`: the very steps of an ADD on the store as it is, of which the last one
//! says how the claim would end, and writes nothing. No shadow is asked, and nothing is recorded or counted.

use jiff::Timestamp;

use super::context::AddContext;
use super::hand_over::HandOvers;
use super::metadata::RequesterMetadata;
use super::which_cluster::api_server;
use super::{Advisers, Surroundings, exhausted, look_around, obtain};
use crate::config::{Base, Network};
use crate::verbs::{Deadline, Error};
use cni::Container;
use engine::Call;
use ipam::{Claim, PolicyName};
use store::Store;

/// What a rehearsed ADD came upon, as far as it got.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    /// What the requester turned out to be.
    pub(crate) metadata: RequesterMetadata,
    /// What an older container of the pod holds, which would give way.
    pub(crate) previous: Option<Claim>,
    pub(crate) policy: Option<PolicyName>,
    /// Every run of the policy that came to an end: what it asked, and its verdict.
    pub(crate) calls: Vec<Call>,
}

/// Rehearse an ADD. The result is what the ADD would claim, or the error that it would answer.
pub(crate) async fn rehearse(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
) -> (Rehearsal, Result<Claim, Error>) {
    let mut rehearsal = Rehearsal::default();
    let mut network = network.clone();
    (network.policy.shadow, network.policy.record) = (None, None);
    let outcome = run(container, base, &network, &store.rehearsing(), &mut rehearsal).await;
    (rehearsal, outcome)
}

async fn run(
    container: &Container,
    base: &Base,
    network: &Network,
    store: &Store,
    rehearsal: &mut Rehearsal,
) -> Result<Claim, Error> {
    let deadline = Deadline::after(base.timeout);
    let server = api_server(network);
    let advisers = Advisers { server: server.as_ref(), policy: None };
    let (requester, metadata, policy, mut look) =
        match look_around(container, base, network, store, &deadline, advisers).await? {
            Surroundings::Held(claim) => return Ok(claim),
            Surroundings::Open { requester, metadata, policy, look } => (requester, metadata, policy, look),
        };
    let policy = policy.recording();
    rehearsal.metadata = metadata.clone();
    rehearsal.policy = Some(policy.name().clone());
    if metadata.confirmed {
        look.succeed().await?;
    }
    rehearsal.previous.clone_from(&look.previous);
    let hand_overs = HandOvers::to(requester.pod.clone(), base, network, server.as_ref(), &deadline);
    let context = AddContext::new(requester, metadata, base, network, hand_overs, &policy)?;
    let obtained = obtain(&context, &policy, store, look, &deadline, Timestamp::now).await;
    rehearsal.calls = policy.take_calls();
    match obtained {
        Ok(claim) => Ok(claim),
        Err(error) => Err(exhausted::explain(error, base, network, store, &deadline).await),
    }
}
