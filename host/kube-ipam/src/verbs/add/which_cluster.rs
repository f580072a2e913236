//! Which cluster the pod that asks belongs to, and who is asked about it.

use crate::config::Network;
use cluster::{ApiServer, Known};

/// The cluster as far as it is known before anything else is asked.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// Unknown where nobody tells it.
    pub(super) name: Option<String>,
    /// The kubeconfig changed since it was learnt, and may lead to another cluster by now.
    pub(super) is_outdated: bool,
}

/// The API server of a network, if it has one.
pub(super) fn api_server(network: &Network) -> Option<ApiServer> {
    let kubernetes = network.kubernetes.as_ref()?;
    Some(ApiServer::of_kubeconfig(&kubernetes.kubeconfig).noting_in(&kubernetes.data_dir))
}

/// As configured, or as the node remembers it. Only the first ADD of a node asks, and the first after the kubeconfig has
/// changed: the cluster is a part of the key under which the store knows the pod, so this cannot travel beside the first
/// read.
pub(super) async fn which_cluster(network: &Network, server: Option<&ApiServer>) -> Cluster {
    if network.cluster.is_some() || network.pod.is_none() {
        return Cluster { name: network.cluster.clone(), is_outdated: false };
    }
    let Some(server) = server else { return Cluster::default() };
    let known = server.known_cluster();
    if let Some(Known { cluster, is_current: true }) = known {
        return Cluster { name: cluster, is_outdated: false };
    }
    match (Box::pin(server.cluster_at_once()).await, known) {
        (Ok(cluster), _) => Cluster { name: Some(cluster), is_outdated: false },
        // A token that was renewed changes the file as another cluster's would: what was noted is likely still right.
        (Err(error), Some(Known { cluster, .. })) => {
            tracing::warn!(%error, "the kubeconfig has changed; cannot tell whether it still points to the same \
                cluster");
            Cluster { name: cluster, is_outdated: true }
        }
        (Err(error), None) => {
            tracing::warn!(%error, "the claim will not name its cluster");
            Cluster::default()
        }
    }
}
