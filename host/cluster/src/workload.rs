//! What a pod belongs to, as people call it: the Deployment, not the ReplicaSet of one of its revisions.

use k8s_openapi::api::core::v1::Pod as PodObject;

use super::Inventory;
use super::fate;
use ipam::{Owner, PodName};

/// The label by which a Deployment tells the pods of its revisions apart. The ReplicaSet's name ends in its value.
const REVISION: &str = "pod-template-hash";

impl Inventory {
    /// Whether the pod is there: the very one, where its uid is known.
    pub fn has(&self, name: &PodName) -> bool {
        self.find(name).is_some()
    }

    /// The workload of a pod; `None` where no controller made it.
    pub fn workload(&self, name: &PodName) -> Option<Owner> {
        let pod = self.find(name)?;
        let controllers = pod.metadata.owner_references.iter().flatten();
        let controller = controllers.into_iter().find(|owner| owner.controller == Some(true))?;
        let revision = pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION));
        if controller.kind == "ReplicaSet"
            && let Some(revision) = revision
            && let Some(deployment) = controller.name.strip_suffix(&format!("-{revision}"))
        {
            return Some(Owner { kind: "Deployment".to_owned(), name: deployment.to_owned() });
        }
        Some(Owner { kind: controller.kind.clone(), name: controller.name.clone() })
    }

    fn find(&self, name: &PodName) -> Option<&PodObject> {
        let pod = self.pods.get(&(name.namespace.clone(), name.name.clone()))?;
        let is_it = name.uid.as_ref().is_none_or(|uid| fate::is_uid_of(uid, pod));
        if is_it { Some(pod) } else { None }
    }
}
