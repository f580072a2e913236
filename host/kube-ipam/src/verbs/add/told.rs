//! How much of what people wrote at their objects a policy is told.
//!
//! A pod carries annotations of many tools, some of them whole manifests: those are left out, and no pod fails for them.
//! One of ours that is too long is refused by name. Nothing else is left out: were annotations dropped for their sum, a
//! pod's author could fill up the room and so hide from a policy what an admission webhook wrote.

use std::collections::BTreeMap;

use super::annotations::OURS;
use super::metadata::RequesterMetadata;
use crate::verbs::Error;
use limits::{ANNOTATION, ANNOTATIONS, Limit};

/// Leave out what is too long to be for a policy, or refuse it where it is.
pub(super) fn bound_annotations(mut metadata: RequesterMetadata) -> Result<RequesterMetadata, Error> {
    let whose = metadata.whose();
    match &mut metadata.pod {
        Some(pod) => bound(&whose, &mut pod.annotations)?,
        None => bound(&whose, &mut metadata.annotations)?,
    }
    if let Some(namespace) = &mut metadata.namespace {
        bound("the pod's namespace", &mut namespace.annotations)?;
    }
    if let Some(node) = &mut metadata.node {
        bound("the node", &mut node.annotations)?;
    }
    Ok(metadata)
}

fn bound(whose: &str, annotations: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in annotations.iter() {
        if name.starts_with(OURS) && is_too_long(value) {
            let what = format!("annotation {name} of {whose}");
            return Err(Error::Annotation { what, bytes: value.len() as u64, limit: &ANNOTATION });
        }
    }
    annotations.retain(|name, value| {
        let is_left_out = is_too_long(value);
        if is_left_out {
            tracing::info!(whose, name, bytes = value.len(), "an annotation is too long for a policy and is left out");
        }
        !is_left_out
    });
    let sum = annotations.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum();
    if sum > bytes(&ANNOTATIONS) {
        return Err(Error::Annotation { what: format!("all annotations of {whose}"), bytes: sum, limit: &ANNOTATIONS });
    }
    Ok(())
}

fn is_too_long(value: &str) -> bool {
    value.len() as u64 > bytes(&ANNOTATION)
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
