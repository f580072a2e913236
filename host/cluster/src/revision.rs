//! Tells which of two pods is of a newer revision of one Deployment. Pure.
//!
//! What the author of a pod can choose does not count: labels, names, ages. A pod names its ReplicaSet by uid; the
//! ReplicaSet's own object has that uid, names its Deployment by uid, and carries the number of the revision.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::HAND_OVER;

/// The annotation on each ReplicaSet by which a Deployment counts its revisions.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What a pod says of letting a newer one have its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consent {
    /// `rolling-update`: a pod of a newer revision of the same Deployment may have it.
    RollingUpdate,
    /// `never`, or a word that is not known: a misspelling gives no address away.
    Never,
    /// The pod has no such annotation.
    Unsaid,
}

pub(super) fn consent(pod: &Pod) -> Consent {
    let Some(annotations) = &pod.metadata.annotations else { return Consent::Unsaid };
    match annotations.get(HAND_OVER).map(String::as_str) {
        Some("rolling-update") => Consent::RollingUpdate,
        Some(_) => Consent::Never,
        None => Consent::Unsaid,
    }
}

/// The ReplicaSet that a pod says it is of.
pub(super) fn replica_set(pod: &Pod) -> Option<&OwnerReference> {
    controller(&pod.metadata, "ReplicaSet")
}

/// One side of a comparison: what a pod says its ReplicaSet is, and what the API server has under that name.
pub(super) type Side<'a> = (&'a OwnerReference, Option<&'a ReplicaSet>);

/// Whether `new` is a newer revision of the Deployment of `old`.
pub(super) fn is_newer(new: Side<'_>, old: Side<'_>) -> bool {
    let (Some((new_deployment, new)), Some((old_deployment, old))) = (revision(new), revision(old)) else {
        return false;
    };
    new_deployment == old_deployment && new > old
}

/// The uid of a ReplicaSet's Deployment, and the number of its revision.
fn revision((reference, set): Side<'_>) -> Option<(&str, u64)> {
    let set = &set?.metadata;
    if set.uid.as_ref() != Some(&reference.uid) {
        return None;
    }
    let deployment = controller(set, "Deployment")?;
    let revision = set.annotations.as_ref()?.get(REVISION)?.parse().ok()?;
    Some((&deployment.uid, revision))
}

fn controller<'a>(object: &'a ObjectMeta, kind: &str) -> Option<&'a OwnerReference> {
    let mut owners = object.owner_references.iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true))?;
    // By its group as well: a kind of this name in another group is anybody's to define.
    (controller.kind == kind && controller.api_version.starts_with("apps/")).then_some(controller)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn owner(kind: &str, name: &str, uid: &str) -> Value {
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}])
    }

    fn pod(set: &str, uid: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "ownerReferences": owner("ReplicaSet", set, uid)}}))
            .unwrap()
    }

    fn set(uid: &str, deployment: &str, revision: &str) -> ReplicaSet {
        serde_json::from_value(json!({"metadata": {"uid": uid, "annotations": {REVISION: revision},
            "ownerReferences": owner("Deployment", "web", deployment)}}))
        .unwrap()
    }

    /// Whether one pod is newer than another, each with what the API server has under its ReplicaSet's name.
    fn newer(new: (&Pod, Option<&ReplicaSet>), old: (&Pod, Option<&ReplicaSet>)) -> bool {
        is_newer((replica_set(new.0).unwrap(), new.1), (replica_set(old.0).unwrap(), old.1))
    }

    #[test]
    fn only_a_newer_revision_of_the_same_deployment_is_newer() {
        let (old, new) = (pod("web-a", "a"), pod("web-b", "b"));
        let (first, second) = (set("a", "d", "9"), set("b", "d", "10"));
        assert!(newer((&new, Some(&second)), (&old, Some(&first))), "revisions are numbers");
        assert!(!newer((&old, Some(&first)), (&new, Some(&second))), "the older one asks");
        assert!(!newer((&old, Some(&first)), (&old, Some(&first))), "a second replica");
        assert!(!newer((&new, Some(&set("b", "e", "10"))), (&old, Some(&first))), "another Deployment of that name");
    }

    #[test]
    fn what_a_pods_author_can_choose_proves_nothing() {
        let (old, first) = (pod("web-a", "a"), set("a", "d", "1"));
        let second = set("b", "d", "2");
        assert!(
            !newer((&pod("web-b", "forged"), Some(&second)), (&old, Some(&first))),
            "the ReplicaSet has another uid"
        );
        assert!(!newer((&pod("web-b", "b"), None), (&old, Some(&first))), "there is no such ReplicaSet");
        for revision in ["", "two", "-2", "2.0"] {
            assert!(!newer((&pod("web-b", "b"), Some(&set("b", "d", revision))), (&old, Some(&first))), "{revision:?}");
        }
        let mut without = second.clone();
        without.metadata.owner_references = None;
        assert!(!newer((&pod("web-b", "b"), Some(&without)), (&old, Some(&first))), "nobody's ReplicaSet");
    }

    #[test]
    fn only_a_controller_of_the_right_kind_and_group_counts() {
        let of = |field: &str, value: Value| {
            let mut owners = owner("ReplicaSet", "web-b", "b");
            owners[0][field] = value;
            let pod: Pod = serde_json::from_value(json!({"metadata": {"ownerReferences": owners}})).unwrap();
            replica_set(&pod).is_some()
        };
        assert!(of("name", json!("web-c")));
        assert!(!of("controller", json!(false)) && !of("kind", json!("StatefulSet")));
        assert!(!of("apiVersion", json!("example.org/v1")), "anybody may define a kind called ReplicaSet");
    }

    #[test]
    fn a_pod_consents_with_one_word() {
        for (word, expected) in [
            (json!({HAND_OVER: "rolling-update"}), Consent::RollingUpdate),
            (json!({HAND_OVER: "never"}), Consent::Never),
            (json!({HAND_OVER: "Rolling-Update"}), Consent::Never),
            (json!({}), Consent::Unsaid),
        ] {
            let pod: Pod = serde_json::from_value(json!({"metadata": {"annotations": word}})).unwrap();
            assert_eq!(consent(&pod), expected, "{word}");
        }
    }
}
