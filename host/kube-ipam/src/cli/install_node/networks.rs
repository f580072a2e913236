//! Network files: the last of an installation. A runtime starts pods as soon as it finds one, so a network is put in its place
//! only when an ADD in it would work: its configuration is valid, its policy loads, its store answers and can be written to,
//! and so does the API server where one is named.
//!
//! Nothing is removed because it is no longer in the volume: the ConfigMap may be gone by mistake, and without its network a
//! container cannot even be ended. A network leaves the node when its file there is empty, or by `uninstall-node`.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;

use serde_json::Value;

use super::error::InstallError;
use super::obstacle::Obstacle;
use super::ours::{Ours, Part, Put, Removed, Wanted};
use super::place::Directory;
use super::volume::{ends_in, files_in};
use crate::cli::config::{self, EXTENSIONS, Files, Severity};
use crate::cli::output;
use crate::config::file::{Section, sections};
use crate::config::{Base, Network};
use crate::runtime;
use crate::verbs::{self, Deadline};
use cluster::ApiServer;
use cni::{Args, NetConf};
use limits::{NETWORK_BYTES, NETWORK_TRIED};

/// Installs the networks of a volume, and takes those off the node whose file is empty.
pub(super) async fn install(
    from: &Path,
    to: &Path,
    bin_dir: Option<&Path>,
    ours: &Ours,
) -> Result<Vec<Obstacle>, InstallError> {
    let files = files_in(from, "name a directory with --networks", |file| ends_in(file, &EXTENSIONS))?;
    let mut obstacles = Vec::new();
    for file in files {
        let content = match files::read_regular(&file, NETWORK_BYTES) {
            Ok(content) => content,
            Err(error) => {
                obstacles.push(Obstacle::unreadable(&file, &error));
                continue;
            }
        };
        let directory = Directory::open(to, "--network-dir")?;
        let candidate = Candidate { file: &file, directory: &directory, content: &content };
        if content.trim_ascii().is_empty() {
            obstacles.extend(candidate.take_off(ours)?);
        } else {
            obstacles.extend(candidate.install(bin_dir, ours).await?);
        }
    }
    Ok(obstacles)
}

/// A network file that is to be installed.
struct Candidate<'a> {
    file: &'a Path,
    directory: &'a Directory,
    content: &'a [u8],
}

impl Candidate<'_> {
    fn take_off(&self, ours: &Ours) -> Result<Option<Obstacle>, InstallError> {
        let placed = self.directory.file(self.file.file_name().unwrap_or_default());
        match ours.remove(&placed)? {
            Removed::Nothing => {}
            Removed::File => output::line(&format!("removed {}", placed.display())),
            Removed::Others => {
                let why = "is not removed: it was not installed from here, or somebody has changed it since";
                return Ok(Some(Obstacle::new(&placed, why, "remove it by hand, if nothing else needs it")));
            }
        }
        Ok(None)
    }

    async fn install(&self, bin_dir: Option<&Path>, ours: &Ours) -> Result<Option<Obstacle>, InstallError> {
        let name = self.file.file_name().unwrap_or_default();
        // What is in its place works, or worked: whether it still does is for `doctor` to say.
        if self.directory.has(name, 0o644, &mut Cursor::new(self.content)) {
            return Ok(None);
        }
        let sections = match self.sections() {
            Ok(sections) => sections,
            Err(obstacle) => return Ok(Some(obstacle)),
        };
        for section in &sections {
            if let Err(error) = try_network(section).await {
                return Ok(Some(Obstacle::of_network(self.file, &error)));
            }
        }
        let mut networks = BTreeSet::new();
        for section in &sections {
            networks.extend(section.configuration.get("name").and_then(Value::as_str).map(str::to_owned));
        }
        let wanted = Wanted { part: Part::Network, directory: self.directory, name, mode: 0o644, networks };
        match ours.put(&wanted, &mut Cursor::new(self.content))? {
            Put::Unchanged => Ok(None),
            Put::Others(obstacle) => Ok(Some(obstacle)),
            Put::Installed => {
                output::line(&format!("installed {}", self.directory.file(name).display()));
                self.note_missing_plugins(bin_dir);
                Ok(None)
            }
        }
    }

    /// Every kube-ipam network of the file, if `config check` finds no error in it.
    fn sections(&self) -> Result<Vec<Section>, Obstacle> {
        // The files that it names are tried below, as this node has them.
        let report = config::check(&[self.file], Files::Unasked);
        if let Some(finding) = report.findings.iter().find(|finding| finding.severity == Severity::Error) {
            let why = finding.message.clone();
            return Err(Obstacle { file: self.file.to_owned(), why, hint: finding.hint.clone() });
        }
        let sections = sections(&serde_json::from_slice(self.content).unwrap_or_default());
        if sections.is_empty() {
            let why = "has no network with \"ipam\": {\"type\": \"kube-ipam\"}";
            return Err(Obstacle::new(self.file, why, "leave the networks of other plugins to their own installation"));
        }
        Ok(sections)
    }

    /// A runtime may have further directories of plugins, so that this is for the operator to judge.
    fn note_missing_plugins(&self, bin_dir: Option<&Path>) {
        let Some(bin_dir) = bin_dir else { return };
        let file: Value = serde_json::from_slice(self.content).unwrap_or_default();
        let mut plugins = vec![&file];
        plugins.extend(file["plugins"].as_array().into_iter().flatten());
        for plugin in plugins.into_iter().filter_map(|plugin| plugin["type"].as_str()) {
            if !bin_dir.join(plugin).exists() {
                let name = self.file.file_name().unwrap_or_default().display();
                output::line(&format!("note: {name} needs the plugin {plugin}, which is not in {}", bin_dir.display()));
            }
        }
    }
}

/// Whether an ADD in the network would work on this node, by what STATUS asks, a write that is taken back, and the API server.
async fn try_network(section: &Section) -> Result<(), verbs::Error> {
    let netconf = NetConf::parse(&section.json())?;
    let base = Base::read(&netconf)?;
    let network = Network::read(&netconf, &Args::default())?;
    base.check_node()?;
    load_policy(network.clone()).await?;
    let deadline = Deadline::after(base.timeout.min(NETWORK_TRIED));
    let store = runtime::open(&base, &netconf, Some(deadline));
    verbs::status(&base, &network, &store, &deadline).await?;
    store.rehearse().await?;
    if let Some(kubernetes) = &network.kubernetes {
        match ApiServer::of_kubeconfig(&kubernetes.kubeconfig).node(&base.node).await {
            // A node may be called otherwise here than in the cluster, and pods get their addresses all the same.
            Ok(_) | Err(cluster::Error::Absent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Compiles the policy into the cache of its network, if that is another than the one modules were compiled into. On a thread
/// of its own: meanwhile this one has to notice a signal.
async fn load_policy(network: Network) -> Result<(), verbs::Error> {
    let loading = tokio::task::spawn_blocking(move || verbs::load(&network).map(drop));
    loading.await.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))
}
