//! `kube-ipam install-node`: installs on a node what kube-ipam needs there, and keeps it up to date.
//!
//! ```text
//!   service account ─► kubeconfig ─┐
//!   Secret ─► etcd's credentials ──┤
//!   ConfigMap ─► policies: examined and compiled first ─┤
//!   this very program ─► binary ───┴─► ConfigMap ─► networks, once an ADD in them would work
//! ```
//!
//! Each part is installed if it is asked for. A DaemonSet runs the command with `--watch`: the token of a service account is
//! valid for an hour, and whatever changes in the cluster follows on the node at the next look. A file that is right already
//! is left alone; any other is replaced whole, so that a plugin that starts meanwhile finds the old file or the new one.
//! What somebody else has put in the place of a file stays (`ours`).
//!
//! A directory that cannot be written to ends the program with an error: kubelet starts it again and shows why it failed. A
//! module or a network that is refused does not, because tokens have to be renewed all the same: it is told, and keeps
//! the pod from being ready (`obstacle`), which ends a roll-out.
//!
//! Nothing is ever removed at the end of this program: when its pod is replaced, the pods of the node run on. `uninstall-node`
//! removes.

mod error;
mod kubeconfig;
mod networks;
mod obstacle;
mod ours;
mod place;
mod policies;
pub(crate) mod uninstall;
mod volume;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{Cursor, Read, Seek};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::SignedDuration;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use error::InstallError;
pub(crate) use place::Directory;

use super::cache::CacheArgs;
use super::fsck;
use super::output::{self, CommandError, Done, Output};
use super::policy::compiled_below;
use super::policy::trust::Trust;
use crate::runtime;
use cluster::ApiServer;
use cni::Fail;
use limits::{CREDENTIAL_BYTES, LAST_WRITE, WATCH};
use obstacle::{Obstacle, State, read_state};
use ours::{Ours, Part, Put, Wanted};
use policies::{Modules, RefusedModules};
use volume::files_in;

#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("part").required(true).multiple(true).args(["bin_dir", "kubeconfig", "etcd_credentials", "policies", "networks", "rebuild_books", "ready"])))]
pub(crate) struct InstallNodeOptions {
    /// Install this binary as kube-ipam into this directory, /opt/cni/bin on most nodes
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Write a kubeconfig (mode 0600) from the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Directory with the service account's token and ca.crt
    #[arg(long, value_name = "DIR", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    service_account: PathBuf,
    /// URL of the API server, https://HOST:PORT [default: from the pod's environment]
    #[arg(long, value_name = "URL", requires = "kubeconfig")]
    server: Option<String>,
    /// Link to the installed binary from this directory, such as /usr/local/bin
    #[arg(long, value_name = "DIR", requires = "bin_dir", requires = "data_dir")]
    link_dir: Option<PathBuf>,
    /// Install the files in this directory, such as ca.crt, tls.crt and tls.key, for networks that name them (mode 0600)
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    etcd_credentials: Option<PathBuf>,
    /// Directory to install them in
    #[arg(long, value_name = "DIR", default_value = "/etc/kube-ipam/etcd", requires = "etcd_credentials")]
    etcd_dir: PathBuf,
    /// Compile and install the policy modules (*.wasm, *.wasm.gz) in this directory
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    policies: Option<PathBuf>,
    /// Install only modules that a key in this directory (NAME.pub) has signed, by files NAME.wasm.*.sig or .minisig beside them
    #[arg(long, value_name = "DIR", requires = "policies")]
    trusted_keys: Option<PathBuf>,
    /// How many of the keys must have signed
    #[arg(long, value_name = "NUMBER", default_value_t = NonZeroUsize::MIN, requires = "trusted_keys")]
    signatures: NonZeroUsize,
    /// Directory to install policy modules in; modules are never removed from it
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/policies", requires = "policies")]
    policy_dir: PathBuf,
    /// Install the networks (*.conflist, *.conf) in this directory, each once an ADD in it would work; one whose file is
    /// empty is removed from the node
    #[arg(long, value_name = "DIR", requires = "data_dir")]
    networks: Option<PathBuf>,
    /// Directory to install networks in
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d", requires = "networks")]
    network_dir: PathBuf,
    /// Data directory of the networks (ipam.dataDir): policies are compiled into it, and it keeps the ID of this cluster and a
    /// note of what was installed
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write what is not installed, and why, to this file at every check; it is empty when nothing is missing
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Only read the file that another install-node writes (--state): succeed if it is empty, otherwise print it and fail. For
    /// a readiness probe
    #[arg(long, value_name = "FILE", exclusive = true)]
    ready: Option<PathBuf>,
    /// Restore claims of this node's containers that the store of this network has lost, at the start and at every
    /// check (`kube-ipam fsck --containers --repair --yes`); may be given for several networks
    #[arg(long, value_name = "NETWORK")]
    rebuild_books: Vec<PathBuf>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Keep running and check for changes at this interval, for example 30s
    #[arg(long, value_name = "INTERVAL", value_parser = interval)]
    watch: Option<Duration>,
}

pub(crate) fn install(options: InstallNodeOptions) -> Done {
    if let Some(state) = &options.ready {
        let missing = read_state(state);
        return Ok(Output { exit: u8::from(missing.is_some()), text: missing.unwrap_or_default() });
    }
    let installation = Arc::new(Installation {
        ours: Ours::noted_in(options.data_dir.as_deref())?,
        refused: RefusedModules::default(),
        options,
    });
    let obstacles = runtime::block_on(keep_installed(installation))?;
    // They were printed when they were met.
    Ok(Output { text: String::new(), exit: u8::from(!obstacles.is_empty()) })
}

/// What was asked for, and what is remembered from one look to the next.
struct Installation {
    options: InstallNodeOptions,
    ours: Ours,
    refused: RefusedModules,
}

/// Returns what is in the way of a single look; with `--watch`, nothing.
async fn keep_installed(installation: Arc<Installation>) -> Result<Vec<Obstacle>, CommandError> {
    // The first process of a container gets only the signals it asks for, so it asks before the work begins.
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    State(installation.options.state.as_deref()).clear();
    let (mut rebuilder, mut told) = (Rebuilder::default(), Vec::new());
    loop {
        let mut looking = pin!(look(&installation, &mut rebuilder));
        let looked = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            looked = &mut looking => Some(looked?),
        };
        let Some(obstacles) = looked else {
            // A file that is being written is mostly in its place a moment later, and is then reported as installed, too.
            let _ = tokio::time::timeout(LAST_WRITE, looking).await;
            return Ok(Vec::new());
        };
        for obstacle in obstacles.iter().filter(|obstacle| !told.contains(*obstacle)) {
            output::line(&obstacle.to_string());
        }
        let Some(interval) = installation.options.watch else { return Ok(obstacles) };
        told = obstacles;
        if is_told_to_end(interval, &mut terminate, &mut interrupt).await {
            return Ok(Vec::new());
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, InstallError> {
    signal(kind).map_err(|source| InstallError::NoSignals { source })
}

/// Installs everything once. Files are written on a thread of their own: a disk, a mount or another process may keep it
/// waiting, and this thread still has to notice a signal. Ending amid a write does no harm, because a file is renamed into
/// its place.
async fn look(installation: &Arc<Installation>, rebuilder: &mut Rebuilder) -> Result<Vec<Obstacle>, InstallError> {
    let installing = Arc::clone(installation);
    let installed = tokio::task::spawn_blocking(move || installing.install_files()).await;
    let mut obstacles = installed.unwrap_or_else(|died| std::panic::resume_unwind(died.into_panic()))?;
    let Installation { options, ours, .. } = &**installation;
    // It needs the kubeconfig, and does not end the program: what fails is tried again at the next look.
    note_cluster(options).await;
    if let Some(from) = &options.networks {
        obstacles.extend(networks::install(from, &options.network_dir, options.bin_dir.as_deref(), ours).await?);
    }
    rebuilder.rebuild(options).await;
    installation.write_state(&obstacles)?;
    Ok(obstacles)
}

/// Notes the ID of this cluster in the data directory, so that no ADD has to ask the API server for it. An ADD that finds no
/// note asks itself.
async fn note_cluster(options: &InstallNodeOptions) {
    let (Some(file), Some(data_dir)) = (&options.kubeconfig, &options.data_dir) else { return };
    let server = ApiServer::of_kubeconfig(file).noting_in(data_dir);
    if server.known_cluster().is_some_and(|known| known.is_current && known.cluster.is_some()) {
        return;
    }
    match server.cluster().await {
        Ok(cluster) => output::line(&format!("noted in {}: this is cluster {cluster}", data_dir.display())),
        Err(error) => tracing::warn!(%error, "the ID of this cluster is not known yet"),
    }
}

/// Restores lost claims at every look, and remembers what it has printed of each network, so that only news is printed.
#[derive(Default)]
struct Rebuilder {
    told: BTreeMap<PathBuf, Vec<String>>,
}

impl Rebuilder {
    /// Writes the claims that are missing. A network whose file does not exist yet has no containers; a store that does not
    /// answer is asked again at the next look.
    async fn rebuild(&mut self, options: &InstallNodeOptions) {
        for network in options.rebuild_books.iter().filter(|network| network.exists()) {
            let lines = match fsck::rebuild(network, &options.cache).await {
                Ok(lines) => lines,
                Err(error) => vec![format!("{}: not compared with its containers: {error}", network.display())],
            };
            let told = self.told.insert(network.clone(), lines.clone()).unwrap_or_default();
            for line in lines.iter().filter(|line| !told.contains(line)) {
                output::line(line);
            }
        }
    }
}

async fn is_told_to_end(within: Duration, terminate: &mut Signal, interrupt: &mut Signal) -> bool {
    tokio::select! {
        _ = terminate.recv() => true,
        _ = interrupt.recv() => true,
        () = tokio::time::sleep(within) => false,
    }
}

impl Installation {
    /// Everything but the networks. The binary comes last: a runtime that finds it finds what it needs.
    fn install_files(&self) -> Result<Vec<Obstacle>, InstallError> {
        let mut obstacles = Vec::new();
        if let Some(file) = &self.options.kubeconfig {
            obstacles.extend(self.install_kubeconfig(file)?);
        }
        if let Some(from) = &self.options.etcd_credentials {
            obstacles.extend(self.install_credentials(from)?);
        }
        if let (Some(from), Some(data_dir)) = (&self.options.policies, &self.options.data_dir) {
            obstacles.extend(self.install_policies(from, data_dir)?);
        }
        if let Some(directory) = &self.options.bin_dir {
            obstacles.extend(self.install_binary(directory)?);
        }
        Ok(obstacles)
    }

    fn install_kubeconfig(&self, file: &Path) -> Result<Option<Obstacle>, InstallError> {
        let server = kubeconfig::server(self.options.server.as_deref(), |name| std::env::var(name).ok())?;
        let content = kubeconfig::from_service_account(&self.options.service_account, &server)?;
        let name = file.file_name().ok_or_else(|| InstallError::NoFileName { path: file.to_owned() })?;
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = Directory::open(parent, "--kubeconfig")?;
        self.put(Part::Kubeconfig, &directory, name, 0o600, &mut Cursor::new(content))
    }

    fn install_credentials(&self, from: &Path) -> Result<Vec<Obstacle>, InstallError> {
        let files = files_in(from, "name a directory with --etcd-credentials", |_| true)?;
        let mut obstacles = Vec::new();
        if files.is_empty() {
            return Ok(obstacles);
        }
        let to = &self.options.etcd_dir;
        let made = DirBuilder::new().recursive(true).mode(0o755).create(to);
        made.map_err(|source| InstallError::NoDirectory { path: to.clone(), option: "--etcd-dir", source })?;
        let directory = Directory::open(to, "--etcd-dir")?;
        for file in files {
            match files::read_regular(&file, CREDENTIAL_BYTES) {
                Ok(content) => {
                    let name = file.file_name().unwrap_or_default();
                    let mut content = Cursor::new(content);
                    obstacles.extend(self.put(Part::Credential, &directory, name, 0o600, &mut content)?);
                }
                Err(error) => obstacles.push(Obstacle::unreadable(&file, &error)),
            }
        }
        Ok(obstacles)
    }

    fn install_policies(&self, from: &Path, data_dir: &Path) -> Result<Vec<Obstacle>, InstallError> {
        let trusted = self.options.trusted_keys.as_deref();
        let trust = match trusted.map(|keys| Trust::in_directory(keys, self.options.signatures)).transpose() {
            Ok(trust) => trust,
            // No module can be judged, so that none is installed.
            Err(error) => {
                let keys = trusted.unwrap_or(from);
                return Ok(vec![Obstacle::new(keys, error.message(), error.hint().unwrap_or_default())]);
            }
        };
        let modules = Modules {
            from,
            to: &self.options.policy_dir,
            trust: trust.as_ref(),
            cache_dir: &compiled_below(data_dir),
            ours: &self.ours,
            refused: &self.refused,
        };
        modules.install(&|busy| {
            // The look that follows says whether that could be written.
            let _ = self.write_state(&[busy]);
        })
    }

    fn install_binary(&self, to: &Path) -> Result<Vec<Obstacle>, InstallError> {
        let (this, name) = (Path::new("/proc/self/exe"), OsStr::new("kube-ipam"));
        let mut content = File::open(this)
            .map_err(|source| InstallError::unreadable(this, "make it readable for this process", source))?;
        let directory = Directory::open(to, "--bin-dir")?;
        let mut obstacles = Vec::from_iter(self.put(Part::Binary, &directory, name, 0o755, &mut content)?);
        if let Some(link_dir) = &self.options.link_dir {
            let linked = Directory::open(link_dir, "--link-dir")?;
            obstacles.extend(tell(self.ours.link(&linked, name, &directory.file(name))?, &linked, name));
        }
        Ok(obstacles)
    }

    /// Puts a file in its place; returns why it could not be, where that has another's file.
    fn put(
        &self,
        part: Part,
        directory: &Directory,
        name: &OsStr,
        mode: u32,
        content: &mut (impl Read + Seek),
    ) -> Result<Option<Obstacle>, InstallError> {
        let wanted = Wanted { part, directory, name, mode, networks: Default::default() };
        Ok(tell(self.ours.put(&wanted, content)?, directory, name))
    }

    fn write_state(&self, obstacles: &[Obstacle]) -> Result<(), InstallError> {
        let Some(path) = &self.options.state else { return Ok(()) };
        State(Some(path)).write(obstacles).map_err(|source| InstallError::NoState { path: path.clone(), source })
    }
}

fn tell(put: Put, directory: &Directory, name: &OsStr) -> Option<Obstacle> {
    match put {
        Put::Unchanged => None,
        Put::Installed => {
            output::line(&format!("installed {}", directory.file(name).display()));
            None
        }
        Put::Others(obstacle) => Some(obstacle),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    if let Ok(signed) = text.parse::<SignedDuration>()
        && let Ok(interval) = Duration::try_from(signed)
        && WATCH.contains(&interval)
    {
        return Ok(interval);
    }
    let [least, most] = [WATCH.start(), WATCH.end()].map(|end| SignedDuration::try_from(*end).unwrap_or_default());
    Err(format!("expected a duration from {least:#} to {most:#}, such as 30s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_bounds() {
        assert_eq!(interval("30s"), Ok(Duration::from_secs(30)));
        for wrong in ["", "30", "-30s", "0s", "1ms", "1h", "soon"] {
            let told = interval(wrong).unwrap_err();
            assert_eq!(told, "expected a duration from 100ms to 10m, such as 30s", "{wrong}");
        }
    }
}
