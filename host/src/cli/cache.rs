//! Where commands look for what libcni knows.

use std::path::PathBuf;

use clap::Args;

use crate::containers::{CACHES, CacheError, Containers};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CacheArgs {
    /// Directory of libcni's cache, the one with "results" in it; several may be given [default: /var/lib/cni,
    /// /var/lib/cni/cache and /var/lib/cni/multus]
    #[arg(long = "cache-dir", value_name = "DIR")]
    directories: Vec<PathBuf>,
}

/// There is no cache, and without one nobody knows which containers run.
#[derive(Debug, thiserror::Error)]
#[error("there is no cache of libcni in {}", directories.join(", "))]
pub(crate) struct NoCache {
    directories: Vec<String>,
}

impl NoCache {
    pub(crate) fn hint(&self) -> String {
        "run it on a node, where the container runtime has called plugins, or name the cache with --cache-dir"
            .to_owned()
    }
}

impl CacheArgs {
    /// What libcni knows; nothing where it has no cache.
    pub(crate) fn read(&self) -> Result<Containers, CacheError> {
        Containers::read(self.directories())
    }

    /// The same, where it has to know.
    pub(crate) fn read_known(&self) -> Result<Containers, Box<dyn std::error::Error>> {
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
