//! Which network a command is about: `--conf FILE`, or the first kube-ipam network under /etc/cni/net.d.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::output::{CommandError, counted};
use super::progress;
use crate::config::file::{Section, sections};
use crate::config::{Base, Network};
use crate::runtime;
use crate::verbs;
use cluster::{ApiServer, Home};
use cni::syntax::problem;
use cni::{Fail, NetConf};
use ipam::RangeSets;
use store::Store;
use store::StoreConfig;

/// Where runtimes look for networks.
pub(super) const DIRECTORY: &str = "/etc/cni/net.d";

/// The extensions of the files that runtimes read there.
pub(super) const EXTENSIONS: [&str; 3] = ["conf", "conflist", "json"];

/// The option that names a network.
#[derive(Args, Debug)]
pub(crate) struct NetworkArgs {
    /// The network's configuration (.conf or .conflist); by default the first kube-ipam network under /etc/cni/net.d
    #[arg(long, value_name = "FILE")]
    pub(super) conf: Option<PathBuf>,
}

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

impl Fail for NetworkError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Unreadable { .. } => "name a network's file with --conf FILE, as it lies in /etc/cni/net.d",
            Self::NotJson { path, .. } => {
                return Some(format!("`kube-ipam config check {}` says where", path.display()));
            }
            Self::NoNetwork { .. } => "name the file of a network that uses kube-ipam with --conf FILE",
        };
        Some(text.to_owned())
    }
}

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
pub(crate) struct Opened {
    pub(crate) netconf: NetConf,
    pub(crate) base: Base,
    pub(crate) store: Store,
}

impl Opened {
    fn new(configuration: &[u8]) -> Result<Self, CommandError> {
        let netconf = NetConf::parse(configuration)?;
        let base = Base::read(&netconf)?;
        let store = progress::shown(runtime::open(&base, &netconf, None));
        Ok(Self { netconf, base, store })
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

impl NetworkArgs {
    pub(crate) fn of(file: &Path) -> Self {
        Self { conf: Some(file.to_owned()) }
    }

    /// The network, for a command that works on one. Of a file with several it is the first, with a warning.
    pub(crate) fn open(&self) -> Result<Opened, CommandError> {
        let (file, configurations) = self.found_all()?;
        let opened = Opened::new(&configurations[0])?;
        if configurations.len() > 1 {
            let others = counted(configurations.len() - 1, "more kube-ipam network");
            tracing::warn!("{} has {others}; using the first, {:?}", file.display(), opened.base.network);
        }
        Ok(opened)
    }

    /// Every network of the file.
    pub(crate) fn open_all(&self) -> Result<Vec<Opened>, CommandError> {
        let (_, configurations) = self.found_all()?;
        configurations.iter().map(|configuration| Opened::new(configuration)).collect()
    }

    /// One network of the file for each place where addresses are kept. Networks that share a store and a domain share
    /// their records, which are not to be shown twice.
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
            return Err(NetworkError::NoNetwork { path: file.clone() });
        }
        Ok((file.clone(), networks))
    }
}

fn first_in(directory: &Path) -> Result<(PathBuf, Vec<Vec<u8>>), NetworkError> {
    let entries =
        std::fs::read_dir(directory).map_err(|cause| NetworkError::Unreadable { path: directory.to_owned(), cause })?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    // Runtimes take the files in this order, too.
    files.sort();
    for file in files {
        if !file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known)) {
            continue;
        }
        // A file that cannot be read is taken for another plugin's, and is no reason not to find ours behind it.
        let networks = kube_ipam_networks(&file).unwrap_or_default();
        if !networks.is_empty() {
            return Ok((file, networks));
        }
    }
    Err(NetworkError::NoNetwork { path: directory.to_owned() })
}

/// The kube-ipam networks of a `.conf` or `.conflist`, each as libcni passes it to a plugin.
fn kube_ipam_networks(file: &Path) -> Result<Vec<Vec<u8>>, NetworkError> {
    let text = std::fs::read(file).map_err(|cause| NetworkError::Unreadable { path: file.to_owned(), cause })?;
    let network: Value = serde_json::from_slice(&text)
        .map_err(|error| NetworkError::NotJson { path: file.to_owned(), problem: problem(&text, &error) })?;
    Ok(sections(&network).iter().map(Section::json).collect())
}
