//! Where commands look for libcni's cache.

use std::path::PathBuf;

use clap::Args;
use jiff::SignedDuration;

use super::output::CommandError;
use crate::containers::{CACHES, CacheError, Containers};
use cni::Fail;

#[derive(Args, Clone, Debug)]
pub(crate) struct CacheArgs {
    /// Directory of libcni's cache, the one with "results" in it; several may be given [default: /var/lib/cni,
    /// /var/lib/cni/cache and /var/lib/cni/multus]
    #[arg(long = "cache-dir", value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Treat a claim without a libcni result as leaked only if it is older than this (the result is written once the
    /// whole ADD has ended)
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    pub(crate) grace: SignedDuration,
}

/// There is no cache, and without one it is not known which containers run.
#[derive(Debug, thiserror::Error)]
#[error("no libcni cache found in {}", directories.join(", "))]
pub(crate) struct NoCache {
    directories: Vec<String>,
}

impl Fail for CacheError {}

impl Fail for NoCache {
    fn hint(&self) -> Option<String> {
        let text = "run this on a node where the container runtime has called CNI plugins, or name the cache with \
             --cache-dir";
        Some(text.to_owned())
    }
}

impl CacheArgs {
    /// What libcni knows. Without a cache that is nothing; see [`Containers::is_known`].
    pub(crate) fn read(&self) -> Result<Containers, CacheError> {
        let mut containers = Containers::read(self.directories())?;
        containers.grace = self.grace;
        Ok(containers)
    }

    /// What libcni knows, for a command that is of no use without a cache.
    pub(crate) fn read_known(&self) -> Result<Containers, CommandError> {
        let containers = self.read()?;
        if containers.is_known() {
            return Ok(containers);
        }
        let directories = self.directories().iter().map(|directory| directory.display().to_string()).collect();
        Err(NoCache { directories }.into())
    }

    fn directories(&self) -> Vec<PathBuf> {
        match self.directories.as_slice() {
            [] => CACHES.map(PathBuf::from).to_vec(),
            given => given.to_vec(),
        }
    }
}
