//! `kube-ipam install-node`: what a node needs of us, put there and kept there.
//!
//! Each part is installed when its destination is named: this very binary, a kubeconfig made from the pod's service
//! account, policy modules. A DaemonSet runs it with `--watch`: the token of a service account lives for an hour, and
//! the kubeconfig on the node follows whenever kubelet renews it. What is right already is left alone; what is not is
//! replaced whole, so that a plugin that starts meanwhile finds the old file or the new one.
//!
//! Whatever cannot be installed ends the program with an error: kubelet starts it again and shows everybody why.

mod error;
mod kubeconfig;
mod place;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::SignedDuration;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use error::InstallError;
pub(crate) use place::Directory;

use super::output::{self, Done, Output};
use super::{CacheArgs, fsck};
use crate::plugin;
use cluster::ApiServer;
use limits::{LAST_WRITE, WATCH};

#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("part").required(true).multiple(true).args(["bin_dir", "kubeconfig", "policies", "rebuild_books"])))]
pub(crate) struct Options {
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

pub(crate) fn install(options: Options) -> Done {
    // No error of a verb: the outer result is the event loop's.
    let done = plugin::block_on(async { Ok(keep_installed(Arc::new(options)).await) })?;
    done?;
    Ok(Output::text(""))
}

async fn keep_installed(options: Arc<Options>) -> Result<(), InstallError> {
    // The first process of a container gets only the signals it asks for: ask before the work begins.
    let listen = |kind| signal(kind).map_err(|source| InstallError::NoSignals { source });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut books = Books::default();
    loop {
        let mut looking = pin!(look(&options, &mut books));
        let is_ended = tokio::select! {
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            installed = &mut looking => {
                installed?;
                false
            }
        };
        if is_ended {
            // A file that is in its place is told, too: as a rule it only takes a moment more.
            let _ = tokio::time::timeout(LAST_WRITE, looking).await;
            return Ok(());
        }
        let Some(interval) = options.watch else { return Ok(()) };
        if is_told_to_end(interval, &mut terminate, &mut interrupt).await {
            return Ok(());
        }
    }
}

/// Files are written on a thread of their own: whatever a disk, a mount or another process keeps it waiting for, this one
/// hears when it is told to end. A file is either renamed into its place or not there.
async fn look(options: &Arc<Options>, books: &mut Books) -> Result<(), InstallError> {
    let installing = Arc::clone(options);
    match tokio::task::spawn_blocking(move || install_once(&installing)).await {
        Ok(installed) => installed?,
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    }
    settle(options, books).await;
    Ok(())
}

/// What follows once everything is in its place; each part is tried again at the next look.
async fn settle(options: &Options, books: &mut Books) {
    note_cluster(options).await;
    books.rebuild(options).await;
}

/// So that no ADD has to ask. One that finds no note asks itself: what does not work here is tried again at the next look.
async fn note_cluster(options: &Options) {
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

/// What was said of each network at the last look: only news is told.
#[derive(Default)]
struct Books {
    told: BTreeMap<PathBuf, Vec<String>>,
}

impl Books {
    /// Put back what is missing. A network that is not there yet has no containers; a store that does not answer is asked
    /// again at the next look, and keeps nothing else from being installed.
    async fn rebuild(&mut self, options: &Options) {
        for network in options.rebuild_books.iter().filter(|network| network.exists()) {
            let lines = match fsck::rebuild(network, &options.cache).await {
                Ok(lines) => lines,
                Err(error) => {
                    vec![format!("{}: not compared with its containers: {}", network.display(), error)]
                }
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

/// The binary comes last: where it is, everything is.
fn install_once(options: &Options) -> Result<(), InstallError> {
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

fn install_kubeconfig(file: &Path, options: &Options) -> Result<(), InstallError> {
    let server = kubeconfig::server(options.server.as_deref(), |name| std::env::var(name).ok())?;
    let content = kubeconfig::from_service_account(&options.service_account, &server)?;
    let name = file.file_name().ok_or_else(|| InstallError::NoFileName { path: file.to_owned() })?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = Directory::open(parent, "--kubeconfig")?;
    tell(directory.put(name, 0o600, &mut Cursor::new(content))?, &directory, name);
    Ok(())
}

/// A volume made from a ConfigMap has links and hidden directories beside its files.
fn install_policies(from: &Path, to: &Path) -> Result<(), InstallError> {
    let unreadable = |source| InstallError::unreadable(from, "name a directory with --policies", source);
    let entries = fs::read_dir(from).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    files.retain(|file| file.extension() == Some(OsStr::new("wasm")) && file.is_file());
    files.sort();
    let directory = Directory::open(to, "--policy-dir")?;
    for file in files {
        install_file(&file, &directory, file.file_name().unwrap_or_default(), 0o644)?;
    }
    Ok(())
}

fn install_file(from: &Path, directory: &Directory, name: &OsStr, mode: u32) -> Result<(), InstallError> {
    let unreadable = |source| InstallError::unreadable(from, "make it readable for this process", source);
    let mut content = File::open(from).map_err(unreadable)?;
    tell(directory.put(name, mode, &mut content)?, directory, name);
    Ok(())
}

fn tell(is_new: bool, directory: &Directory, name: &OsStr) {
    if is_new {
        output::line(&format!("installed {}", directory.file(name).display()));
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|interval| Duration::try_from(interval).ok());
    parsed.filter(|interval| WATCH.contains(interval)).ok_or_else(|| {
        let [least, most] = [WATCH.start(), WATCH.end()].map(|end| SignedDuration::try_from(*end).unwrap_or_default());
        format!("expected a duration from {least:#} to {most:#}, such as 30s")
    })
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
