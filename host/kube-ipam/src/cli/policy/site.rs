//! The policy that a network's configuration names, and where modules are where there is no network.

use std::path::{Path, PathBuf};

use crate::cli::network::FoundNetwork;
use crate::config::{DEFAULT_DATA_DIR, Network, PolicyConfig};
use crate::verbs;
use cni::NetConf;

/// Where modules are installed by default.
pub(super) const DIRECTORY: &str = "/opt/cni/policies";

/// A network and its policy.
pub(super) struct Site {
    pub(super) network: String,
    pub(super) policy: PolicyConfig,
}

impl Site {
    pub(super) fn of(network: &FoundNetwork) -> Result<Self, verbs::Error> {
        let netconf = NetConf::parse(&network.configuration)?;
        let policy = Network::policy(&netconf)?;
        let network = netconf.network()?;
        Ok(Self { network: network.to_owned(), policy })
    }

    /// Whether this is the network's module.
    pub(super) fn uses(&self, file: &Path) -> bool {
        self.policy.module.as_deref().is_some_and(|module| is_same(module, file))
    }
}

/// Where the plugin keeps compiled modules for a network that sets neither dataDir nor cacheDir.
pub(super) fn default_cache() -> PathBuf {
    compiled_below(Path::new(DEFAULT_DATA_DIR))
}

/// Where it keeps them for networks with this dataDir and no cacheDir.
pub(crate) fn compiled_below(data_dir: &Path) -> PathBuf {
    data_dir.join("policies")
}

/// Whether two paths lead to one file. A link to a file is that file; of a file that does not exist yet, links can only be
/// followed in its directory.
fn is_same(one: &Path, two: &Path) -> bool {
    one == two || real(one).is_some_and(|one| real(two) == Some(one))
}

fn real(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = path.canonicalize() {
        return Some(real);
    }
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}
