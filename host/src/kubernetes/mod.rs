//! The API server: what it knows of a pod that asks, and what has become of a pod that holds an address.
//!
//! ```text
//!   the runtime passed the annotations, nothing else is asked for ──► no request at all
//!   otherwise ──► GET pod (GET namespace, GET node where the configuration includes them)
//!   a wanted address is held ──► GET the holder's pod, and its node ──► Fate (fate.rs, pure)
//!   reclaim ──► list pods and nodes, page by page ──► Fate
//! ```
//!
//! Nothing is kept between invocations: the kubeconfig and the token it names are read when the first question is
//! asked. A question is answered, or fails within a bound; what is not known is never taken for absent.

mod addresses;
mod connect;
mod error;
mod fate;
mod inventory;

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod as PodObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

pub use addresses::{PodAddress, PodAddresses};
pub use error::Error;
pub use fate::Fate;
pub use inventory::Inventory;

use crate::ipam::{HeldAddress, Metadata, Owner, Pod, PodName};
use crate::limits;
use connect::{Access, Connection};

/// One API server. Connects when the first question is asked.
pub struct ApiServer {
    access: Access,
    connected: OnceCell<Connection>,
}

impl ApiServer {
    /// The one a kubeconfig file names. Nothing is read yet.
    pub fn of_kubeconfig(file: &Path) -> Self {
        Self { access: Access::Kubeconfig(file.to_owned()), connected: OnceCell::new() }
    }

    /// The one of the cluster, when we run in a pod of it.
    pub fn of_service_account() -> Option<Self> {
        let access = Access::of_service_account()?;
        Some(Self { access, connected: OnceCell::new() })
    }

    /// The pod that asks, by its name; with its uid known, it has to be that very pod.
    pub async fn pod(&self, name: &PodName) -> Result<Pod, Error> {
        let object = self.find_pod(name).await?.ok_or_else(|| Error::NoPod { pod: name.clone().into() })?;
        match (&name.uid, &object.metadata.uid) {
            (Some(asked), Some(found)) if !fate::is_uid_of(asked, &object) => Err(Error::OtherPod {
                pod: name.clone().into(),
                asked: asked.as_str().into(),
                found: found.as_str().into(),
            }),
            _ => Ok(told(name, object)),
        }
    }

    /// Labels and annotations of a namespace.
    pub async fn namespace(&self, name: &str) -> Result<Metadata, Error> {
        let found = self.get(Api::<Namespace>::all, "namespaces", name).await?;
        found.map(|object| metadata(object.metadata)).ok_or_else(|| Error::absent("namespace", name))
    }

    /// Labels and annotations of a node.
    pub async fn node(&self, name: &str) -> Result<Metadata, Error> {
        let found = self.find_node(name).await?;
        found.map(|object| metadata(object.metadata)).ok_or_else(|| Error::absent("node", name))
    }

    /// What has become of the pod that holds an address, where another pod wants it.
    pub async fn fate(&self, held: &HeldAddress, claimant: Option<&PodName>) -> Result<Fate, Error> {
        let Some(name) = &held.pod else { return Ok(Fate::Unknowable) };
        let pod = self.find_pod(name).await?;
        let fate = fate::of_pod(name, pod.as_ref());
        let Some(pod) = pod.filter(|_| fate == Fate::Alive) else { return Ok(fate) };
        let fate = self.fate_on_node(&pod).await?;
        match claimant {
            Some(claimant) if fate == Fate::Alive && fate::is_of_a_deployment(&pod) => {
                let claimant = self.find_pod(claimant).await?;
                Ok(claimant.map_or(fate, |claimant| fate::against(&pod, &claimant)))
            }
            _ => Ok(fate),
        }
    }

    /// A pod that its node took with it.
    async fn fate_on_node(&self, pod: &PodObject) -> Result<Fate, Error> {
        let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) else { return Ok(Fate::Alive) };
        Ok(fate::of_node(node, self.find_node(node).await?.as_ref()))
    }

    async fn find_pod(&self, name: &PodName) -> Result<Option<PodObject>, Error> {
        let namespaced = |client| Api::<PodObject>::namespaced(client, &name.namespace);
        self.get(namespaced, "pods", &name.name).await
    }

    async fn find_node(&self, name: &str) -> Result<Option<Node>, Error> {
        self.get(Api::<Node>::all, "nodes", name).await
    }

    /// `None` when the API server says that there is no such object; anything else but the object is an error.
    async fn get<K>(
        &self,
        api: impl Fn(Client) -> Api<K>,
        resource: &'static str,
        name: &str,
    ) -> Result<Option<K>, Error>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let question = async |client| api(client).get_opt(name).await;
        self.ask("get", resource, limits::KUBERNETES_ANSWER, question).await
    }

    /// The answer to a question, or what kept the server from answering in this time. One that is too busy is asked again.
    async fn ask<T>(
        &self,
        verb: &'static str,
        resource: &'static str,
        within: Duration,
        question: impl AsyncFn(Client) -> kube::Result<T>,
    ) -> Result<T, Error> {
        let end = Instant::now() + within;
        let kubeconfig = self.access.file();
        loop {
            let asked = async {
                let connection = self.connected.get_or_try_init(|| self.access.connect()).await?;
                let answer = question(connection.client.clone()).await;
                answer.map_err(|error| error::explain(error, connection, verb, resource, kubeconfig))
            };
            match timeout_at(end, asked).await {
                Err(_) => return Err(Error::Slow { kubeconfig: kubeconfig.to_owned(), verb, resource, within }),
                Ok(Err(error)) if error.is_busy() && Instant::now() + limits::KUBERNETES_BUSY < end => {
                    tracing::debug!(%error, "asking again");
                    sleep(limits::KUBERNETES_BUSY).await;
                }
                Ok(answer) => return answer,
            }
        }
    }
}

/// What a policy is told of a pod.
fn told(name: &PodName, object: PodObject) -> Pod {
    let ObjectMeta { uid, annotations, labels, owner_references, .. } = object.metadata;
    let controller = owner_references.into_iter().flatten().find(|owner| owner.controller == Some(true));
    Pod {
        name: PodName { uid: name.uid.clone().or(uid), ..name.clone() },
        annotations: annotations.unwrap_or_default(),
        labels: labels.unwrap_or_default(),
        owner: controller.map(|owner| Owner { kind: owner.kind, name: owner.name }),
    }
}

fn metadata(object: ObjectMeta) -> Metadata {
    Metadata { labels: object.labels.unwrap_or_default(), annotations: object.annotations.unwrap_or_default() }
}
