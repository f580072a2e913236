//! `kube-ipam rename`: a network has another name in its file, and what it held under the former one moves along.
//!
//! Containers that run know the former name, by libcni's cache: their DEL comes under either name, and finds the claim under
//! the new one, because the registry goes on knowing the former name as such.

use std::path::PathBuf;

use clap::Args;

use super::import::{self, ImportOptions};
use super::network::NetworkArgs;
use super::operator::ActArgs;
use super::output::{Done, Format};
use cni::Fail;

#[derive(Args, Debug)]
pub(crate) struct RenameOptions {
    /// The former name of the network
    former: String,
    /// The new name, which the network has in its file
    new: String,
    /// The domain that keeps the addresses. Default: as registered
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Look in this file or directory instead of /etc/cni/net.d
    #[arg(long, value_name = "PATH")]
    conf: Option<PathBuf>,
    #[command(flatten)]
    act: ActArgs,
    /// Rename without asking
    #[arg(long)]
    yes: bool,
    /// Show what would move, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why a network is not renamed.
#[derive(Debug, thiserror::Error)]
enum RenameError {
    #[error("{name:?} is both the former name and the new one")]
    SameName { name: String },
    #[error("no network is called {new:?} so far")]
    NotRenamed { new: String },
    #[error("{file} still has a network {former:?}: its pods would go on getting addresses under that name")]
    StillThere { former: String, file: String },
}

impl Fail for RenameError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::SameName { .. } => "name the former name first, then the new one".to_owned(),
            Self::NotRenamed { new } => format!(
                "first set \"name\" to {new:?} in the network's file on every node: until the addresses have moved, no pod \
                 gets another one"
            ),
            Self::StillThere { .. } => "take it away on every node, then rename".to_owned(),
        })
    }
}

pub(crate) fn rename(options: &RenameOptions, format: Format) -> Done {
    let RenameOptions { former, new, domain, conf, act, yes, dry_run } = options;
    if former == new {
        return Err(RenameError::SameName { name: new.clone() }.into());
    }
    let network = NetworkArgs { conf: conf.clone(), ..NetworkArgs::default() };
    let found = network.find()?;
    if let Some(still) = found.iter().find(|network| network.name == *former) {
        return Err(RenameError::StillThere { former: former.clone(), file: still.file.clone() }.into());
    }
    if !found.iter().any(|network| network.name == *new) {
        return Err(RenameError::NotRenamed { new: new.clone() }.into());
    }
    let options = ImportOptions::of_former_network(former, domain.clone(), act.clone(), *yes, *dry_run);
    import::import(&options, &NetworkArgs { names: vec![new.clone()], ..network }, format)
}
