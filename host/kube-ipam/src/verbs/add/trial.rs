//! A decision that is only tried, for `doctor`: the policy is asked as by an ADD, and nothing comes of it.

use jiff::Timestamp;

use super::context::AddContext;
use super::decide::propose;
use super::hand_over::HandOvers;
use super::look_up;
use super::metadata::RequesterMetadata;
use crate::config::{Base, Network};
use crate::verbs::Error;
use engine::Policy;
use ipam::{Attachment, Pod, PodName, Proposal};
use store::{Requester, Store};

/// The namespace of the pod for which a policy is tried.
pub(crate) const TRIED_NAMESPACE: &str = "default";

/// What the policy would propose to a pod without annotations. Nothing is claimed, recorded or counted.
pub(crate) async fn try_policy(
    base: &Base,
    network: &Network,
    policy: &Policy,
    store: &Store,
) -> Result<Vec<Proposal>, Error> {
    let name = PodName {
        namespace: TRIED_NAMESPACE.to_owned(),
        name: "kube-ipam-doctor".to_owned(),
        uid: None,
        cluster: None,
    };
    let attachment = Attachment {
        network: base.network.clone(),
        container: "kube-ipam-doctor".to_owned(),
        interface: "eth0".to_owned(),
    };
    let requester = Requester {
        attachment,
        node: base.node.clone(),
        machine: base.machine.clone(),
        // By its name a pod is found that held addresses before. This one never did.
        pod: None,
    };
    let mut look = look_up(store, &requester, network, &[], Timestamp::now()).await?;
    let pod = Pod { name, annotations: Default::default(), labels: Default::default(), owner: None };
    let metadata = RequesterMetadata { pod: Some(pod), ..RequesterMetadata::default() };
    let context = AddContext::new(requester, metadata, base, network, HandOvers::none(), policy)?;
    let request = context.request(&mut look, 0);
    propose(policy, &request, &network.policy.settings, &mut look).await
}
