//! Which cluster the pod that asks belongs to, and who is asked about it.

use crate::config::Network;
use crate::kubernetes::{ApiServer, Known};

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

/// As configured, or as the node remembers it. Only the first ADD of a node asks: the cluster is a part of the key under
/// which the store knows the pod, so this cannot travel beside the first read.
pub(super) async fn which_cluster(network: &Network, server: Option<&ApiServer>) -> Cluster {
    if network.cluster.is_some() || network.pod.is_none() {
        return Cluster { name: network.cluster.clone(), is_outdated: false };
    }
    let Some(server) = server else { return Cluster::default() };
    if let Some(Known { cluster, is_current }) = server.known_cluster() {
        return Cluster { name: cluster, is_outdated: !is_current };
    }
    match server.cluster_at_once().await {
        Ok(cluster) => Cluster { name: Some(cluster), is_outdated: false },
        Err(error) => {
            tracing::warn!(%error, "the claim will not say which cluster it belongs to");
            Cluster::default()
        }
    }
}
