//! All pods and nodes of the cluster, as of now: what allocations are compared with.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod as PodObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::ApiServer;
use super::error::Error;
use super::fate::{self, Fate};
use ipam::PodName;

/// Every pod and every node. It is complete: an error on any page is an error of the whole.
pub struct Inventory {
    pub(super) pods: BTreeMap<(String, String), PodObject>,
    nodes: BTreeMap<String, Node>,
}

impl ApiServer {
    /// List all pods and nodes. Reads what is true now, not what a cache of the API server remembers: the requests name no
    /// resource version.
    pub async fn inventory(&self) -> Result<Inventory, Error> {
        let mut pods = BTreeMap::new();
        for pod in self.list(Api::<PodObject>::all, "pods").await? {
            let ObjectMeta { namespace, name, .. } = pod.metadata.clone();
            pods.insert((namespace.unwrap_or_default(), name.unwrap_or_default()), pod);
        }
        // After the pods: a node that was added meanwhile is in the list, and its pods are not taken for pods of a node
        // that is gone.
        let mut nodes = BTreeMap::new();
        for node in self.list(Api::<Node>::all, "nodes").await? {
            nodes.insert(node.metadata.name.clone().unwrap_or_default(), node);
        }
        Ok(Inventory { pods, nodes })
    }

    /// All objects as of one moment. Where the server forgets that moment between two pages, the list starts over.
    async fn list<K>(&self, api: impl Fn(Client) -> Api<K>, resource: &'static str) -> Result<Vec<K>, Error>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        for _ in 1..limits::KUBERNETES_LISTS {
            match self.list_once(&api, resource).await {
                Err(error) if error.is_outdated() => tracing::debug!(%error, "starting the list again"),
                listed => return listed,
            }
        }
        self.list_once(&api, resource).await
    }

    async fn list_once<K>(&self, api: &impl Fn(Client) -> Api<K>, resource: &'static str) -> Result<Vec<K>, Error>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut params = ListParams::default().limit(limits::KUBERNETES_PAGE);
        let mut objects = Vec::new();
        loop {
            let asked =
                self.ask("list", resource, limits::KUBERNETES_LIST, async |client| api(client).list(&params).await);
            let page = asked.await?;
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(objects),
            }
        }
    }
}

impl Inventory {
    /// What has become of a pod that holds an address. Here a deleted node counts as an end, too, because whoever acts on
    /// it sees the node missing from two complete lists some time apart.
    pub fn fate(&self, holder: &PodName) -> Fate {
        let pod = self.pods.get(&(holder.namespace.clone(), holder.name.clone()));
        let fate = fate::of_pod(holder, pod);
        let node = pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_ref());
        let (Fate::Alive | Fate::Leaving, Some(name)) = (&fate, node) else { return fate };
        let Some(node) = self.nodes.get(name) else { return Fate::Gone(format!("node {name} is deleted")) };
        fate::out_of_service(name, Some(node)).map_or(fate, Fate::Gone)
    }

    /// The number of pods.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }
}
