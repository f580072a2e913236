//! How much of what people wrote at their objects a policy is told.
//!
//! A pod carries annotations of many tools, some of them whole manifests: those are left out, and no pod fails for them.
//! One of ours that is too long is refused by name. Nothing else is left out: were annotations dropped for their sum, a
//! pod's author could fill up the room and so hide from a policy what an admission webhook wrote.

use std::collections::BTreeMap;

use super::annotations::OURS;
use super::asking::Asking;
use crate::verbs::Error;
use limits::{ANNOTATION, ANNOTATIONS, Limit};

/// Leave out what is too long to be for a policy, or refuse it where it is.
pub(super) fn bound_annotations(mut asking: Asking) -> Result<Asking, Error> {
    let whose = asking.whose();
    let pod = Some((whose, asking.pod.as_mut().map_or(&mut asking.annotations, |pod| &mut pod.annotations)));
    let namespace = asking.namespace.as_mut().map(|it| ("the pod's namespace".to_owned(), &mut it.annotations));
    let node = asking.node.as_mut().map(|it| ("the node".to_owned(), &mut it.annotations));
    for (whose, annotations) in [pod, namespace, node].into_iter().flatten() {
        bound(&whose, annotations)?;
    }
    Ok(asking)
}

fn bound(whose: &str, annotations: &mut BTreeMap<String, String>) -> Result<(), Error> {
    let most = bytes(&ANNOTATION);
    let too_long = |value: &String| value.len() as u64 > most;
    if let Some((name, value)) = annotations.iter().find(|(name, value)| name.starts_with(OURS) && too_long(value)) {
        let what = format!("annotation {name} of {whose}");
        return Err(Error::Annotation { what, bytes: value.len() as u64, limit: &ANNOTATION });
    }
    annotations.retain(|name, value| {
        if too_long(value) {
            tracing::info!(whose, name, bytes = value.len(), "an annotation is too long for a policy and is left out");
        }
        !too_long(value)
    });
    let sum = annotations.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum();
    if sum > bytes(&ANNOTATIONS) {
        return Err(Error::Annotation { what: format!("all annotations of {whose}"), bytes: sum, limit: &ANNOTATIONS });
    }
    Ok(())
}

fn bytes(limit: &Limit) -> u64 {
    limit.default * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(given: &[(&str, usize)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, length)| ((*name).to_owned(), "x".repeat(*length))).collect()
    }

    #[test]
    fn other_tools_manifests_are_left_out_and_our_own_annotations_are_refused() {
        let most = 16 * 1024;
        let mut given =
            annotations(&[("kube-ipam.ip-pool", most), ("site/zone", most), ("kubectl/last-applied", most + 1)]);
        bound("pod shop/a", &mut given).unwrap();
        assert_eq!(given.keys().collect::<Vec<_>>(), ["kube-ipam.ip-pool", "site/zone"]);

        let mut given = annotations(&[("kube-ipam.ip-pool.blue", most + 1), ("site/zone", 1)]);
        assert_eq!(
            bound("pod shop/a", &mut given).unwrap_err().to_string(),
            "annotation kube-ipam.ip-pool.blue of pod shop/a: 16,385 bytes are too many for a policy; the limit is 16 KiB"
        );
    }

    #[test]
    fn nothing_is_left_out_for_want_of_room() {
        let mut many: BTreeMap<String, String> =
            (0..31).map(|nth| (format!("site/{nth:02}"), "x".repeat(16_384))).collect();
        many.insert("webhook/restricted".to_owned(), "true".to_owned());
        let before = many.clone();
        bound("the node", &mut many).unwrap();
        assert_eq!(many, before);
        many.insert("site/more".to_owned(), "x".repeat(16_384));
        let error = bound("the node", &mut many).unwrap_err().to_string();
        assert!(
            error.starts_with("all annotations of the node: 524,") && error.ends_with("the limit is 512 KiB"),
            "{error}"
        );
    }
}
