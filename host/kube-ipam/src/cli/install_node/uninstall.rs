//! `kube-ipam uninstall-node`: removes from a node what `install-node` has installed there, and nothing else.
//!
//! ```text
//!   networks ─► no new pods ─► wait until the last container of them has ended ─► everything else, the binary last
//! ```
//!
//! A container cannot end without the binary: its DEL would fail forever. So nothing but the networks is removed while
//! libcni has the result of a container's ADD, unless it is forced. Neither can one start in a network that stays because
//! somebody has written or changed it by hand: such a network is waited for, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::SignalKind;

use super::error::InstallError;
use super::obstacle::{Obstacle, State};
use super::ours::{MANIFEST, Manifest, Part, Removed, read_manifest, remove_from};
use super::{interval, is_told_to_end, listen};
use crate::cli::config::sources;
use crate::cli::output::{self, CommandError, Done, Output, counted};
use crate::containers::{CACHES, Containers};
use crate::runtime;
use ipam::shown::first_of;

/// How many containers are named.
const NAMED: usize = 3;

#[derive(Args, Debug)]
pub(crate) struct UninstallNodeOptions {
    /// The data directory that install-node was given
    #[arg(long, value_name = "DIR", default_value = "/var/lib/cni/kube-ipam")]
    data_dir: PathBuf,
    /// Where the file system of the node is mounted, if this runs in a container
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Remove the data directory, too: compiled policies, and the addresses of networks that keep them on this node
    #[arg(long)]
    purge: bool,
    /// Do not wait for the containers of the networks to end; those that still run cannot be ended properly afterwards
    #[arg(long)]
    force: bool,
    /// Try again at this interval while something is in the way, then keep running until stopped
    #[arg(long, value_name = "INTERVAL", value_parser = interval)]
    watch: Option<Duration>,
    /// Write what is not removed yet, and why, to this file; it is empty once nothing is left
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub(crate) fn uninstall(options: &UninstallNodeOptions) -> Done {
    let left = runtime::block_on(keep_uninstalling(options))?;
    Ok(Output { text: String::new(), exit: u8::from(!left.is_empty()) })
}

async fn keep_uninstalling(options: &UninstallNodeOptions) -> Result<Vec<Obstacle>, CommandError> {
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let state = State(options.state.as_deref());
    state.clear();
    let mut told = Vec::new();
    loop {
        let left = options.remove()?;
        for obstacle in left.iter().filter(|obstacle| !told.contains(*obstacle)) {
            output::line(&obstacle.to_string());
        }
        state
            .write(&left)
            .map_err(|source| InstallError::NoState { path: options.state.clone().unwrap_or_default(), source })?;
        let Some(interval) = options.watch else { return Ok(left) };
        told = left;
        let waiting = pin!(is_told_to_end(interval, &mut terminate, &mut interrupt));
        if waiting.await {
            return Ok(Vec::new());
        }
    }
}

impl UninstallNodeOptions {
    /// Removes what can be removed now; the result is what is left, and why.
    fn remove(&self) -> Result<Vec<Obstacle>, CommandError> {
        let data_dir = self.on_node(&self.data_dir);
        let manifest = read_manifest(&data_dir.join(MANIFEST))?;
        let mut left = self.remove_parts(&manifest, |part| part == Part::Network)?;
        if !self.force {
            left.extend(self.running(&manifest)?);
            left.extend(self.networks_left(&manifest));
        }
        // What is somebody else's is told, and nothing to wait for.
        if left.iter().any(|obstacle| obstacle.is_awaited) {
            return Ok(left.into_iter().map(|left| left.obstacle).collect());
        }
        left.extend(self.remove_parts(&manifest, |part| part != Part::Network)?);
        self.remove_directories(&manifest);
        self.remove_data(&data_dir)?;
        for told in &left {
            output::line(&told.obstacle.to_string());
        }
        Ok(Vec::new())
    }

    /// A path of the node, as this process sees it.
    fn on_node(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn remove_parts(&self, manifest: &Manifest, is_asked: impl Fn(Part) -> bool) -> Result<Vec<Left>, InstallError> {
        let mut files: Vec<_> = manifest.files.iter().filter(|(_, installed)| is_asked(installed.part)).collect();
        files.sort_by_key(|(_, installed)| installed.part);
        let mut left = Vec::new();
        for (file, installed) in files {
            let file = self.on_node(file);
            match remove_from(&file, installed)? {
                Removed::File => output::line(&format!("removed {}", file.display())),
                Removed::Nothing => {}
                Removed::Others => left.push(Left {
                    obstacle: Obstacle {
                        file,
                        why: "is left: somebody has changed it since it was installed".to_owned(),
                        hint: None,
                    },
                    is_awaited: false,
                }),
            }
        }
        Ok(left)
    }

    /// The containers of the networks that still run here.
    fn running(&self, manifest: &Manifest) -> Result<Vec<Left>, CommandError> {
        let containers = Containers::read(CACHES.map(|cache| self.on_node(Path::new(cache))))?;
        let mut left = Vec::new();
        for (file, installed) in &manifest.files {
            let mut running = Vec::new();
            for attachment in containers.in_use().into_keys() {
                if installed.networks.contains(&attachment.network) {
                    let pod = containers.get(&attachment).and_then(|container| container.pod.as_ref());
                    running.push(pod.map_or_else(|| attachment.to_string(), ToString::to_string));
                }
            }
            if running.is_empty() {
                continue;
            }
            let (count, named) = (counted(running.len(), "container"), first_of(&running, NAMED, ", ", String::clone));
            let why = format!("{count} of its network still run: {named}");
            let hint = "delete or drain them, or end the wait with --force";
            left.push(Left { obstacle: Obstacle::new(file, why, hint), is_awaited: true });
        }
        Ok(left)
    }

    /// The networks of kube-ipam that are still beside those that were installed: whoever wrote them, their pods need what
    /// would be removed next.
    fn networks_left(&self, manifest: &Manifest) -> Vec<Left> {
        let mut directories = BTreeSet::new();
        for (file, installed) in &manifest.files {
            if installed.part == Part::Network {
                directories.extend(file.parent());
            }
        }
        let mut left = Vec::new();
        for directory in directories {
            for source in sources(&self.on_node(directory)).into_iter().filter(|source| !source.found.is_empty()) {
                let why = "still has a network of kube-ipam, whose pods need the binary";
                let hint = "remove it, or end the wait with --force";
                left.push(Left { obstacle: Obstacle::new(Path::new(&source.file), why, hint), is_awaited: true });
            }
        }
        left
    }

    /// The directories that only we have files in, where they are empty now.
    fn remove_directories(&self, manifest: &Manifest) {
        let mut directories = BTreeSet::new();
        for (file, installed) in &manifest.files {
            if matches!(installed.part, Part::Credential | Part::Policy)
                && let Some(directory) = file.parent()
            {
                directories.insert(directory);
            }
        }
        for directory in directories {
            // One that is not empty, or not there, stays as it is.
            let removed = fs::remove_dir(self.on_node(directory));
            let parent = directory.parent().filter(|parent| parent.ends_with("kube-ipam"));
            if let (Ok(()), Some(parent)) = (removed, parent) {
                let _ = fs::remove_dir(self.on_node(parent));
            }
        }
    }

    fn remove_data(&self, data_dir: &Path) -> Result<(), InstallError> {
        let path = if self.purge { data_dir.to_owned() } else { data_dir.join(MANIFEST) };
        let removed = if self.purge { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Ok(()) => output::line(&format!("removed {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(InstallError::NotRemoved { path, source }),
        }
        Ok(())
    }
}

/// Something that is not removed.
struct Left {
    obstacle: Obstacle,
    /// Whether it goes away by itself.
    is_awaited: bool,
}
