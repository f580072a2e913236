//! What a journal does not repeat: whole manifests in annotations, and long values. It names what it left out.

use std::collections::BTreeMap;

use ipam::Decision;
use limits::{NEVER_RECORDED, RECORDED_VALUE};

/// Leave out of a decision what is not to be recorded, and note what that was.
pub fn redact(decision: &mut Decision) {
    let request = &mut decision.request;
    let pod = request.pod.as_mut().map(|pod| ("pod", &mut pod.annotations));
    let container = Some(("container", &mut request.annotations));
    let namespace = request.namespace.as_mut().map(|namespace| ("namespace", &mut namespace.annotations));
    let node = request.node_metadata.as_mut().map(|node| ("node", &mut node.annotations));
    for (whose, annotations) in [pod, container, namespace, node].into_iter().flatten() {
        let left_out = shorten(annotations).into_iter().map(|key| format!("annotation {key} of the {whose}"));
        decision.left_out.extend(left_out);
    }
}

/// Remove or shorten values, and give their keys.
fn shorten(annotations: &mut BTreeMap<String, String>) -> Vec<String> {
    let mut left_out = Vec::new();
    annotations.retain(|key, value| {
        let never = NEVER_RECORDED.contains(&key.as_str());
        // Our own annotations are bounded already, and half of an ip-pool would replay as another pool.
        let ours = key.starts_with("kube-ipam.");
        if never || (value.len() > RECORDED_VALUE && !ours) {
            left_out.push(key.clone());
            value.truncate(value.floor_char_boundary(RECORDED_VALUE));
        }
        !never
    });
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_go_long_values_are_cut_and_both_are_named() {
        let long = "ä".repeat(RECORDED_VALUE);
        let pool = "10.1.0.9,".repeat(1_000);
        let given =
            [("kube-ipam.ip-pool", pool.as_str()), (NEVER_RECORDED[0], "{\"kind\": \"Pod\"}"), ("site/notes", &long)];
        let mut annotations = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        assert_eq!(shorten(&mut annotations), [NEVER_RECORDED[0], "site/notes"]);
        assert_eq!(annotations.keys().collect::<Vec<_>>(), ["kube-ipam.ip-pool", "site/notes"]);
        assert_eq!(annotations["kube-ipam.ip-pool"], pool);
        assert_eq!(annotations["site/notes"], "ä".repeat(RECORDED_VALUE / 2));
    }
}
