//! Who asks: as the runtime told, and as the API server tells where it has to be asked.

use std::collections::BTreeMap;

use super::told::bound_annotations;
use super::which_cluster::Cluster;
use crate::config::{Base, Include, KnownPod, KubernetesConfig, Network};
use crate::verbs::Error;
use cluster::{self, ApiServer, HAND_OVER};
use ipam::{Metadata, Pod};
use store::StoreConfig;

/// The pod and its surroundings, as a policy is told of them.
#[derive(Debug, Default)]
pub struct Asking {
    /// The pod, when the runtime named one.
    pub pod: Option<Pod>,
    /// What the runtime told of annotations where it named no pod.
    pub annotations: BTreeMap<String, String>,
    /// Of the pod's namespace, when the configuration includes it.
    pub namespace: Option<Metadata>,
    /// Of the node, when the configuration includes it.
    pub node: Option<Metadata>,
    /// Whether the API server says that the pod of this name is the one that asks.
    pub confirmed: bool,
}

impl Asking {
    /// The annotations of the pod, or of a container without one.
    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        self.pod.as_ref().map_or(&self.annotations, |pod| &pod.annotations)
    }

    /// For a sentence: whose annotations these are.
    pub(crate) fn whose(&self) -> String {
        self.pod.as_ref().map_or_else(|| "the container".to_owned(), |pod| format!("pod {}", pod.name))
    }
}

/// A pod may want a fixed address. Where the runtime did not tell its annotations and the API server cannot, that is an
/// error: no other address is given in its place.
pub(super) async fn who_asks(
    base: &Base,
    network: &Network,
    cluster: &Cluster,
    server: Option<&ApiServer>,
) -> Result<Asking, Error> {
    let mut asking = ask(base, network, cluster, server).await?;
    if let Some(pod) = &mut asking.pod {
        pod.name.cluster.clone_from(&cluster.name);
    }
    check_hand_over(&asking)?;
    Ok(asking)
}

async fn ask(base: &Base, network: &Network, cluster: &Cluster, server: Option<&ApiServer>) -> Result<Asking, Error> {
    let (Some(server), Some(kubernetes)) = (server, &network.kubernetes) else {
        let pod = network.pod.as_ref().map(|known| known.pod.clone());
        let annotations = network.annotations.clone();
        return bound_annotations(Asking { pod, annotations, ..Asking::default() });
    };
    // Boxed, here and wherever only some calls ask somebody: a future has room for all it could become, and each page of
    // it on the stack is a page fault of every ADD.
    Box::pin(ask_server(base, network, cluster, server, kubernetes)).await
}

async fn ask_server(
    base: &Base,
    network: &Network,
    cluster: &Cluster,
    server: &ApiServer,
    kubernetes: &KubernetesConfig,
) -> Result<Asking, Error> {
    let include = kubernetes.include;
    let looked_up = network.pod.as_ref().is_some_and(|known| is_looked_up(known, include));
    let namespace = network.pod.as_ref().map(|known| known.pod.name.namespace.as_str());
    let (pod, namespace, node, is_same_cluster) = tokio::try_join!(
        maybe(network.pod.as_ref(), |known| look_up(known, include, server)),
        maybe(namespace.filter(|_| include.namespace), |name| server.namespace(name)),
        maybe(Some(&base.node).filter(|_| include.node), |name| server.node(name)),
        async { Ok(!looked_up || !cluster.is_outdated || is_still(cluster, server).await) },
    )?;
    let (pod, confirmed) = pod.map_or((None, false), |(pod, confirmed)| (Some(pod), confirmed));
    // Where the cluster is not known, whoever has the pod's name in a shared store may be another cluster's.
    let is_told_apart = cluster.name.is_some() || matches!(base.store, StoreConfig::Embedded { .. });
    let confirmed = confirmed && is_same_cluster && is_told_apart;
    let annotations = network.annotations.clone();
    bound_annotations(Asking { pod, annotations, namespace, node, confirmed })
}

/// Whether the API server is of the cluster that the node remembers, which remembers the answer. Only a hand-over may
/// depend on it, so that no answer is not the pod's business.
async fn is_still(cluster: &Cluster, server: &ApiServer) -> bool {
    match server.cluster_at_once().await {
        Ok(now) => cluster.name.as_ref() == Some(&now),
        Err(error) => {
            tracing::debug!(%error, "cannot tell whether the cluster is still the same");
            false
        }
    }
}

fn check_hand_over(asking: &Asking) -> Result<(), Error> {
    match asking.annotations().get(HAND_OVER).map(String::as_str) {
        None | Some("rolling-update" | "never") => Ok(()),
        Some(value) => Err(Error::HandOverAnnotation { whose: asking.whose(), value: value.to_owned() }),
    }
}

/// What the runtime told of annotations is enough, unless the policy is told more.
fn is_looked_up(known: &KnownPod, include: Include) -> bool {
    !known.annotations_known || include.labels
}

/// The pod, and whether the API server confirmed that it is the one. What the runtime told of annotations stands: it is
/// what the sandbox was made for.
async fn look_up(known: &KnownPod, include: Include, server: &ApiServer) -> Result<(Pod, bool), cluster::Error> {
    if !is_looked_up(known, include) {
        return Ok((known.pod.clone(), false));
    }
    let mut pod = server.pod(&known.pod.name).await?;
    if known.annotations_known {
        pod.annotations.clone_from(&known.pod.annotations);
    }
    if !include.labels {
        pod.labels.clear();
        pod.owner = None;
    }
    Ok((pod, known.pod.name.uid.is_some()))
}

async fn maybe<T, U, E, F: Future<Output = Result<U, E>>>(
    what: Option<T>,
    ask: impl FnOnce(T) -> F,
) -> Result<Option<U>, E> {
    match what {
        Some(what) => ask(what).await.map(Some),
        None => Ok(None),
    }
}
