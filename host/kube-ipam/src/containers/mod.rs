//! What this node knows of its containers: the results of ADDs in libcni's cache.
//!
//! Every runtime that calls plugins through libcni (containerd, CRI-O, podman with CNI, cri-dockerd, Multus) has libcni
//! write the result of each ADD to `<cache>/results/<network>-<container>-<interface>`. The DEL removes that file, after
//! every plugin of the network has succeeded. So *living* means here: **libcni has the result of the container's ADD, and no
//! DEL has followed.** A DEL that was lost leaves the file; where libcni wrote down the network namespace (from its version
//! 1.2 on), a namespace that is gone shows that. In doubt a container lives: an address that is held too long costs one
//! address, an address that is given out twice breaks two pods.

mod entry;
mod life;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

use ipam::{Assignment, Attachment, PodName, RangeSets};
pub use life::{Life, booted};

/// Where the cache of libcni is by default: libcni's own directory (containerd, CRI-O, podman), that of cri-dockerd, and the
/// one that Multus has for the networks it delegates to.
pub const CACHES: [&str; 3] = ["/var/lib/cni", "/var/lib/cni/cache", "/var/lib/cni/multus"];

/// Why the cache cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", .path.display())]
pub struct CacheError {
    path: PathBuf,
    source: io::Error,
}

/// A container of which libcni has the result of an ADD.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub attachment: Attachment,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
    /// The addresses that the ADD returned, also those that another plugin of the network gave.
    pub addresses: Vec<Assignment>,
    pub life: Life,
    /// When its ADD ended.
    pub written: SystemTime,
    /// The file in libcni's cache.
    pub file: PathBuf,
}

/// All that libcni knows on this node.
#[derive(Debug, Default)]
pub struct Containers {
    /// The directories of results that exist; none where no runtime has used libcni.
    pub directories: Vec<PathBuf>,
    known: BTreeMap<Attachment, Container>,
    /// Files that are not a result as libcni writes it, each with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// How long after its claim an ADD may still run: libcni writes the result when the whole ADD has ended.
    pub grace: SignedDuration,
    /// When this machine was started, where it says so.
    pub boot: Option<Timestamp>,
}

impl Containers {
    /// Reads these caches of libcni. One that does not exist is skipped. One that cannot be read is an error: without its
    /// results, containers that live would seem to be gone.
    pub fn read<P: AsRef<Path>>(caches: impl IntoIterator<Item = P>) -> Result<Self, CacheError> {
        let boot = booted().and_then(|booted| Timestamp::try_from(booted).ok());
        let mut containers = Self { boot, ..Self::default() };
        for cache in caches {
            containers.add(&results_of(cache.as_ref()))?;
        }
        life::judge(&mut containers.known);
        Ok(containers)
    }

    /// Whether there is a cache at all.
    pub fn is_known(&self) -> bool {
        !self.directories.is_empty()
    }

    /// Whether libcni must have the result of a container that claimed addresses at `since`, if it still lives. No ADD outlives
    /// the machine's boot.
    pub fn must_know(&self, since: Timestamp, now: Timestamp) -> bool {
        let is_older = self.boot.is_some_and(|boot| since < boot);
        self.is_known() && (is_older || now.duration_since(since) >= self.grace)
    }

    /// What libcni has of an attachment. An interface of a container is one attachment, whatever its network is called: after
    /// a network was renamed, libcni has what was added before under the former name.
    pub fn get(&self, attachment: &Attachment) -> Option<&Container> {
        self.known.get(attachment).or_else(|| {
            let mut containers = self.known.values();
            containers.find(|known| is_same_interface(&known.attachment, attachment))
        })
    }

    /// Whether libcni has anything of an attachment, even a file that cannot be read or was written since.
    pub fn has(&self, attachment: &Attachment) -> bool {
        if self.get(attachment).is_some() {
            return true;
        }
        let Attachment { network, container, interface } = attachment;
        let end = format!("-{container}-{interface}");
        if self.unreadable.iter().any(|(file, _)| file.to_string_lossy().ends_with(&end)) {
            return true;
        }
        let name = format!("{network}{end}");
        self.directories.iter().any(|results| results.join(&name).exists())
    }

    /// The containers of a network that are not known to be gone, each with its addresses inside the ranges. Those most
    /// certain to live come first: where two have one address, it belongs to the first of them. `former`: the names that the
    /// network had before, under which libcni has what was added then.
    pub fn living(&self, network: &str, former: &[String], range_sets: &RangeSets) -> Vec<Container> {
        let mut living = Vec::new();
        for known in self.known.values() {
            let is_wanted = known.attachment.network == network || former.contains(&known.attachment.network);
            if !is_wanted || matches!(known.life, Life::Gone(_)) {
                continue;
            }
            let mut container = known.clone();
            container.attachment.network = network.to_owned();
            container.addresses.retain(|assignment| range_sets.is_inside(assignment.address));
            if !container.addresses.is_empty() {
                living.push(container);
            }
        }
        living.sort_by_key(|container| (container.life == Life::Unsure, Reverse(container.written)));
        living
    }

    /// The addresses of every container that is not known to be gone, in all networks.
    pub fn in_use(&self) -> BTreeMap<Attachment, BTreeSet<IpAddr>> {
        let mut in_use = BTreeMap::new();
        for (attachment, container) in &self.known {
            if !matches!(container.life, Life::Gone(_)) {
                let addresses = container.addresses.iter().map(|assignment| assignment.address);
                in_use.insert(attachment.clone(), addresses.collect());
            }
        }
        in_use
    }

    fn add(&mut self, results: &Path) -> Result<(), CacheError> {
        let failed = |source| CacheError { path: results.to_owned(), source };
        let entries = match fs::read_dir(results) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(failed(error)),
        };
        if !self.directories.iter().any(|known| known == results) {
            self.directories.push(results.to_owned());
        }
        for entry in entries {
            let file = entry.map_err(failed)?.path();
            match entry::read(&file) {
                // It was removed after the directory was read, or is not a file of libcni's.
                Ok(None) => {}
                Ok(Some(container)) => self.keep_newer(container),
                Err(why) => self.unreadable.push((file, why)),
            }
        }
        Ok(())
    }

    /// An attachment is in two caches where a runtime was replaced by another. The older result is out of date.
    fn keep_newer(&mut self, container: Container) {
        let known = self.known.get(&container.attachment);
        if known.is_none_or(|known| known.written < container.written) {
            self.known.insert(container.attachment.clone(), container);
        }
    }
}

fn is_same_interface(one: &Attachment, two: &Attachment) -> bool {
    one.container == two.container && one.interface == two.interface
}

/// The directory of results in a cache. `--cache-dir` may name either of the two.
fn results_of(cache: &Path) -> PathBuf {
    if cache.ends_with("results") { cache.to_owned() } else { cache.join("results") }
}

#[cfg(test)]
mod tests;
