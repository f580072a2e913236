//! All pods and nodes of the cluster, as of now: what allocations are compared with.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod as PodObject};
use kube::api::ListParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::ApiServer;
use super::error::{self, Error};
use super::fate::{self, Fate};
use crate::ipam::PodName;
use crate::limits;

/// Every pod and every node, complete: an error on any page is an error of the whole.
pub struct Inventory {
    pods: BTreeMap<(String, String), PodObject>,
    nodes: BTreeMap<String, Node>,
}

impl ApiServer {
    /// List everything. Reads what is true now, not what a cache of the API server remembers.
    pub async fn inventory(&self) -> Result<Inventory, Error> {
        let pods = self.list(Api::<PodObject>::all, "pods").await?;
        let nodes = self.list(Api::<Node>::all, "nodes").await?;
        let name = |name: Option<String>| name.unwrap_or_default();
        let key = |pod: &PodObject| (name(pod.metadata.namespace.clone()), name(pod.metadata.name.clone()));
        Ok(Inventory {
            pods: pods.into_iter().map(|pod| (key(&pod), pod)).collect(),
            nodes: nodes.into_iter().map(|node| (name(node.metadata.name.clone()), node)).collect(),
        })
    }

    async fn list<K>(&self, api: impl Fn(Client) -> Api<K>, resource: &'static str) -> Result<Vec<K>, Error>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut params = ListParams::default().limit(limits::KUBERNETES_PAGE);
        let mut objects = Vec::new();
        loop {
            let ask = async {
                let (client, server) = self.connection().await?;
                let page = api(client.clone()).list(&params).await;
                page.map_err(|error| error::explain(error, server, "list", resource, self.access.file()))
            };
            let page = tokio::time::timeout(limits::KUBERNETES_LIST, ask).await;
            let page = page.unwrap_or_else(|_| Err(Error::slow("list", resource, self.access.file())))?;
            objects.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(objects),
            }
        }
    }
}

impl Inventory {
    /// What has become of a pod that holds an address.
    pub fn fate(&self, holder: &PodName) -> Fate {
        let pod = self.pods.get(&(holder.namespace.clone(), holder.name.clone()));
        let fate = fate::of_pod(holder, pod);
        let node = pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_ref());
        match node {
            Some(node) if fate == Fate::Alive => fate::of_node(node, self.nodes.get(node)),
            _ => fate,
        }
    }

    /// How many pods there are.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    /// The names of all nodes.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }
}
