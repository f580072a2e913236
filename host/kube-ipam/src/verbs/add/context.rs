//! What an ADD knows before anybody decides: who asks, of which network, and whose addresses may be taken over.

use super::annotations::{self, wanted_families};
use super::hand_over::HandOvers;
use super::metadata::RequesterMetadata;
use super::which_cluster::Cluster;
use crate::config::{Base, Network};
use crate::verbs::Error;
use cni::Container;
use engine::Policy;
use ipam::{Claim, Family, PodName, Request};
use store::{Look, Requester};

/// Who asks, and where.
pub struct AddContext<'a> {
    pub(super) requester: Requester,
    pub(super) metadata: RequesterMetadata,
    pub(super) base: &'a Base,
    pub(super) network: &'a Network,
    pub(super) hand_overs: HandOvers<'a>,
    /// Of these families alone; `None` for all of the network's.
    families: Option<Vec<Family>>,
}

impl<'a> AddContext<'a> {
    /// Annotations of ours that mean nothing are refused here, before anybody decides.
    pub fn new(
        requester: Requester,
        metadata: RequesterMetadata,
        base: &'a Base,
        network: &'a Network,
        hand_overs: HandOvers<'a>,
        policy: &Policy,
    ) -> Result<Self, Error> {
        annotations::judge(&metadata, &requester.attachment, policy, network.policy.on_fault)?;
        let families = wanted_families(&metadata, &requester.attachment, &network.range_sets)?;
        Ok(Self { requester, metadata, base, network, hand_overs, families })
    }

    /// What the policy is told at this attempt.
    pub fn request(&self, look: &mut Look, attempt: u32) -> Request {
        let Self { requester, metadata, network, .. } = self;
        // At each attempt: a new look brings all of the network's ranges again.
        if let Some(families) = &self.families {
            look.snapshot.keep_families(families);
        }
        Request {
            attachment: requester.attachment.clone(),
            node: requester.node.clone(),
            pod: metadata.pod.clone(),
            annotations: metadata.annotations.clone(),
            requested: network.requested.iter().map(|asked| asked.address).collect(),
            previous: look.previous.iter().flat_map(Claim::addresses).collect(),
            range_sets: look.snapshot.range_sets().clone(),
            attempt,
            namespace: metadata.namespace.clone(),
            node_metadata: metadata.node.clone(),
        }
    }
}

/// The attachment that asks, as the store knows it.
pub(super) fn requester(container: &Container, base: &Base, network: &Network, cluster: &Cluster) -> Requester {
    let pod = network.pod.as_ref().map(|known| known.pod.name.clone());
    Requester {
        attachment: container.attachment(&base.network),
        node: base.node.clone(),
        machine: base.machine.clone(),
        pod: pod.map(|pod| PodName { cluster: cluster.name.clone(), ..pod }),
    }
}
