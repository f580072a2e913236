//! What has become of a pod that holds an address. Pure: objects in, a fate out.
//!
//! Only what the API server says counts as an end; a missing answer, an unknown phase, a missing Node object or a pod that
//! the API server need not know do not.

use k8s_openapi::api::core::v1::{Node, Pod};

use ipam::PodName;

/// The taint by which an administrator declares that a node is down for good, with everything on it.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Under which a static pod's own uid is kept: its mirror in the API has another one.
const STATIC_UID: [&str; 2] = ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"];

/// What has become of a holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may be using its address.
    Alive,
    /// It is being deleted. It lives until its DEL.
    Leaving,
    /// Its containers have ended, for this reason. Its sandbox may not be released yet.
    Finished(String),
    /// It no longer uses its address, for this reason.
    Gone(String),
    /// The API server cannot tell, for this reason.
    Unknowable(String),
}

/// What the pod's own object says. `None`: the API server says there is no pod of this name.
pub(super) fn of_pod(holder: &PodName, pod: Option<&Pod>) -> Fate {
    let Some(pod) = pod else { return ended(holder, format!("pod {holder} is deleted")) };
    if holder.uid.as_ref().is_some_and(|uid| !is_uid_of(uid, pod)) {
        return ended(holder, format!("pod {holder} was replaced by another of that name"));
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Fate::Finished(format!("pod {holder} is finished ({phase})"));
    }
    if pod.metadata.deletion_timestamp.is_some() { Fate::Leaving } else { Fate::Alive }
}

/// A pod that was created through the API has a UUID. A static pod is made on its node and has a hash in its place; its
/// mirror may be kept out of the API forever, by admission, a quota or a missing namespace, so that its absence there
/// says nothing. Of a pod whose uid is not known nobody can say which kind it is.
fn ended(holder: &PodName, why: String) -> Fate {
    match &holder.uid {
        Some(_) if holder.has_uuid() => Fate::Gone(why),
        Some(uid) => Fate::Unknowable(format!(
            "pod {holder} has uid {uid}, which is not a UUID: it is a static pod, which the API server may not know"
        )),
        None => Fate::Unknowable(format!("the runtime did not pass the UID of pod {holder}")),
    }
}

/// Why a node took its pods with it, if it did. A node that is merely not ready may come back with them, and so may one
/// that the API server does not know: it registers again.
pub(super) fn out_of_service(name: &str, node: Option<&Node>) -> Option<String> {
    let taints = node?.spec.as_ref()?.taints.as_ref()?;
    let out = taints.iter().any(|taint| taint.key == OUT_OF_SERVICE);
    out.then(|| format!("node {name} is out of service"))
}

/// Whether this is the uid by which a runtime knows the pod.
pub(super) fn is_uid_of(uid: &str, pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let of_static = STATIC_UID.iter().filter_map(|key| annotations?.get(*key));
    pod.metadata.uid.iter().chain(of_static).any(|known| known == uid)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const FIRST: &str = "11111111-1111-4111-8111-111111111111";
    const SECOND: &str = "22222222-2222-4222-8222-222222222222";
    const HASH: &str = "0123456789abcdef0123456789abcdef";

    fn pod(object: Value) -> Pod {
        serde_json::from_value(object).unwrap()
    }

    fn holder(uid: Option<&str>) -> PodName {
        PodName { namespace: "shop".into(), name: "web-0".into(), uid: uid.map(Into::into), cluster: None }
    }

    fn is_gone(fate: &Fate) -> bool {
        matches!(fate, Fate::Gone(_))
    }

    fn is_unknowable(fate: &Fate) -> bool {
        matches!(fate, Fate::Unknowable(_))
    }

    #[test]
    fn a_pod_ends_by_deletion_and_by_replacement() {
        let running = pod(json!({"metadata": {"uid": FIRST}, "status": {"phase": "Running"}}));
        assert_eq!(of_pod(&holder(Some(FIRST)), Some(&running)), Fate::Alive);
        assert_eq!(of_pod(&holder(None), Some(&running)), Fate::Alive);
        assert_eq!(of_pod(&holder(Some(FIRST)), Some(&pod(json!({"metadata": {"uid": FIRST}})))), Fate::Alive);
        assert!(is_gone(&of_pod(&holder(Some(FIRST)), None)));
        assert!(is_gone(&of_pod(&holder(Some(SECOND)), Some(&running))));
    }

    #[test]
    fn a_pod_whose_containers_ended_may_still_have_its_sandbox() {
        for (phase, ends) in
            [("Pending", false), ("Running", false), ("Unknown", false), ("Succeeded", true), ("Failed", true)]
        {
            let pod = pod(json!({"metadata": {"uid": FIRST}, "status": {"phase": phase}}));
            assert_eq!(matches!(of_pod(&holder(Some(FIRST)), Some(&pod)), Fate::Finished(_)), ends, "{phase}");
            assert!(is_gone(&of_pod(&holder(Some(SECOND)), Some(&pod))), "{phase}");
        }
    }

    #[test]
    fn a_pod_that_is_being_deleted_lives_until_its_del() {
        let metadata = json!({"uid": FIRST, "deletionTimestamp": "2026-01-01T00:00:00Z"});
        let of =
            |phase| of_pod(&holder(Some(FIRST)), Some(&pod(json!({"metadata": metadata, "status": {"phase": phase}}))));
        assert_eq!(of("Running"), Fate::Leaving);
        assert!(matches!(of("Failed"), Fate::Finished(_)));
    }

    #[test]
    fn of_a_static_pod_without_a_mirror_nothing_is_known() {
        let other = pod(json!({"metadata": {"uid": SECOND}, "status": {"phase": "Running"}}));
        for pod in [None, Some(&other)] {
            assert!(is_unknowable(&of_pod(&holder(Some(HASH)), pod)));
            assert!(is_unknowable(&of_pod(&holder(Some("file")), pod)));
        }
        assert!(is_unknowable(&of_pod(&holder(None), None)), "it may be a static one");
        let mirror = |phase| {
            pod(json!({"metadata": {"uid": SECOND, "annotations": {"kubernetes.io/config.hash": HASH}},
                "status": {"phase": phase}}))
        };
        assert_eq!(of_pod(&holder(Some(HASH)), Some(&mirror("Running"))), Fate::Alive);
        assert!(matches!(of_pod(&holder(Some(HASH)), Some(&mirror("Failed"))), Fate::Finished(_)));
        assert!(is_unknowable(&of_pod(&holder(Some("abcdef")), Some(&mirror("Running")))));
        assert!(is_gone(&of_pod(&holder(Some(FIRST)), Some(&mirror("Running")))), "one that had a UUID was replaced");
    }

    #[test]
    fn a_node_takes_its_pods_with_it_by_decree_alone() {
        let node =
            |key: &str| serde_json::from_value(json!({"spec": {"taints": [{"key": key, "effect": "NoExecute"}]}}));
        assert_eq!(out_of_service("a", None), None);
        assert_eq!(out_of_service("a", node("node.kubernetes.io/unreachable").ok().as_ref()), None);
        assert!(out_of_service("a", node(OUT_OF_SERVICE).ok().as_ref()).unwrap().contains("node a"));
    }
}
