//! The pod, as far as the runtime names it.

use std::collections::BTreeMap;

use super::error::Error;
use crate::cni::{Args, NetConf};
use crate::ipam::Pod;

/// A pod named by the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPod {
    /// With its annotations, if the runtime told them.
    pub pod: Pod,
    /// Whether the runtime told the annotations. If so, the API server need not be asked; if not, their absence in
    /// `pod` means nothing.
    pub annotations_known: bool,
}

pub(super) fn read(netconf: &NetConf, args: &Args) -> Result<Option<KnownPod>, Error> {
    let Some(name) = args.pod() else { return Ok(None) };
    let told = annotations(netconf)?;
    let annotations_known = told.is_some();
    let annotations = told.unwrap_or_default();
    let pod = Pod { name, annotations, labels: BTreeMap::new(), owner: None };
    Ok(Some(KnownPod { pod, annotations_known }))
}

fn annotations(netconf: &NetConf) -> Result<Option<BTreeMap<String, String>>, Error> {
    let Some(runtime) = &netconf.runtime_config else { return Ok(None) };
    Ok(runtime.read("runtimeConfig")?.pod_annotations.map(Option::unwrap_or_default))
}
