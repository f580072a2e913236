//! The policy in force in each network: name, version, digest; and how often its shadow answered otherwise.

use std::path::PathBuf;

use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::cli::serve::library::Networks;
use crate::config::{self, Network, OnFault, PolicyConfig};
use crate::journal::{Tally, tally};
use crate::verbs;
use cni::Fail;
use engine::{Compiler, Description, Policy, PolicyError, Source};

#[derive(Serialize)]
pub(super) struct PolicyJson {
    network: String,
    /// Absent for the built-in policy.
    module: Option<PathBuf>,
    /// Whether the configuration names the digest that the module must have.
    pinned: bool,
    /// Whether it decides by settings of its own. They are not shown: a policy may be told secrets.
    has_settings: bool,
    /// What happens when it cannot decide.
    on_fault: &'static str,
    #[serde(flatten)]
    loaded: Loaded,
    shadow: Option<PathBuf>,
    /// What was counted of shadows on this node.
    tallies: Vec<Tally>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Loaded {
    Policy {
        name: String,
        version: Option<String>,
        summary: Option<String>,
        sha256: String,
    },
    /// Why it cannot be told, which is why no pod would get an address.
    Failure {
        error: String,
        hint: Option<String>,
    },
}

pub(super) async fn policies(networks: &Networks) -> Vec<PolicyJson> {
    let mut policies = Vec::new();
    for opened in &networks.opened {
        let network = opened.base.network.clone();
        let told = match Network::policy(&opened.netconf) {
            // A module runs to tell its version: on another thread, because it may take as long as it is allowed to.
            Ok(config) => spawn_blocking(move || PolicyJson::of(network, &config)).await.ok(),
            Err(error) => Some(PolicyJson::failed(network, error)),
        };
        policies.extend(told);
    }
    policies
}

impl PolicyJson {
    fn of(network: String, config: &PolicyConfig) -> Self {
        let loaded = match load(config) {
            Ok(loaded) => loaded,
            Err(error) => Loaded::failure(&error.into()),
        };
        let tallies = tally::read(&config.cache_dir).unwrap_or_default();
        Self {
            module: config.module.clone(),
            pinned: config.sha256.is_some(),
            has_settings: config.settings != "{}",
            on_fault: match config.on_fault {
                OnFault::Fail => "fail",
                OnFault::Default => "default",
            },
            loaded,
            shadow: config.shadow.as_ref().map(|shadow| shadow.module.clone()),
            tallies: tallies.into_iter().filter(|tally| tally.pair.network == network).collect(),
            network,
        }
    }

    fn failed(network: String, error: config::Error) -> Self {
        Self {
            network,
            module: None,
            pinned: false,
            has_settings: false,
            on_fault: "fail",
            loaded: Loaded::failure(&error.into()),
            shadow: None,
            tallies: Vec::new(),
        }
    }
}

impl Loaded {
    fn failure(error: &verbs::Error) -> Self {
        Self::Failure { error: error.message(), hint: error.hint() }
    }
}

/// Nothing is compiled: a module that no ADD has compiled yet says that.
fn load(config: &PolicyConfig) -> Result<Loaded, PolicyError> {
    let policy = Policy::load(&Source {
        module: config.module.as_deref(),
        sha256: config.sha256.as_deref(),
        cache_dir: Some(&config.cache_dir),
        limits: config.limits,
        compiler: Compiler::Nobody,
        deadline: None,
    })?;
    let described: Option<Description> = policy.describe().ok();
    let name = policy.name().clone();
    let (version, summary) = described.map(|told| (told.version, told.summary)).unzip();
    Ok(Loaded::Policy { name: name.name, version, summary, sha256: name.sha256 })
}
