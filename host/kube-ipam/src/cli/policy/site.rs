//! What a network says of its policy, and where modules are without one.

use crate::cli::output::CommandError;
use std::path::{Path, PathBuf};

use crate::cli::NetworkArgs;
use crate::config::{DEFAULT_DATA_DIR, Network, PolicyConfig};
use crate::verbs;
use cni::NetConf;

/// Where modules are installed, unless somebody says otherwise.
pub(super) const DIRECTORY: &str = "/opt/cni/policies";

/// A network and its policy.
pub(super) struct Site {
    /// The network's name.
    pub(super) network: String,
    /// What it says of its policy.
    pub(super) policy: PolicyConfig,
}

impl Site {
    /// As the network's configuration says.
    pub(super) fn of(network: &NetworkArgs) -> Result<Self, CommandError> {
        let (_, configuration) = network.found()?;
        Ok(Self::read(&configuration)?)
    }

    /// As this configuration says.
    pub(super) fn read(configuration: &[u8]) -> Result<Self, verbs::Error> {
        let netconf = NetConf::parse(configuration)?;
        let policy = Network::policy(&netconf)?;
        let network = netconf.network()?;
        Ok(Self { network: network.to_owned(), policy })
    }

    /// Whether this is the network's module.
    pub(super) fn uses(&self, file: &Path) -> bool {
        self.policy.module.as_deref().is_some_and(|module| is_same(module, file))
    }
}

/// Where the plugin keeps compiled modules, for a network that does not say.
pub(super) fn default_cache() -> PathBuf {
    Path::new(DEFAULT_DATA_DIR).join("policies")
}

/// By whatever name: a link to a file is that file. One that is not there yet is only the one of its own name.
fn is_same(one: &Path, two: &Path) -> bool {
    let real = |path: &Path| {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        path.canonicalize().ok().or_else(|| Some(parent?.join(path.file_name()?)))
    };
    one == two || real(one).is_some_and(|one| real(two) == Some(one))
}
