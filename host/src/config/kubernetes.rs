//! Whether the API server is asked about pods, how it is reached, and what a policy wants to know of it.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::field::{absolute_path, read_text, wrong};
use crate::cni::NetConf;

/// Where the predecessor looked when nothing was configured; used if it is there.
const PREDECESSORS_FILE: &str = "/etc/kubernetes/pki/kubectl.kubeconfig";

/// How to reach the API server, and what to fetch beside a pod's annotations. Files are only named here; whoever
/// connects reads them afresh, because tokens are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Kubeconfig file.
    pub kubeconfig: PathBuf,
    /// What the policy is told on top of annotations.
    pub include: Include,
}

impl KubernetesConfig {
    /// Why it is this kubeconfig file.
    pub fn reason(netconf: &NetConf) -> Result<&'static str, Error> {
        let configured = kubeconfig(netconf)?.is_some();
        Ok(if configured { "ipam.kubeConfig" } else { "the default of kube-ipam 0.x, used because the file is there" })
    }
}

/// `kubernetes.include`: what a policy is told on top of a pod's annotations. Each costs a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The pod's labels and its controller.
    pub labels: bool,
    /// Labels and annotations of its namespace.
    pub namespace: bool,
    /// Labels and annotations of its node.
    pub node: bool,
}

pub(super) fn read(netconf: &NetConf) -> Result<Option<KubernetesConfig>, Error> {
    let include = include(netconf)?;
    let predecessors = || Path::new(PREDECESSORS_FILE).exists().then(|| PathBuf::from(PREDECESSORS_FILE));
    match kubeconfig(netconf)?.or_else(predecessors) {
        Some(kubeconfig) => Ok(Some(KubernetesConfig { kubeconfig, include })),
        None if include == Include::default() => Ok(None),
        None => Err(Error::Missing {
            path: "ipam.kubeConfig".to_owned(),
            expected: "a kubeconfig file, because ipam.kubernetes.include asks for what only the API server knows",
        }),
    }
}

/// Beside `etcdConfig`, or inside it, where an older manual put it.
fn kubeconfig(netconf: &NetConf) -> Result<Option<PathBuf>, Error> {
    let ipam = netconf.ipam()?;
    let inside = ipam.etcd_config.as_ref().and_then(|etcd| etcd.kube_config.as_ref());
    let places = [("ipam.kubeConfig", ipam.kube_config.as_ref()), ("ipam.etcdConfig.kubeConfig", inside)];
    for (path, field) in places {
        if let Some(held) = read_text(field, path)? {
            return absolute_path(path, &held).map(Some);
        }
    }
    Ok(None)
}

fn include(netconf: &NetConf) -> Result<Include, Error> {
    let Some(section) = &netconf.ipam()?.kubernetes else { return Ok(Include::default()) };
    let section = section.read("ipam.kubernetes")?;
    let mut include = Include::default();
    for (nth, word) in section.include.iter().flatten().enumerate() {
        match word.as_str() {
            "labels" => include.labels = true,
            "namespace" => include.namespace = true,
            "node" => include.node = true,
            _ => return Err(wrong(&format!("ipam.kubernetes.include[{nth}]"), word, "labels, namespace or node")),
        }
    }
    Ok(include)
}
