//! The API server: what it knows of a requester's pod, and what has become of a pod that holds an address.
//!
//! ```text
//!   the runtime passed the annotations, nothing else is asked for ──► no request at all
//!   otherwise ──► GET pod (GET namespace, GET node where the configuration includes them)
//!   a wanted address is held ──► GET the pod that asks, the namespace kube-system, the holder's pod, its node
//!                                ──► Fate (fate.rs, pure) ──► Judgement (succession.rs)
//!       a rolling update ──► GET both ReplicaSets (revision.rs, pure)
//!   reclaim ──► list pods and nodes, page by page ──► Fate
//! ```
//!
//! Nothing is kept between invocations but the cluster's identity (cluster.rs): the kubeconfig and the token that it names
//! are read when the first question is asked. A question is answered, or fails within a bound; what is not known is never
//! taken for absent.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod addresses;
mod cluster;
mod connect;
mod error;
mod fate;
mod inventory;
mod revision;
mod rights;
mod succession;
mod token;
mod workload;

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod as PodObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

pub use addresses::{PodAddress, PodAddresses};
pub use cluster::{Home, Known};
pub use error::Error;
pub use fate::Fate;
pub use inventory::Inventory;
pub use rights::{RIGHTS, Right};
pub use succession::{Judgement, Keeps, Succession};
pub use token::DatedToken;

use cluster::Note;
use connect::{Access, Connection};
use ipam::{Metadata, Owner, Pod, PodName};

/// A pod's word on letting another pod have its address while it lives: `rolling-update` or `never`.
pub const HAND_OVER: &str = "kube-ipam.hand-over";

/// The namespace whose uid is the cluster's.
const KUBE_SYSTEM: &str = "kube-system";

/// An API server. It is connected to when the first question is asked.
pub struct ApiServer {
    access: Access,
    connected: OnceCell<Connection>,
    note: Option<Note>,
}

impl ApiServer {
    /// The API server that a kubeconfig file names. Nothing is read yet.
    pub fn of_kubeconfig(file: &Path) -> Self {
        Self { access: Access::Kubeconfig(file.to_owned()), connected: OnceCell::new(), note: None }
    }

    /// The API server behind this client, for callers that make their own connections.
    pub fn of_client(client: Client) -> Self {
        Self { access: Access::Client(client), connected: OnceCell::new(), note: None }
    }

    /// Check that the kubeconfig and the files it names can be used. Sends no request.
    pub async fn check_kubeconfig(&self) -> Result<(), Error> {
        self.access.check().await
    }

    /// Its token, where that says until when it is valid. Sends no request.
    pub async fn dated_token(&self) -> Option<DatedToken> {
        self.access.dated_token().await
    }

    /// Note in this data directory which cluster it is, so that the next invocation need not ask.
    #[must_use]
    pub fn noting_in(mut self, data_dir: &Path) -> Self {
        if let Access::Kubeconfig(file) = &self.access {
            self.note = Some(Note::about(file, data_dir));
        }
        self
    }

    /// The API server of the cluster in a pod of which this process runs.
    pub fn of_service_account() -> Option<Self> {
        let access = Access::of_service_account()?;
        Some(Self { access, connected: OnceCell::new(), note: None })
    }

    /// The cluster by the note on this node. Sends no request.
    pub fn known_cluster(&self) -> Option<Known> {
        self.note.as_ref().and_then(Note::read)
    }

    /// The cluster by the API server's word: the uid of the namespace `kube-system`. The node remembers it from now on.
    pub async fn cluster(&self) -> Result<String, Error> {
        self.ask_for_cluster(limits::KUBERNETES_ANSWER).await
    }

    /// Like [`Self::cluster`], with less patience: for a call that needs the answer less than it needs to go on.
    pub async fn cluster_at_once(&self) -> Result<String, Error> {
        self.ask_for_cluster(limits::KUBERNETES_CLUSTER).await
    }

    async fn ask_for_cluster(&self, within: Duration) -> Result<String, Error> {
        let asked = self
            .ask("get", "namespaces", within, async |client| Api::<Namespace>::all(client).get_opt(KUBE_SYSTEM).await);
        let found = asked.await;
        // A refusal is noted as well: without the right to read the namespace, every ADD would ask in vain.
        if let (Err(Error::Forbidden { .. }), Some(note)) = (&found, &self.note) {
            note.write(None);
        }
        let uid = found?.and_then(|namespace| namespace.metadata.uid);
        let cluster = uid.ok_or_else(|| Error::absent("namespace", KUBE_SYSTEM))?;
        if let Some(note) = &self.note {
            note.write(Some(&cluster));
        }
        Ok(cluster)
    }

    /// The cluster whose pods this API server knows. The server is asked for it, unless the configuration names the cluster.
    pub async fn home(&self, configured: Option<&str>, single_node: bool) -> Result<Home, Error> {
        let cluster = match configured {
            Some(name) => name.to_owned(),
            None => self.cluster().await?,
        };
        Ok(Home { cluster, single_node })
    }

    /// The requester's pod, by its name. Where its uid is known, it has to be that very pod.
    pub async fn pod(&self, name: &PodName) -> Result<Pod, Error> {
        let object = self.find_pod(name).await?.ok_or_else(|| Error::NoPod { pod: Box::new(name.clone()) })?;
        match (&name.uid, &object.metadata.uid) {
            (Some(asked), Some(found)) if !fate::is_uid_of(asked, &object) => {
                let (asked, found) = (asked.as_str().into(), found.as_str().into());
                Err(Error::OtherPod { pod: Box::new(name.clone()), asked, found })
            }
            _ => Ok(describe(name, object)),
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

    async fn find_pod(&self, name: &PodName) -> Result<Option<PodObject>, Error> {
        self.get(|client| Api::<PodObject>::namespaced(client, &name.namespace), "pods", &name.name).await
    }

    async fn find_node(&self, name: &str) -> Result<Option<Node>, Error> {
        self.get(Api::<Node>::all, "nodes", name).await
    }

    /// Get an object; `None` where the API server says that there is none. Anything else is an error.
    async fn get<K>(
        &self,
        api: impl Fn(Client) -> Api<K>,
        resource: &'static str,
        name: &str,
    ) -> Result<Option<K>, Error>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        self.ask("get", resource, limits::KUBERNETES_ANSWER, async |client| api(client).get_opt(name).await).await
    }

    /// Ask a question. It fails with what kept the server from answering in this time; a server that is too busy is asked
    /// again meanwhile.
    async fn ask<T>(
        &self,
        verb: &'static str,
        resource: &'static str,
        within: Duration,
        question: impl AsyncFn(Client) -> kube::Result<T>,
    ) -> Result<T, Error> {
        // One end for all attempts: a server that answers "busy" again and again takes no more time than one that is silent.
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
fn describe(name: &PodName, object: PodObject) -> Pod {
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
