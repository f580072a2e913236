//! What has become of a pod that holds an address. Pure: objects in, a fate out.
//!
//! Only what the API server says counts as an end; a missing answer, an unknown phase or a lost node that may come back
//! do not.

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::ipam::PodName;

/// The taint by which an administrator declares that a node is down for good, with everything on it.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Under which a static pod's own uid is kept: its mirror in the API has another one.
const STATIC_UID: [&str; 2] = ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"];
/// What tells the revisions of a Deployment apart.
const REVISION: &str = "pod-template-hash";
/// `never` on a pod: it gives its address to nobody while it lives.
const HAND_OVER: &str = "kube-ipam.hand-over";

/// What has become of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may be using its address.
    Alive,
    /// It uses its address no more, for this reason.
    Gone(String),
    /// The holder is no pod.
    Unknowable,
}

/// Of the pod itself. `None`: the API server says there is none of this name.
pub(super) fn of_pod(holder: &PodName, pod: Option<&Pod>) -> Fate {
    let Some(pod) = pod else { return gone(format!("pod {holder} is deleted")) };
    if holder.uid.as_ref().is_some_and(|uid| !is_uid_of(uid, pod)) {
        return gone(format!("pod {holder} was replaced by another of that name"));
    }
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some(phase @ ("Succeeded" | "Failed")) => gone(format!("pod {holder} is finished ({phase})")),
        _ => Fate::Alive,
    }
}

/// Of a pod on a node. A node that is merely not ready may come back with its pods.
pub(super) fn of_node(name: &str, node: Option<&Node>) -> Fate {
    let Some(node) = node else { return gone(format!("node {name} is deleted")) };
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    match taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE) {
        true => gone(format!("node {name} is out of service")),
        false => Fate::Alive,
    }
}

/// Whether this is the uid by which a runtime knows the pod.
pub(super) fn is_uid_of(uid: &str, pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let of_static = STATIC_UID.iter().filter_map(|key| annotations?.get(*key));
    pod.metadata.uid.iter().chain(of_static).any(|known| known == uid)
}

/// Of a living pod of a Deployment against one of a newer revision of the same Deployment: a rolling update that starts
/// the new pod first would wait for ever, the old pod being stopped only once the new one is ready.
pub(super) fn against(holder: &Pod, claimant: &Pod) -> Fate {
    let (old, new) = (&holder.metadata, &claimant.metadata);
    let keeps = old.annotations.iter().flatten().any(|(key, value)| key == HAND_OVER && value == "never");
    let same = deployment(old).is_some() && old.namespace == new.namespace && deployment(old) == deployment(new);
    let newer = revision(old) != revision(new) && old.creation_timestamp <= new.creation_timestamp;
    match !keeps && same && newer {
        true => gone(format!("pod {} is of an older revision", old.name.as_deref().unwrap_or_default())),
        false => Fate::Alive,
    }
}

/// Whether a pod is one of a Deployment's.
pub(super) fn is_of_a_deployment(pod: &Pod) -> bool {
    deployment(&pod.metadata).is_some()
}

/// The name of a pod's Deployment: that of its ReplicaSet without the revision.
fn deployment(pod: &ObjectMeta) -> Option<&str> {
    let owners = pod.owner_references.iter().flatten();
    let set = owners.into_iter().find(|owner| owner.controller == Some(true) && owner.kind == "ReplicaSet")?;
    set.name.strip_suffix(revision(pod)?)?.strip_suffix('-')
}

fn revision(pod: &ObjectMeta) -> Option<&str> {
    pod.labels.as_ref()?.get(REVISION).map(String::as_str)
}

fn gone(why: String) -> Fate {
    Fate::Gone(why)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(object: Value) -> Pod {
        serde_json::from_value(object).unwrap()
    }

    fn holder(uid: Option<&str>) -> PodName {
        PodName { namespace: "shop".into(), name: "web-0".into(), uid: uid.map(Into::into), cluster: None }
    }

    fn is_gone(fate: &Fate) -> bool {
        matches!(fate, Fate::Gone(_))
    }

    #[test]
    fn a_pod_ends_by_deletion_by_replacement_and_by_its_phase() {
        let of = |phase| pod(json!({"metadata": {"uid": "u1"}, "status": {"phase": phase}}));
        assert!(is_gone(&of_pod(&holder(None), None)));
        for (phase, ends) in
            [("Pending", false), ("Running", false), ("Unknown", false), ("Succeeded", true), ("Failed", true)]
        {
            assert_eq!(is_gone(&of_pod(&holder(Some("u1")), Some(&of(phase)))), ends, "{phase}");
            assert_eq!(is_gone(&of_pod(&holder(None), Some(&of(phase)))), ends, "{phase}");
            assert!(is_gone(&of_pod(&holder(Some("u0")), Some(&of(phase)))), "{phase}");
        }
        assert_eq!(of_pod(&holder(Some("u1")), Some(&pod(json!({"metadata": {"uid": "u1"}})))), Fate::Alive);
    }

    #[test]
    fn a_pod_that_is_being_deleted_still_uses_its_address() {
        let leaving = json!({"metadata": {"uid": "u1", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}});
        assert_eq!(of_pod(&holder(Some("u1")), Some(&pod(leaving))), Fate::Alive);
    }

    #[test]
    fn a_static_pod_is_known_by_the_uid_of_its_file() {
        let mirror = pod(
            json!({"metadata": {"uid": "in-the-api", "annotations": {"kubernetes.io/config.hash": "of-the-file"}}}),
        );
        assert_eq!(of_pod(&holder(Some("of-the-file")), Some(&mirror)), Fate::Alive);
        assert!(is_gone(&of_pod(&holder(Some("another")), Some(&mirror))));
    }

    #[test]
    fn a_node_ends_by_deletion_and_by_decree_alone() {
        let node = |taints: Value| serde_json::from_value(json!({"spec": {"taints": taints}})).unwrap();
        assert!(is_gone(&of_node("a", None)));
        assert!(is_gone(&of_node("a", Some(&node(json!([{"key": OUT_OF_SERVICE, "effect": "NoExecute"}]))))));
        assert_eq!(
            of_node("a", Some(&node(json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}])))),
            Fate::Alive
        );
    }

    #[test]
    fn only_a_newer_revision_of_the_same_deployment_supersedes() {
        let of = |set: &str, hash: &str, at: &str, more: Value| {
            let mut object = json!({"metadata": {"namespace": "shop", "name": "p", "creationTimestamp": at, "labels": {REVISION: hash},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": "u", "controller": true}]}});
            object["metadata"]["annotations"] = more;
            pod(object)
        };
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z");
        let old = of("web-aaa", "aaa", early, json!({}));
        let new = of("web-bbb", "bbb", late, json!({}));
        assert!(is_gone(&against(&old, &new)));
        assert_eq!(against(&new, &old), Fate::Alive, "the older one asks");
        assert_eq!(against(&old, &of("web-aaa", "aaa", late, json!({}))), Fate::Alive, "a second replica");
        assert_eq!(against(&old, &of("api-bbb", "bbb", late, json!({}))), Fate::Alive, "another Deployment");
        assert_eq!(against(&of("web-aaa", "aaa", early, json!({HAND_OVER: "never"})), &new), Fate::Alive, "it said no");
        assert!(!is_of_a_deployment(&pod(json!({"metadata": {"labels": {REVISION: "aaa"}}}))));
    }
}
