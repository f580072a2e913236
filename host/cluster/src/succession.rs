//! Judges whether the holder of an address gives way to a pod that wants it by name.
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
        why: String,
        /// The holder that is alive and gets the address back later, if there is one.
        former: Option<Box<Party>>,
    },
    /// The holder is about to be gone, as is said here, so that waiting is worth while.
    Leaves(String),
    Keeps(Keeps),
}

/// Why a holder keeps its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeps {
    Alive,
    /// Its pod exists and is of an older revision of the requester's Deployment, but does not cede the address.
    OlderRevision,
    /// Its pod is being deleted, which takes longer than may be waited.
    Leaving,
    /// It has the address from this holder, who gets it back.
    Borrowed(Box<Party>),
    /// It is gone, but this holder, who had ceded the address to it, is not.
    Former(Box<Party>),
    /// The API server cannot know, for this reason.
    Unknowable(String),
}

/// The case of one pod, the heir, that wants addresses which others hold.
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
    /// The heir's object; `None` where this API server does not know the pod under its uid.
    heir: Option<PodObject>,
}

/// What becomes of an address that a pod holds, as far as that pod goes.
enum Stance {
    Gone(String),
    Leaves(String),
    Cedes(String),
    Keeps(Keeps),
}

impl<'a> Succession<'a> {
    /// Prepare a case; nothing is asked yet. `cluster` is the cluster's name in the configuration, which is used instead of
    /// the one that the API server tells.
    pub fn new(server: &'a ApiServer, heir: Option<PodName>, cluster: Option<String>, single_node: bool) -> Self {
        Self { server, heir, cluster, single_node, ground: OnceCell::new() }
    }

    /// Judge one holder. Once there is no time to wait any longer, a finished pod counts as gone, and one that is being
    /// deleted as alive.
    pub async fn judge(&self, held: &Allocation, may_wait: bool) -> Result<Judgement, Error> {
        let Some(holder) = &held.pod else { return Ok(unknowable("the holder is not a pod".to_owned())) };
        // Side by side: both are needed for nearly every holder, and the runtime waits.
        let (ground, pod) = tokio::try_join!(self.ground(), self.server.find_pod(holder))?;
        let Some(heir) = &ground.heir else { return Ok(unknowable(self.stranger())) };
        let stance = self.judge_pod(ground, heir, holder, pod, may_wait).await?;
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
            // An allocation remembers one former holder. If this one ceded the address on, there would be two who get it
            // back, one after the other.
            (Stance::Cedes(_) | Stance::Keeps(Keeps::Alive | Keeps::OlderRevision), Some(former)) => {
                Judgement::Keeps(Keeps::Borrowed(former.clone().into()))
            }
            (Stance::Keeps(keeps), _) => Judgement::Keeps(keeps),
        })
    }

    async fn is_gone(&self, ground: &Ground, heir: &PodObject, party: &Party, may_wait: bool) -> Result<bool, Error> {
        let Some(name) = &party.pod else { return Ok(false) };
        let pod = self.server.find_pod(name).await?;
        let stance = self.judge_pod(ground, heir, name, pod, may_wait).await?;
        Ok(matches!(stance, Stance::Gone(_)))
    }

    /// The holder is gone, and the address goes back to the former holder, unless that one is gone or cedes it again.
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
        Ok(match self.judge_pod(ground, heir, name, pod, may_wait).await? {
            Stance::Gone(_) => Judgement::GivesWay { why, former: None },
            Stance::Cedes(_) => Judgement::GivesWay { why, former: Some(former.clone().into()) },
            Stance::Leaves(why) => Judgement::Leaves(why),
            Stance::Keeps(_) => Judgement::Keeps(Keeps::Former(former.clone().into())),
        })
    }

    /// What a pod that holds an address has to say to the heir. It asks the API server no more than the case needs: the
    /// node where the pod lives, the ReplicaSets where the pod may cede.
    async fn judge_pod(
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
        // A pod that leaves anyway cedes by its own word only. For a pod that stays and says nothing, the revisions are
        // compared as well: the refusal can then say that an annotation would help.
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

    /// Whether the heir is of a newer revision of the holder's Deployment.
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
            // Without consent, only the words of a refusal depend on it: the right to read ReplicaSets is needed by those
            // alone who use rolling updates.
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

    /// What judgements rest on, which is asked for once, however many holders are judged.
    async fn ground(&self) -> Result<&Ground, Error> {
        self.ground.get_or_try_init(|| self.find_ground()).await
    }

    async fn find_ground(&self) -> Result<Ground, Error> {
        let (home, heir) = tokio::try_join!(
            self.server.home(self.cluster.as_deref(), self.single_node),
            self.server.find_heir(self.heir.as_ref())
        )?;
        Ok(Ground { home, heir })
    }

    /// Why an API server that does not know the heir cannot judge. A kubeconfig may lead to another cluster, whose API
    /// server would call every pod of ours deleted.
    fn stranger(&self) -> String {
        let Some(heir) = &self.heir else { return "the requester is not a pod".to_owned() };
        let Some(uid) = &heir.uid else { return format!("the runtime did not pass the UID of pod {heir}") };
        format!(
            "the API server does not know pod {heir} with UID {uid}, which asks, so it may belong to another cluster \
             (ipam.kubeConfig)"
        )
    }
}

impl ApiServer {
    /// The heir's pod, if the API server has one of this name and uid.
    async fn find_heir(&self, name: Option<&PodName>) -> Result<Option<PodObject>, Error> {
        let Some(name @ PodName { uid: Some(uid), .. }) = name else { return Ok(None) };
        Ok(self.find_pod(name).await?.filter(|pod| fate::is_uid_of(uid, pod)))
    }

    async fn find_replica_set(&self, namespace: &str, name: &str) -> Result<Option<ReplicaSet>, Error> {
        self.get(|client| Api::<ReplicaSet>::namespaced(client, namespace), "replicasets", name).await
    }
}

fn unknowable(why: String) -> Judgement {
    Judgement::Keeps(Keeps::Unknowable(why))
}
