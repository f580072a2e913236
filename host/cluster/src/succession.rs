//! Who gives way to a pod that wants an address by name.
//!
//! ```text
//!   the pod that asks is known here under its uid?   no ──► this API server cannot judge
//!   the holder is of this cluster?                   no ──► it keeps its address
//!   the holder is gone                    ──► it gives way; whoever had ceded the address to it is judged as well
//!   it is on its way out                  ──► worth waiting for
//!   it lives                              ──► it keeps its address, or cedes it to a pod of a newer revision of its
//!                                             Deployment where its annotation says so: then it gets it back later
//! ```

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::Api;
use tokio::sync::OnceCell;

use super::ApiServer;
use super::cluster::Home;
use super::error::Error;
use super::fate::{self, Fate};
use super::revision::{self, Consent};
use ipam::{Allocation, Party, PodName};

/// What the API server's word means for an address that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The holder gives way.
    GivesWay {
        /// Why.
        why: String,
        /// Who lives and gets the address back later.
        former: Option<Box<Party>>,
    },
    /// The holder is on its way out: waiting is worth while. What is seen of it.
    Leaves(String),
    /// The holder keeps it.
    Keeps(Keeps),
}

/// Why a holder keeps its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Its pod exists.
    Alive,
    /// Its pod exists and is of an older revision of the Deployment of the pod that asks, but does not cede.
    OlderRevision,
    /// Its pod is being deleted, and that takes longer than it may be waited for.
    Leaving,
    /// It has the address from this one, who gets it back.
    Borrowed(Box<Party>),
    /// It is gone, but this one, who had ceded the address to it, is not.
    Former(Box<Party>),
    /// The API server cannot know, for this reason.
    Unknowable(String),
}

/// One pod that wants addresses which others hold, before the API server.
pub struct Succession<'a> {
    server: &'a ApiServer,
    heir: Option<PodName>,
    cluster: Option<String>,
    single_node: bool,
    ground: OnceCell<Ground>,
}

/// What every judgement rests on.
struct Ground {
    home: Home,
    /// The pod that asks; `None` where this API server does not know it under its uid.
    heir: Option<PodObject>,
}

/// Where a pod stands towards the one that asks.
enum Stance {
    Gone(String),
    Leaves(String),
    Cedes(String),
    Keeps(Keeps),
}

impl<'a> Succession<'a> {
    /// Nothing is asked yet. `cluster` is the name the cluster was given by configuration, in the place of the one the
    /// API server tells.
    pub fn new(server: &'a ApiServer, heir: Option<PodName>, cluster: Option<String>, single_node: bool) -> Self {
        Self { server, heir, cluster, single_node, ground: OnceCell::new() }
    }

    /// Judge one holder. Whoever cannot wait any longer takes a pod that is finished for gone, and one that is being
    /// deleted for alive.
    pub async fn judge(&self, held: &Allocation, may_wait: bool) -> Result<Judgement, Error> {
        let Some(holder) = &held.pod else { return Ok(unknowable("the holder is not a pod".to_owned())) };
        let (ground, pod) = tokio::try_join!(self.ground(), self.server.find_pod(holder))?;
        let Some(heir) = &ground.heir else { return Ok(unknowable(self.stranger())) };
        let stance = self.stance(ground, heir, holder, pod, may_wait).await?;
        let mut former = held.former.as_deref();
        // A former holder that is gone gets nothing back. Its mark may outlive it where its DEL was lost.
        if let (Stance::Cedes(_), Some(party)) = (&stance, former)
            && self.is_gone(ground, heir, party, may_wait).await?
        {
            former = None;
        }
        Ok(match (stance, former) {
            (Stance::Gone(why), None) => Judgement::GivesWay { why, former: None },
            (Stance::Gone(why), Some(former)) => self.judge_former(ground, heir, former, why, may_wait).await?,
            (Stance::Cedes(why), None) => Judgement::GivesWay { why, former: Some(held.party().into()) },
            (Stance::Leaves(why), _) => Judgement::Leaves(why),
            // It would have to remember two that get the address back, one after the other.
            (Stance::Cedes(_) | Stance::Keeps(Keeps::Alive | Keeps::OlderRevision), Some(former)) => {
                Judgement::Keeps(Keeps::Borrowed(former.clone().into()))
            }
            (Stance::Keeps(keeps), _) => Judgement::Keeps(keeps),
        })
    }

    async fn is_gone(&self, ground: &Ground, heir: &PodObject, party: &Party, may_wait: bool) -> Result<bool, Error> {
        let Some(name) = &party.pod else { return Ok(false) };
        let pod = self.server.find_pod(name).await?;
        let stance = self.stance(ground, heir, name, pod, may_wait).await?;
        Ok(matches!(stance, Stance::Gone(_)))
    }

    /// The holder is gone, and the address goes back to whoever had ceded it, unless that one is gone or cedes it again.
    async fn judge_former(
        &self,
        ground: &Ground,
        heir: &PodObject,
        former: &Party,
        why: String,
        may_wait: bool,
    ) -> Result<Judgement, Error> {
        let Some(name) = &former.pod else { return Ok(Judgement::Keeps(Keeps::Former(former.clone().into()))) };
        let pod = self.server.find_pod(name).await?;
        Ok(match self.stance(ground, heir, name, pod, may_wait).await? {
            Stance::Gone(_) => Judgement::GivesWay { why, former: None },
            Stance::Cedes(_) => Judgement::GivesWay { why, former: Some(former.clone().into()) },
            Stance::Leaves(why) => Judgement::Leaves(why),
            Stance::Keeps(_) => Judgement::Keeps(Keeps::Former(former.clone().into())),
        })
    }

    async fn stance(
        &self,
        ground: &Ground,
        heir: &PodObject,
        name: &PodName,
        pod: Option<PodObject>,
        may_wait: bool,
    ) -> Result<Stance, Error> {
        if let Some(why) = ground.home.foreign(name) {
            return Ok(Stance::Keeps(Keeps::Unknowable(why)));
        }
        let leaving = match (fate::of_pod(name, pod.as_ref()), &pod) {
            (Fate::Gone(why), _) => return Ok(Stance::Gone(why)),
            (Fate::Finished(why), _) if may_wait => return Ok(Stance::Leaves(why)),
            (Fate::Finished(why), _) => return Ok(Stance::Gone(why)),
            (Fate::Unknowable(why), _) => return Ok(Stance::Keeps(Keeps::Unknowable(why))),
            (fate, _) => fate == Fate::Leaving,
        };
        let Some(pod) = pod else { return Ok(Stance::Keeps(Keeps::Alive)) };
        if let Some(why) = self.out_of_service(&pod).await? {
            return Ok(Stance::Gone(why));
        }
        let consent = revision::consent(&pod);
        // Of one that leaves anyway only its own word is of interest, of one that stays also what it could say.
        let may_cede = consent == Consent::RollingUpdate || (consent == Consent::Unsaid && !leaving);
        let is_newer = may_cede && self.is_newer(heir, &pod, consent).await?;
        Ok(match (consent, is_newer) {
            (Consent::RollingUpdate, true) => Stance::Cedes(format!("pod {name} is of an older revision")),
            _ if leaving && may_wait => Stance::Leaves(format!("pod {name} is being deleted")),
            _ if leaving => Stance::Keeps(Keeps::Leaving),
            (Consent::Unsaid, true) => Stance::Keeps(Keeps::OlderRevision),
            _ => Stance::Keeps(Keeps::Alive),
        })
    }

    /// Whether the pod that asks is of a newer revision of the other one's Deployment.
    async fn is_newer(&self, heir: &PodObject, holder: &PodObject, consent: Consent) -> Result<bool, Error> {
        let (Some(new), Some(old)) = (revision::replica_set(heir), revision::replica_set(holder)) else {
            return Ok(false);
        };
        let namespace = holder.metadata.namespace.as_deref().unwrap_or_default();
        if heir.metadata.namespace != holder.metadata.namespace || new.uid == old.uid {
            return Ok(false);
        }
        let sets = tokio::try_join!(
            self.server.find_replica_set(namespace, &new.name),
            self.server.find_replica_set(namespace, &old.name)
        );
        match sets {
            Ok((new_set, old_set)) => Ok(revision::is_newer((new, new_set.as_ref()), (old, old_set.as_ref()))),
            // Nothing hangs on it but the words of a refusal.
            Err(error) if consent != Consent::RollingUpdate => {
                tracing::debug!(%error, "cannot tell whether this is a rolling update");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn out_of_service(&self, pod: &PodObject) -> Result<Option<String>, Error> {
        let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) else { return Ok(None) };
        Ok(fate::out_of_service(node, self.server.find_node(node).await?.as_ref()))
    }

    /// Asked once, however many holders are judged.
    async fn ground(&self) -> Result<&Ground, Error> {
        let ask = async || {
            let (home, heir) = tokio::try_join!(
                self.server.home(self.cluster.as_deref(), self.single_node),
                self.server.find_heir(self.heir.as_ref())
            )?;
            Ok(Ground { home, heir })
        };
        self.ground.get_or_try_init(ask).await
    }

    /// A kubeconfig may lead to another cluster, whose API server would call every pod of ours deleted.
    fn stranger(&self) -> String {
        let asks = match &self.heir {
            None => return "the requester is not a pod".to_owned(),
            Some(PodName { uid: None, .. }) => {
                return "the runtime did not pass the UID of the requesting pod".to_owned();
            }
            Some(heir @ PodName { uid: Some(uid), .. }) => format!("requesting pod {heir} (UID {uid})"),
        };
        format!("the API server does not know {asks}: it may belong to another cluster (check ipam.kubeConfig)")
    }
}

impl ApiServer {
    /// The very pod that asks.
    async fn find_heir(&self, name: Option<&PodName>) -> Result<Option<PodObject>, Error> {
        let Some((name, uid)) = name.and_then(|name| Some((name, name.uid.as_ref()?))) else { return Ok(None) };
        Ok(self.find_pod(name).await?.filter(|pod| fate::is_uid_of(uid, pod)))
    }

    async fn find_replica_set(&self, namespace: &str, name: &str) -> Result<Option<ReplicaSet>, Error> {
        let namespaced = |client| Api::<ReplicaSet>::namespaced(client, namespace);
        self.get(namespaced, "replicasets", name).await
    }
}

fn unknowable(why: String) -> Judgement {
    Judgement::Keeps(Keeps::Unknowable(why))
}
