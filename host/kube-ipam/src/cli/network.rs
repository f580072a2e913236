//! Which network a command is about: `--conf FILE`, or the first kube-ipam network under /etc/cni/net.d.

use crate::cli::output::{CommandError, counted};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{NetworkArgs, progress};
use crate::config::file::{Section, sections};
use crate::config::{Base, Network};
use crate::plugin;
use crate::verbs;
use cluster::{ApiServer, Home};
use cni::syntax::problem;
use cni::{Fail, NetConf};
use ipam::RangeSets;
use store::Store;
use store::StoreConfig;

/// Where runtimes look for networks.
pub(super) const DIRECTORY: &str = "/etc/cni/net.d";

/// How the names of the files end that they take.
pub(super) const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// Why no network was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("{path}: {cause}", path = .path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{path} is not JSON: {problem}", path = .path.display())]
    NotJson { path: PathBuf, problem: String },
    #[error("{path} has no network with \"ipam\": {{\"type\": \"kube-ipam\"}}", path = .path.display())]
    NoNetwork { path: PathBuf },
}

impl Fail for NetworkError {}

/// A network's configuration file, taken apart as far as a command needs it.
pub(crate) struct Opened {
    /// As written.
    pub(crate) netconf: NetConf,
    /// What every verb needs.
    pub(crate) base: Base,
    /// The store it names.
    pub(crate) store: Store,
}

impl Opened {
    /// The ranges, checked.
    pub(crate) fn range_sets(&self) -> Result<RangeSets, verbs::Error> {
        Ok(Network::range_sets(&self.netconf)?)
    }

    /// Which claims this API server can tell of.
    pub(crate) async fn home(&self, server: &ApiServer) -> Result<Home, verbs::Error> {
        let configured = Network::cluster(&self.netconf)?;
        let single_node = matches!(self.base.store, StoreConfig::Embedded { .. });
        Ok(server.home(configured.as_deref(), single_node).await?)
    }

    /// The cluster of the pods of this node, as an ADD would write it: as configured, or as the node has noted it.
    /// A note that may be about another cluster is as good as none.
    pub(crate) async fn cluster(&self) -> Result<Option<String>, verbs::Error> {
        if let Some(configured) = Network::cluster(&self.netconf)? {
            return Ok(Some(configured));
        }
        let Some(kubernetes) = Network::kubernetes(&self.netconf)? else { return Ok(None) };
        let server = ApiServer::of_kubeconfig(&kubernetes.kubeconfig).noting_in(&kubernetes.data_dir);
        match server.known_cluster().filter(|known| known.is_current) {
            Some(known) => Ok(known.cluster),
            None => Ok(server.cluster().await.ok()),
        }
    }
}

impl NetworkArgs {
    /// The network and its store, where a command is about one. Of a file with several it is the first, and that is said.
    pub(crate) fn open(&self) -> Result<Opened, CommandError> {
        let (file, configurations) = self.found_all()?;
        let opened = open(&configurations[0])?;
        if configurations.len() > 1 {
            let (network, others) = (&opened.base.network, configurations.len() - 1);
            tracing::warn!(
                "{} has {}; using the first, {network:?}",
                file.display(),
                counted(others, "more kube-ipam network")
            );
        }
        Ok(opened)
    }

    /// Every network of the file, with its store.
    pub(crate) fn open_all(&self) -> Result<Vec<Opened>, CommandError> {
        let (_, configurations) = self.found_all()?;
        configurations.iter().map(|configuration| open(configuration)).collect()
    }

    /// The networks of the file without those whose addresses are kept where those of an earlier one are.
    pub(crate) fn open_books(&self) -> Result<Vec<Opened>, CommandError> {
        let mut books: Vec<Opened> = Vec::new();
        for opened in self.open_all()? {
            let Base { store, domain, .. } = &opened.base;
            if !books.iter().any(|known| known.base.store == *store && known.base.domain == *domain) {
                books.push(opened);
            }
        }
        Ok(books)
    }

    /// The file of the network, and its configuration as a main plugin would pass it on stdin.
    pub(crate) fn found(&self) -> Result<(PathBuf, Vec<u8>), NetworkError> {
        let (file, mut configurations) = self.found_all()?;
        Ok((file, configurations.swap_remove(0)))
    }

    /// The file, and the configuration of each of its networks: at least one.
    fn found_all(&self) -> Result<(PathBuf, Vec<Vec<u8>>), NetworkError> {
        let Some(file) = &self.conf else { return first_in(Path::new(DIRECTORY)) };
        let networks = kube_ipam_networks(file)?;
        if networks.is_empty() {
            Err(NetworkError::NoNetwork { path: file.clone() })
        } else {
            Ok((file.clone(), networks))
        }
    }
}

fn open(configuration: &[u8]) -> Result<Opened, CommandError> {
    let netconf = NetConf::parse(configuration)?;
    let base = Base::read(&netconf)?;
    let store = progress::shown(plugin::open(&base, &netconf, None));
    Ok(Opened { netconf, base, store })
}

fn first_in(directory: &Path) -> Result<(PathBuf, Vec<Vec<u8>>), NetworkError> {
    let unreadable = |cause| NetworkError::Unreadable { path: directory.to_owned(), cause };
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    let is_configuration =
        |file: &&PathBuf| file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
    // A file of another plugin that cannot be read is not our business.
    let networks = |file: &PathBuf| Some((file.clone(), kube_ipam_networks(file).ok()?));
    let mut found = files.iter().filter(is_configuration).filter_map(networks);
    found
        .find(|(_, networks)| !networks.is_empty())
        .ok_or_else(|| NetworkError::NoNetwork { path: directory.to_owned() })
}

/// The networks of ours in a `.conf` or `.conflist`, as libcni hands them on.
fn kube_ipam_networks(file: &Path) -> Result<Vec<Vec<u8>>, NetworkError> {
    let text = std::fs::read(file).map_err(|cause| NetworkError::Unreadable { path: file.to_owned(), cause })?;
    let network: Value = serde_json::from_slice(&text)
        .map_err(|error| NetworkError::NotJson { path: file.to_owned(), problem: problem(&text, &error) })?;
    Ok(sections(&network).iter().map(Section::json).collect())
}
