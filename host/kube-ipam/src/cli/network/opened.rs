//! A network that a command works on: its configuration, read as far as every command needs it, and its store.

use std::path::Path;

use super::FoundNetwork;
use crate::cli::output::CommandError;
use crate::cli::progress;
use crate::config::{Base, Network};
use crate::runtime;
use crate::verbs;
use cluster::{ApiServer, Home};
use cni::{Fail, NetConf};
use ipam::RangeSets;
use store::Store;
use store::StoreConfig;

/// Why a command that asks about the whole cluster cannot ask.
#[derive(Debug, thiserror::Error)]
#[error("there is no API server to ask")]
struct NoServer;

impl Fail for NoServer {
    fn hint(&self) -> Option<String> {
        Some("pass --kubeconfig FILE, or set ipam.kubeConfig".to_owned())
    }
}

/// A network's configuration, read as far as every command needs it, and its store.
///
/// The store is opened by its first use and closed with this value. LMDB lets a process open a file only once, so that of
/// several networks one is done with before the next is asked.
pub(crate) struct Opened {
    pub(crate) netconf: NetConf,
    pub(crate) base: Base,
    pub(crate) store: Store,
    /// Where the network was found.
    pub(crate) found: FoundNetwork,
}

impl Opened {
    pub(super) fn new(found: &FoundNetwork) -> Result<Self, CommandError> {
        let netconf = NetConf::parse(&found.configuration)?;
        let base = Base::read(&netconf)?;
        let store = progress::shown(runtime::open(&base, &netconf, None));
        Ok(Self { netconf, base, store, found: found.clone() })
    }

    pub(super) fn read_only(found: &FoundNetwork) -> Result<Self, CommandError> {
        let netconf = NetConf::parse(&found.configuration)?;
        let base = Base::read(&netconf)?;
        let store = Store::configured_to_read(&base.store, &base.domain);
        Ok(Self { netconf, base, store, found: found.clone() })
    }

    /// Whether two networks keep their addresses in one place, where each has the records of both.
    pub(in crate::cli) fn keeps_with(&self, other: &Self) -> bool {
        self.base.store == other.base.store && self.base.domain == other.base.domain
    }

    /// A command of ours about this network, for hints: `kube-ipam release c1 --network blue`.
    pub(crate) fn command(&self, words: &str) -> String {
        format!("kube-ipam {words}{}", self.found.option)
    }

    pub(crate) fn range_sets(&self) -> Result<RangeSets, verbs::Error> {
        Ok(Network::range_sets(&self.netconf)?)
    }

    /// The API server that a command asks about the whole cluster: the one of `--kubeconfig`, inside a pod the one of its
    /// service account, elsewhere the one of ipam.kubeConfig.
    pub(crate) fn api_server(&self, kubeconfig: Option<&Path>) -> Result<ApiServer, CommandError> {
        if let Some(kubeconfig) = kubeconfig {
            return Ok(ApiServer::of_kubeconfig(kubeconfig));
        }
        if let Some(server) = ApiServer::of_service_account() {
            return Ok(server);
        }
        let configured = Network::kubernetes(&self.netconf)?.ok_or(NoServer)?;
        Ok(ApiServer::of_kubeconfig(&configured.kubeconfig))
    }

    /// The cluster of an API server, which tells whose claims that server can judge.
    pub(crate) async fn home(&self, server: &ApiServer) -> Result<Home, verbs::Error> {
        let configured = Network::cluster(&self.netconf)?;
        let single_node = matches!(self.base.store, StoreConfig::Embedded { .. });
        Ok(server.home(configured.as_deref(), single_node).await?)
    }

    /// The cluster of the pods of this node, as an ADD would write it: as configured, or as the node has noted it.
    pub(crate) async fn cluster(&self) -> Result<Option<String>, verbs::Error> {
        if let Some(configured) = Network::cluster(&self.netconf)? {
            return Ok(Some(configured));
        }
        let Some(kubernetes) = Network::kubernetes(&self.netconf)? else { return Ok(None) };
        let server = ApiServer::of_kubeconfig(&kubernetes.kubeconfig).noting_in(&kubernetes.data_dir);
        // A node may have been moved to another cluster since the note was written. Its pods must not be claimed for the
        // former one, so a note that may be out of date is not used.
        match server.known_cluster().filter(|known| known.is_current) {
            Some(known) => Ok(known.cluster),
            None => Ok(server.cluster().await.ok()),
        }
    }
}
