//! `kube-ipam install-node`: installs on a node what kube-ipam needs there, and keeps it up to date.
//!
//! Each part is installed if its destination is given: this binary, a kubeconfig made from the pod's service account, policy
//! modules. A DaemonSet runs the command with `--watch`: the token of a service account is valid for an hour, and the
//! kubeconfig on the node follows whenever kubelet renews it. A file that is right already is left alone; any other is
//! replaced whole, so that a plugin that starts meanwhile finds the old file or the new one.
//!
//! A part that cannot be installed ends the program with an error: kubelet starts it again and shows why it failed.

mod error;
mod kubeconfig;
mod place;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Cursor};
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
use super::output::{self, Done, Output};
use crate::runtime;
use cluster::ApiServer;
use limits::{LAST_WRITE, WATCH};

#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("part").required(true).multiple(true).args(["bin_dir", "kubeconfig", "policies", "rebuild_books"])))]
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
    /// Install the policy modules (*.wasm) in this directory
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Directory to install policy modules in; modules are never removed from it
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/policies", requires = "policies")]
    policy_dir: PathBuf,
    /// Data directory of the networks (ipam.dataDir); the ID of this cluster is read from the API server and saved
    /// there
    #[arg(long, value_name = "DIR", requires = "kubeconfig")]
    data_dir: Option<PathBuf>,
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
    // Two results: the outer one is the event loop's, which takes errors of verbs only.
    runtime::block_on(async { Ok(keep_installed(Arc::new(options)).await) })??;
    Ok(Output::text(""))
}

async fn keep_installed(options: Arc<InstallNodeOptions>) -> Result<(), InstallError> {
    // The first process of a container gets only the signals it asks for, so it asks before the work begins.
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut rebuilder = Rebuilder::default();
    loop {
        let mut looking = pin!(look(&options, &mut rebuilder));
        let is_ended = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            installed = &mut looking => {
                installed?;
                false
            }
        };
        if is_ended {
            // A file that is being written is mostly in its place a moment later, and is then reported as installed, too.
            let _ = tokio::time::timeout(LAST_WRITE, looking).await;
            return Ok(());
        }
        let Some(interval) = options.watch else { return Ok(()) };
        if is_told_to_end(interval, &mut terminate, &mut interrupt).await {
            return Ok(());
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, InstallError> {
    signal(kind).map_err(|source| InstallError::NoSignals { source })
}

/// Installs everything once. Files are written on a thread of their own: a disk, a mount or another process may keep it
/// waiting, and this thread still has to notice a signal. Ending amid a write does no harm, because a file is renamed into
/// its place.
async fn look(options: &Arc<InstallNodeOptions>, rebuilder: &mut Rebuilder) -> Result<(), InstallError> {
    let installing = Arc::clone(options);
    match tokio::task::spawn_blocking(move || install_once(&installing)).await {
        Ok(installed) => installed?,
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    }
    // Both need what was just installed, and neither ends the program: what fails is tried again at the next look.
    note_cluster(options).await;
    rebuilder.rebuild(options).await;
    Ok(())
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

/// The binary comes last: a runtime that finds it finds everything that it needs.
fn install_once(options: &InstallNodeOptions) -> Result<(), InstallError> {
    if let Some(file) = &options.kubeconfig {
        install_kubeconfig(file, options)?;
    }
    if let Some(from) = &options.policies {
        install_policies(from, &options.policy_dir)?;
    }
    if let Some(directory) = &options.bin_dir {
        let this = Path::new("/proc/self/exe");
        install_file(this, &Directory::open(directory, "--bin-dir")?, "kube-ipam".as_ref(), 0o755)?;
    }
    Ok(())
}

fn install_kubeconfig(file: &Path, options: &InstallNodeOptions) -> Result<(), InstallError> {
    let server = kubeconfig::server(options.server.as_deref(), |name| std::env::var(name).ok())?;
    let content = kubeconfig::from_service_account(&options.service_account, &server)?;
    let name = file.file_name().ok_or_else(|| InstallError::NoFileName { path: file.to_owned() })?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = Directory::open(parent, "--kubeconfig")?;
    tell(directory.put(name, 0o600, &mut Cursor::new(content))?, &directory, name);
    Ok(())
}

fn install_policies(from: &Path, to: &Path) -> Result<(), InstallError> {
    let files = modules_in(from)
        .map_err(|source| InstallError::unreadable(from, "name a directory with --policies", source))?;
    let directory = Directory::open(to, "--policy-dir")?;
    for file in files {
        install_file(&file, &directory, file.file_name().unwrap_or_default(), 0o644)?;
    }
    Ok(())
}

/// The modules in a directory. A volume made from a ConfigMap has links to its files, and hidden directories beside them.
fn modules_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("wasm")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn install_file(from: &Path, directory: &Directory, name: &OsStr, mode: u32) -> Result<(), InstallError> {
    let mut content = File::open(from)
        .map_err(|source| InstallError::unreadable(from, "make it readable for this process", source))?;
    tell(directory.put(name, mode, &mut content)?, directory, name);
    Ok(())
}

fn tell(is_new: bool, directory: &Directory, name: &OsStr) {
    if is_new {
        output::line(&format!("installed {}", directory.file(name).display()));
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
    fn only_the_modules_of_a_volume_are_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| from.path().join(name);
        fs::create_dir(path("..2026")).unwrap();
        fs::write(path("..2026/site.wasm"), "module").unwrap();
        std::os::unix::fs::symlink("..2026/site.wasm", path("site.wasm")).unwrap();
        fs::write(path("README"), "").unwrap();
        fs::create_dir(path("folder.wasm")).unwrap();
        fs::write(to.path().join("older.wasm"), "in use").unwrap();
        install_policies(from.path(), to.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["older.wasm", "site.wasm"]);
        assert_eq!(fs::read_to_string(to.path().join("site.wasm")).unwrap(), "module");
    }

    #[test]
    fn an_interval_has_bounds() {
        assert_eq!(interval("30s"), Ok(Duration::from_secs(30)));
        for wrong in ["", "30", "-30s", "0s", "1ms", "1h", "soon"] {
            let told = interval(wrong).unwrap_err();
            assert_eq!(told, "expected a duration from 100ms to 10m, such as 30s", "{wrong}");
        }
    }
}
