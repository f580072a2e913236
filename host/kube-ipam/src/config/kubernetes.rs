//! Whether the API server is asked about pods, how it is reached, and what a policy wants to know of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::base;
use super::error::Error;
use super::field::Held;
use super::store::data_dir;
use cni::NetConf;

pub(crate) const KUBECONFIG: &str = "ipam.kubeConfig";

/// Where the predecessor looked when nothing was configured; used if it is there.
const PREDECESSORS_FILE: &str = "/etc/kubernetes/pki/kubectl.kubeconfig";

/// How to reach the API server, and what to fetch beside a pod's annotations. Files are only named here; whoever
/// connects reads them afresh, because tokens are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    pub kubeconfig: PathBuf,
    /// What the policy is told on top of annotations.
    pub include: Include,
    /// `dataDir`: the node remembers there which cluster it is in.
    pub data_dir: PathBuf,
}

impl KubernetesConfig {
    /// Why it is this kubeconfig file.
    pub fn reason(netconf: &NetConf) -> Result<&'static str, Error> {
        let configured = kubeconfig(netconf)?.is_some();
        Ok(if configured { KUBECONFIG } else { "the default of kube-ipam 0.x, used because the file is there" })
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
    match kubeconfig(netconf)?.or_else(predecessors_file) {
        Some(kubeconfig) => {
            let data_dir = data_dir(netconf.ipam()?)?;
            Ok(Some(KubernetesConfig { kubeconfig, include, data_dir }))
        }
        None if include == Include::default() => Ok(None),
        None => Err(Error::Missing {
            path: KUBECONFIG.to_owned(),
            expected: "a kubeconfig file, because ipam.kubernetes.include asks for what only the API server knows",
        }),
    }
}

fn predecessors_file() -> Option<PathBuf> {
    let file = Path::new(PREDECESSORS_FILE);
    if file.exists() { Some(file.to_owned()) } else { None }
}

/// `cluster`: the name of the cluster, where it was given one.
pub(super) fn cluster(netconf: &NetConf) -> Result<Option<String>, Error> {
    let held = Held::read("ipam.cluster", netconf.ipam()?.cluster.as_ref())?;
    held.map(|held| held.name()).transpose()
}

/// `handOverWait`: how long an ADD waits for a holder on its way out.
pub(super) fn hand_over_wait(netconf: &NetConf) -> Result<Duration, Error> {
    let timeout = base::timeout(netconf.ipam()?)?;
    match Held::read("ipam.handOverWait", netconf.ipam()?.hand_over_wait.as_ref())? {
        Some(held) => held.duration(Duration::ZERO..=timeout),
        // The rest of the call's time is for the decision and the claim that follow the wait.
        None => Ok(timeout * limits::HAND_OVER_WAIT.0 / limits::HAND_OVER_WAIT.1),
    }
}

/// Beside `etcdConfig`, or inside it, where an older manual put it.
pub(super) fn kubeconfig(netconf: &NetConf) -> Result<Option<PathBuf>, Error> {
    let ipam = netconf.ipam()?;
    let inside = ipam.etcd_config.value().and_then(|etcd| etcd.kube_config.as_ref());
    let held = match Held::read(KUBECONFIG, ipam.kube_config.as_ref())? {
        Some(held) => Some(held),
        None => Held::read("ipam.etcdConfig.kubeConfig", inside)?,
    };
    held.map(|held| held.absolute_path()).transpose()
}

fn include(netconf: &NetConf) -> Result<Include, Error> {
    let Some(section) = &netconf.ipam()?.kubernetes else { return Ok(Include::default()) };
    let section = netconf.part(section, "ipam.kubernetes")?;
    let mut include = Include::default();
    let words = section.include.unwrap_or_default();
    for held in Held::entries("ipam.kubernetes.include", &words) {
        match held.text {
            "labels" => include.labels = true,
            "namespace" => include.namespace = true,
            "node" => include.node = true,
            _ => return Err(held.wrong("labels, namespace or node")),
        }
    }
    Ok(include)
}
