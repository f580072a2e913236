//! What is known of the requester beside its name: as the runtime told, and as the API server tells where it has to be asked.

use std::collections::BTreeMap;

use tracing::{Instrument, info_span};

use super::told::bound_annotations;
use super::which_cluster::Cluster;
use crate::config::{Base, Include, KnownPod, KubernetesConfig, Network};
use crate::verbs::Error;
use cluster::{self, ApiServer, HAND_OVER};
use ipam::{Metadata, Pod};
use store::StoreConfig;

/// The requester's pod and its surroundings, as a policy is told of them.
#[derive(Clone, Debug, Default)]
pub struct RequesterMetadata {
    /// The pod, when the runtime named one.
    pub pod: Option<Pod>,
    /// What the runtime told of annotations where it named no pod.
    pub annotations: BTreeMap<String, String>,
    /// Of the pod's namespace, when the configuration includes it.
    pub namespace: Option<Metadata>,
    /// Of the node, when the configuration includes it.
    pub node: Option<Metadata>,
    /// Whether the API server says that the pod of this name is the requester's.
    pub confirmed: bool,
}

impl RequesterMetadata {
    /// The annotations of the pod, or of a container without one.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        self.pod.as_ref().map_or(&self.annotations, |pod| &pod.annotations)
    }

    /// For a sentence: whose annotations these are.
    pub(crate) fn whose(&self) -> String {
        self.pod.as_ref().map_or_else(|| "the container".to_owned(), |pod| format!("pod {}", pod.name))
    }
}

/// What there is to know of the requester. A pod may want a fixed address: where neither the runtime nor the API server
/// tells its annotations, that is an error, and no other address is given.
pub(super) async fn find_metadata(
    base: &Base,
    network: &Network,
    cluster: &Cluster,
    server: Option<&ApiServer>,
) -> Result<RequesterMetadata, Error> {
    let mut metadata = ask(base, network, cluster, server).await?;
    if let Some(pod) = &mut metadata.pod {
        pod.name.cluster.clone_from(&cluster.name);
    }
    check_hand_over(&metadata)?;
    Ok(metadata)
}

async fn ask(
    base: &Base,
    network: &Network,
    cluster: &Cluster,
    server: Option<&ApiServer>,
) -> Result<RequesterMetadata, Error> {
    let (Some(server), Some(kubernetes)) = (server, &network.kubernetes) else {
        let pod = network.pod.as_ref().map(|known| known.pod.clone());
        let annotations = network.annotations.clone();
        return bound_annotations(RequesterMetadata { pod, annotations, ..RequesterMetadata::default() });
    };
    // Boxed, here and wherever only some calls ask somebody: a future has room for all it could become, and each page of
    // it on the stack is a page fault of every ADD.
    Box::pin(ask_server(base, network, cluster, server, kubernetes)).instrument(info_span!("api_server")).await
}

async fn ask_server(
    base: &Base,
    network: &Network,
    cluster: &Cluster,
    server: &ApiServer,
    kubernetes: &KubernetesConfig,
) -> Result<RequesterMetadata, Error> {
    let (known, include) = (network.pod.as_ref(), kubernetes.include);
    // All at once: each is a round trip, and none needs what another finds out.
    let ((pod, confirmed), namespace, node, is_same_cluster) = tokio::try_join!(
        find_pod(known, include, server),
        find_namespace(known, include, server),
        find_node(&base.node, include, server),
        async { Ok(is_same_cluster(known, include, cluster, server).await) },
    )?;
    // Where the cluster is not known, whoever has the pod's name in a shared store may be another cluster's.
    let is_told_apart = cluster.name.is_some() || matches!(base.store, StoreConfig::Embedded { .. });
    let confirmed = confirmed && is_same_cluster && is_told_apart;
    let annotations = network.annotations.clone();
    bound_annotations(RequesterMetadata { pod, annotations, namespace, node, confirmed })
}

/// Whether the API server is of the cluster that the node remembers, which remembers the answer. Only a hand-over may
/// depend on it, so that no answer is not the pod's business.
async fn is_same_cluster(known: Option<&KnownPod>, include: Include, cluster: &Cluster, server: &ApiServer) -> bool {
    // Where the server confirms nothing of the pod, or the kubeconfig is the one that led to that cluster, nobody is asked.
    let is_looked_up = known.is_some_and(|known| is_looked_up(known, include));
    if !is_looked_up || !cluster.is_outdated {
        return true;
    }
    match server.cluster_at_once().await {
        Ok(now) => cluster.name.as_ref() == Some(&now),
        Err(error) => {
            tracing::debug!(%error, "cannot tell whether the cluster is still the same");
            false
        }
    }
}

fn check_hand_over(metadata: &RequesterMetadata) -> Result<(), Error> {
    match metadata.annotations().get(HAND_OVER).map(String::as_str) {
        None | Some("rolling-update" | "never") => Ok(()),
        Some(value) => Err(Error::HandOverAnnotation { whose: metadata.whose(), value: value.to_owned() }),
    }
}

/// What the runtime told of annotations is enough, unless the policy is told more.
fn is_looked_up(known: &KnownPod, include: Include) -> bool {
    !known.annotations_known || include.labels
}

/// The pod, and whether the API server confirmed that it is the one.
async fn find_pod(
    known: Option<&KnownPod>,
    include: Include,
    server: &ApiServer,
) -> Result<(Option<Pod>, bool), cluster::Error> {
    let Some(known) = known else { return Ok((None, false)) };
    if !is_looked_up(known, include) {
        return Ok((Some(known.pod.clone()), false));
    }
    let mut pod = server.pod(&known.pod.name).await?;
    // What the runtime told of annotations stands: it is what the container was made for.
    if known.annotations_known {
        pod.annotations.clone_from(&known.pod.annotations);
    }
    // Labels and owner come with the pod for nothing, but a policy is told what the configuration includes, whichever way
    // the annotations were found.
    if !include.labels {
        pod.labels.clear();
        pod.owner = None;
    }
    // By its name alone the pod may be the successor of the one that asks.
    Ok((Some(pod), known.pod.name.uid.is_some()))
}

async fn find_namespace(
    known: Option<&KnownPod>,
    include: Include,
    server: &ApiServer,
) -> Result<Option<Metadata>, cluster::Error> {
    let Some(known) = known else { return Ok(None) };
    if !include.namespace {
        return Ok(None);
    }
    server.namespace(&known.pod.name.namespace).await.map(Some)
}

async fn find_node(node: &str, include: Include, server: &ApiServer) -> Result<Option<Metadata>, cluster::Error> {
    if !include.node {
        return Ok(None);
    }
    server.node(node).await.map(Some)
}
