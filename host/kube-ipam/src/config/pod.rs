//! The pod, as far as the runtime names it.

use std::collections::BTreeMap;

use cni::Args;
use cni::netconf::RuntimeConfig;
use ipam::Pod;

/// A pod named by the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPod {
    /// With its annotations, if the runtime told them.
    pub pod: Pod,
    /// Whether the runtime told the annotations. If so, the API server need not be asked; if not, their absence in
    /// `pod` means nothing.
    pub annotations_known: bool,
}

/// The pod; or where the runtime names none, what it tells of annotations all the same. Nothing to refuse here: the names were
/// checked with the environment, and what annotations mean is found out where a policy is at hand.
pub(super) fn known(runtime: RuntimeConfig, args: &Args) -> (Option<KnownPod>, BTreeMap<String, String>) {
    let annotations_known = runtime.pod_annotations.is_some();
    let annotations = runtime.pod_annotations.flatten().unwrap_or_default();
    let Some(name) = args.pod() else { return (None, annotations) };
    let pod = Pod { name, annotations, labels: BTreeMap::new(), owner: None };
    (Some(KnownPod { pod, annotations_known }), BTreeMap::new())
}
