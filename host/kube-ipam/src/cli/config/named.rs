//! The files that a network names: whether they are there, and whether an ADD could use them.
//!
//! Configurations are mostly written on another machine, which has none of these files. So a missing file is an error on the
//! node only; a file that exists and cannot be used is an error anywhere.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::NETWORKS;
use super::report::{ConfigFinding, Place, Severity};
use crate::config::kubernetes::KUBECONFIG;
use crate::config::log::LOG_FILE;
use crate::config::policy::{MODULE, POLICY, RECORD, SHADOW};
use crate::config::store::{DATA_DIR, files_of};
use crate::config::trust::TRUST;
use crate::config::{Base, KubernetesConfig, Network, OnFault, PolicyConfig, RecordConfig};
use crate::journal::record;
use crate::runtime;
use crate::telemetry;
use crate::verbs;
use cluster::ApiServer;
use cni::NetConf;
use engine::{Compiler, Policy, PolicyError, Source, install};
use files::check_appendable;
use limits::Limits;
use store::check_credentials;
use store::{EtcdConfig, StoreConfig};

/// How the files that a network names are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Not at all.
    Unasked,
    /// This machine is not the node, so that a missing file means nothing.
    Elsewhere,
    /// This machine is the node: an ADD finds the files here, or fails.
    OnNode,
}

/// Why a file cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unseen {
    Missing,
    /// This user may not read it. The plugin runs as root, but a configuration may be checked by anybody.
    Forbidden,
}

/// A file or directory by the field that names it.
pub(super) struct NamedFile {
    pub(super) field: &'static str,
    pub(super) path: PathBuf,
    pub(super) role: FileRole,
}

/// What a file is to an ADD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileRole {
    Needed,
    /// An ADD works without it.
    Spare,
    /// The directory of a file that an ADD creates. Without the directory nothing is written, and the ADD works.
    Directory,
}

impl Files {
    /// Treats this machine as the node for a configuration that lies where runtimes look for networks.
    pub(super) fn for_file(self, file: &str) -> Self {
        let is_in_use = fs::canonicalize(file).is_ok_and(|file| file.starts_with(NETWORKS));
        if is_in_use && self == Self::Elsewhere { Self::OnNode } else { self }
    }
}

/// The parts of a configuration that name files. A part that cannot be read is left out: its error is reported already.
struct Parts {
    base: Option<Base>,
    policy: Option<PolicyConfig>,
    kubernetes: Option<KubernetesConfig>,
}

impl Parts {
    fn read(netconf: &NetConf) -> Self {
        Self {
            base: Base::read(netconf).ok(),
            policy: Network::policy(netconf).ok(),
            kubernetes: Network::kubernetes(netconf).ok().flatten(),
        }
    }
}

/// Checks every file that a network names. `missing` are those that reading the configuration has missed already.
pub(super) fn check(netconf: &NetConf, missing: Vec<NamedFile>, place: &Place, files: Files) -> Vec<ConfigFinding> {
    if files == Files::Unasked {
        return Vec::new();
    }
    let parts = Parts::read(netconf);
    let (mut findings, mut elsewhere, mut forbidden) = (Vec::new(), Vec::new(), Vec::new());
    for named in missing.into_iter().chain(named(&parts)) {
        match unseen(&named.path) {
            Some(Unseen::Missing) if files == Files::OnNode => findings.push(named.missing(place)),
            Some(Unseen::Missing) => elsewhere.push(named),
            Some(Unseen::Forbidden) => forbidden.push(named),
            None => {}
        }
    }
    let hint = "on the node, check again with --on-node";
    findings.extend(unchecked("not on this machine", hint, &elsewhere, place));
    findings.extend(unchecked("not readable by this user", "check again as root", &forbidden, place));
    if let Some(Base { store: StoreConfig::Etcd(etcd), .. }) = &parts.base {
        findings.extend(credentials(etcd, place));
    }
    if let Some(policy) = &parts.policy {
        findings.extend(deciding(policy, place));
        findings.extend(shadow(policy, place));
    }
    findings.extend(parts.kubernetes.as_ref().and_then(|kubernetes| kubeconfig(&kubernetes.kubeconfig, place)));
    findings.extend(parts.base.as_ref().and_then(|base| data_dir(base, place)));
    findings.extend(appended(&parts, place));
    findings
}

fn unchecked(why: &str, hint: &str, named: &[NamedFile], place: &Place) -> Option<ConfigFinding> {
    if named.is_empty() {
        return None;
    }
    let list: Vec<String> = named.iter().map(NamedFile::to_string).collect();
    let message = format!("not checked, because it is {why}: {}", list.join(", "));
    Some(place.finding(Severity::Note, message, Some(hint.to_owned())))
}

/// The files that the configuration names. Not `resolvConf`, which is read with the configuration itself.
fn named(parts: &Parts) -> Vec<NamedFile> {
    let mut named = Vec::new();
    if let Some(Base { store: StoreConfig::Etcd(etcd), .. }) = &parts.base {
        for (field, path) in files_of(etcd) {
            named.push(NamedFile::new(field, path, FileRole::Needed));
        }
    }
    if let Some(PolicyConfig { module, shadow, record, trust, .. }) = &parts.policy {
        named.extend(module.as_ref().map(|module| NamedFile::new(MODULE, module, FileRole::Needed)));
        named.extend(shadow.as_ref().map(|shadow| NamedFile::new(SHADOW, &shadow.module, FileRole::Spare)));
        let keys = trust.iter().flat_map(|trust| &trust.keys);
        named.extend(keys.map(|key| NamedFile::new(TRUST, key, FileRole::Spare)));
        named.extend(record.as_ref().and_then(|record| directory_of(RECORD, &record.file)));
    }
    if let Some(kubernetes) = &parts.kubernetes {
        named.push(NamedFile::new(KUBECONFIG, &kubernetes.kubeconfig, FileRole::Needed));
    }
    if let Some(file) = log_file(parts) {
        named.extend(directory_of(LOG_FILE, file));
    }
    named
}

/// The file that the configuration names for its log. Of the default one nobody is told here: `doctor` says where it is.
fn log_file(parts: &Parts) -> Option<&PathBuf> {
    let log = &parts.base.as_ref()?.log;
    if log.given { log.file.as_ref() } else { None }
}

fn directory_of(field: &'static str, file: &Path) -> Option<NamedFile> {
    Some(NamedFile::new(field, file.parent()?, FileRole::Directory))
}

fn unseen(path: &Path) -> Option<Unseen> {
    match rustix::fs::access(path, Access::READ_OK) {
        Err(Errno::NOENT) => Some(Unseen::Missing),
        Err(Errno::ACCESS) => Some(Unseen::Forbidden),
        // Any other error is reported by the check that reads the file.
        _ => None,
    }
}

impl NamedFile {
    pub(super) fn new(field: &'static str, path: &Path, role: FileRole) -> Self {
        Self { field, path: path.to_owned(), role }
    }

    fn missing(&self, place: &Place) -> ConfigFinding {
        let consequence = match self.role {
            FileRole::Needed => "an ADD fails",
            FileRole::Spare | FileRole::Directory => "an ADD goes on without it",
        };
        let message = format!("{self}, which does not exist: {consequence}");
        let hint = Some(format!("create it, or remove {}", self.field));
        if self.role == FileRole::Needed { place.error(message, hint) } else { place.warning(message, hint) }
    }
}

impl fmt::Display for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = if self.role == FileRole::Directory { "is a file in" } else { "names" };
        write!(f, "{} {relation} {}", self.field, self.path.display())
    }
}

/// Checks certificates, key and password, which are judged together: only if all of them can be read.
fn credentials(etcd: &EtcdConfig, place: &Place) -> Vec<ConfigFinding> {
    if files_of(etcd).iter().any(|(_, file)| unseen(file).is_some()) {
        return Vec::new();
    }
    let errors = check_credentials(etcd);
    // An error of the store names the field by its key alone.
    errors.iter().map(|error| place.error(format!("ipam.etcdConfig.{error}"), error.hint())).collect()
}

/// Whether the policy that decides can be used with its settings.
fn deciding(policy: &PolicyConfig, place: &Place) -> Option<ConfigFinding> {
    let PolicyConfig { module, sha256, settings, .. } = policy;
    let error = load(policy, module.as_deref(), sha256.as_deref(), settings)?;
    let message = format!("{}: {error}", field_of(&error, POLICY));
    if policy.on_fault == OnFault::Default && error.may_be_replaced() {
        return Some(place.warning(format!("{message}; the built-in policy decides instead"), error.hint()));
    }
    Some(place.error(message, error.hint()))
}

/// Whether the shadow policy can be used. A warning only: no pod depends on it.
fn shadow(policy: &PolicyConfig, place: &Place) -> Option<ConfigFinding> {
    let shadow = policy.shadow.as_ref()?;
    let error = load(policy, Some(&shadow.module), shadow.sha256.as_deref(), &shadow.settings)?;
    Some(place.warning(format!("{}: {error}", field_of(&error, SHADOW)), error.hint()))
}

/// Why a module cannot be used with these settings. Not answered for a file that is missing or cannot be read here, which is
/// reported as such.
fn load(policy: &PolicyConfig, module: Option<&Path>, sha256: Option<&str>, settings: &str) -> Option<PolicyError> {
    let cache_dir = Some(policy.cache_dir.as_path());
    let source = Source { module, sha256, cache_dir, limits: policy.limits, compiler: Compiler::Child, deadline: None };
    match module {
        None => built_in(policy.limits, settings).err(),
        Some(file) if unseen(file).is_some() => None,
        Some(file) => install::check(file, &source, settings).err(),
    }
}

fn built_in(limits: Limits, settings: &str) -> Result<(), PolicyError> {
    Policy::load(&Source { limits, ..Source::alone(None) })?.validate_settings(settings)
}

fn field_of(error: &PolicyError, policy: &str) -> String {
    match error {
        PolicyError::Settings { .. } => format!("{policy}.settings"),
        _ => format!("{policy}.module"),
    }
}

fn kubeconfig(file: &Path, place: &Place) -> Option<ConfigFinding> {
    if unseen(file).is_some() {
        return None;
    }
    let server = ApiServer::of_kubeconfig(file);
    let error = runtime::block_on(async { Ok::<_, verbs::Error>(server.check_kubeconfig().await.err()) }).ok()??;
    Some(place.error(format!("{KUBECONFIG}: {error}"), error.hint()))
}

/// Whether the record and the log can be written. An ADD works without them, so that a fault might not be noticed for long.
fn appended(parts: &Parts, place: &Place) -> Vec<ConfigFinding> {
    let mut findings = Vec::new();
    if let Some(RecordConfig { file, .. }) = parts.policy.as_ref().and_then(|policy| policy.record.as_ref())
        && let Err(error) = record::size(file)
        && is_told(file, &error)
    {
        let message = format!("{RECORD} is {}, and no decision is recorded: {error}", file.display());
        findings.push(place.warning(message, Some(record::HINT.to_owned())));
    }
    if let Some(file) = log_file(parts)
        && let Err(error) = check_appendable(file)
        && is_told(file, &error)
    {
        let message = format!("{LOG_FILE} is {}, and nothing is logged: {error}", file.display());
        findings.push(place.warning(message, Some(telemetry::HINT.to_owned())));
    }
    findings
}

/// Whether an error about a file that an ADD appends to is worth a finding. It is not where the directory is missing, which
/// is reported already, nor where this user lacks a permission that root has.
fn is_told(file: &Path, error: &io::Error) -> bool {
    if error.kind() == io::ErrorKind::PermissionDenied && !rustix::process::geteuid().is_root() {
        return false;
    }
    file.parent().is_some_and(|directory| unseen(directory).is_none())
}

/// An ADD creates the data directory where it is missing, which needs a directory, and no file, above it.
fn data_dir(base: &Base, place: &Place) -> Option<ConfigFinding> {
    let StoreConfig::Embedded { dir } = &base.store else { return None };
    let existing = dir.ancestors().find(|dir| dir.exists())?;
    if existing.is_dir() {
        return None;
    }
    let message = format!("{DATA_DIR} is {}, and {} is not a directory", dir.display(), existing.display());
    Some(place.error(message, Some("name a directory on a local disk of the node".to_owned())))
}
