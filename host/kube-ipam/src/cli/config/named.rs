//! The files that a network names: whether they are there, and whether an ADD could use them.
//!
//! Whoever writes a configuration writes it elsewhere, where none of them is. So a file that is missing is an error on the
//! node only; a file that is there and cannot be used is an error anywhere.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use super::report::{Finding, Place, Severity};
use crate::cli::network::DIRECTORY;
use crate::config::{Base, Network, OnFault, PolicyConfig};
use crate::journal::record;
use crate::plugin;
use crate::telemetry;
use cluster::ApiServer;
use cni::NetConf;
use engine::{Compiler, Policy, PolicyError, Source, install};
use files::check_appendable;
use limits::Limits;
use store::check_credentials;
use store::{EtcdConfig, StoreConfig};

/// What is made of the files that a network names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Nobody asks about them.
    Unasked,
    /// This is not the node: what is missing says nothing.
    Elsewhere,
    /// An ADD finds here what it needs, or fails.
    OnNode,
}

/// Why a file cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unseen {
    Missing,
    /// The plugin runs as root, and whoever checks a configuration need not.
    Forbidden,
}

/// A file or directory by the field that names it.
pub(super) struct Named {
    pub(super) field: &'static str,
    pub(super) path: PathBuf,
    pub(super) role: Role,
}

/// What a file is to an ADD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It fails without.
    Needed,
    /// It goes on without.
    Spare,
    /// The directory of a file that is made where it is missing. Without it nothing is written, and no pod fails.
    Directory,
}

impl Files {
    /// What lies where runtimes look is used here.
    pub(super) fn for_file(self, file: &str) -> Self {
        let in_use = fs::canonicalize(file).is_ok_and(|file| file.starts_with(DIRECTORY));
        if in_use && self == Self::Elsewhere { Self::OnNode } else { self }
    }
}

/// Check every file that a network names. Some were found to be missing before.
pub(super) fn check(netconf: &NetConf, missing: Vec<Named>, place: &Place, files: Files) -> Vec<Finding> {
    if files == Files::Unasked {
        return Vec::new();
    }
    let (mut findings, mut elsewhere, mut forbidden) = (Vec::new(), Vec::new(), Vec::new());
    for named in missing.into_iter().chain(named(netconf)) {
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
    if let Ok(Base { store: StoreConfig::Etcd(etcd), .. }) = Base::read(netconf) {
        findings.extend(credentials(&etcd, place));
    }
    if let Ok(policy) = Network::policy(netconf) {
        findings.extend(deciding(&policy, place));
        findings.extend(shadow(&policy, place));
    }
    findings.extend(kubeconfig(netconf, place));
    findings.extend(data_dir(netconf, place));
    findings.extend(appended(netconf, place));
    findings
}

fn unchecked(why: &str, hint: &str, named: &[Named], place: &Place) -> Option<Finding> {
    if named.is_empty() {
        return None;
    }
    let list: Vec<String> = named.iter().map(Named::to_string).collect();
    let message = format!("not checked, because it is {why}: {}", list.join(", "));
    Some(place.finding(Severity::Note, message, Some(hint.to_owned())))
}

/// All that it names but `resolvConf`, which is read with the configuration.
fn named(netconf: &NetConf) -> Vec<Named> {
    let mut named = Vec::new();
    let base = Base::read(netconf).ok();
    if let Some(Base { store: StoreConfig::Etcd(etcd), .. }) = &base {
        named.extend(of_etcd(etcd).into_iter().map(|(field, path)| Named { field, path, role: Role::Needed }));
    }
    if let Ok(policy) = Network::policy(netconf) {
        named.extend(policy.module.map(|path| Named { field: "ipam.policy.module", path, role: Role::Needed }));
        let shadow = policy.shadow.map(|shadow| shadow.module);
        named.extend(shadow.map(|path| Named { field: "ipam.policy.shadow", path, role: Role::Spare }));
        named.extend(policy.record.and_then(|record| directory_of("ipam.policy.record", &record.file)));
    }
    if let Ok(Some(kubernetes)) = Network::kubernetes(netconf) {
        named.push(Named { field: "ipam.kubeConfig", path: kubernetes.kubeconfig, role: Role::Needed });
    }
    named.extend(base.and_then(|base| base.log.file).and_then(|file| directory_of("ipam.logFile", &file)));
    named
}

fn of_etcd(etcd: &EtcdConfig) -> Vec<(&'static str, PathBuf)> {
    let mut files = Vec::new();
    files.extend(etcd.trusted_ca.clone().map(|file| ("ipam.etcdConfig.etcdTrustedCAFileFile", file)));
    if let Some(client) = &etcd.client {
        files.push(("ipam.etcdConfig.etcdCertFile", client.cert.clone()));
        files.push(("ipam.etcdConfig.etcdKeyFile", client.key.clone()));
    }
    files.extend(etcd.user.as_ref().map(|user| ("ipam.etcdConfig.etcdPasswordFile", user.password_file.clone())));
    files
}

fn directory_of(field: &'static str, file: &Path) -> Option<Named> {
    Some(Named { field, path: file.parent()?.to_owned(), role: Role::Directory })
}

fn unseen(path: &Path) -> Option<Unseen> {
    match rustix::fs::access(path, Access::READ_OK) {
        Err(Errno::NOENT) => Some(Unseen::Missing),
        Err(Errno::ACCESS) => Some(Unseen::Forbidden),
        // What else is wrong with it is told by whoever reads it.
        _ => None,
    }
}

impl Named {
    fn missing(&self, place: &Place) -> Finding {
        let consequence = match self.role {
            Role::Needed => "an ADD fails",
            Role::Spare | Role::Directory => "an ADD goes on without it",
        };
        let message = format!("{self}, which does not exist: {consequence}");
        let hint = Some(format!("create it, or remove {}", self.field));
        if self.role == Role::Needed { place.error(message, hint) } else { place.warning(message, hint) }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = if self.role == Role::Directory { "is a file in" } else { "names" };
        write!(f, "{} {relation} {}", self.field, self.path.display())
    }
}

/// Certificates, key and password, where all of them are there.
fn credentials(etcd: &EtcdConfig, place: &Place) -> Vec<Finding> {
    if of_etcd(etcd).iter().any(|(_, file)| unseen(file).is_some()) {
        return Vec::new();
    }
    let errors = check_credentials(etcd);
    errors.iter().map(|error| place.error(format!("ipam.etcdConfig.{error}"), error.hint())).collect()
}

fn deciding(policy: &PolicyConfig, place: &Place) -> Option<Finding> {
    let PolicyConfig { module, sha256, settings, .. } = policy;
    let error = load(policy, module.as_deref(), sha256.as_deref(), settings)?;
    let message = format!("{}: {error}", field_of(&error, "ipam.policy"));
    if policy.on_fault == OnFault::Default && error.may_be_replaced() {
        return Some(place.warning(format!("{message}; the built-in policy decides instead"), error.hint()));
    }
    Some(place.error(message, error.hint()))
}

/// What is wrong with a shadow costs no pod anything.
fn shadow(policy: &PolicyConfig, place: &Place) -> Option<Finding> {
    let shadow = policy.shadow.as_ref()?;
    let error = load(policy, Some(&shadow.module), shadow.sha256.as_deref(), &shadow.settings)?;
    Some(place.warning(format!("{}: {error}", field_of(&error, "ipam.policy.shadow")), error.hint()))
}

/// Why a module cannot be used with these settings, unless it is not here.
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

fn kubeconfig(netconf: &NetConf, place: &Place) -> Option<Finding> {
    let file = Network::kubernetes(netconf).ok()??.kubeconfig;
    if unseen(&file).is_some() {
        return None;
    }
    let server = ApiServer::of_kubeconfig(&file);
    let error = plugin::block_on(async { Ok(server.check_kubeconfig().await.err()) }).ok()??;
    Some(place.error(format!("ipam.kubeConfig: {error}"), error.hint()))
}

/// Record and log: an ADD works without them, and nobody would notice.
fn appended(netconf: &NetConf, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(record) = Network::policy(netconf).ok().and_then(|policy| policy.record) {
        let error = record::size(&record.file).err().filter(|error| is_told(&record.file, error));
        findings.extend(error.map(|error| {
            let file = record.file.display();
            let message = format!("ipam.policy.record is {file}, and no decision is recorded: {error}");
            place.warning(message, Some(record::HINT.to_owned()))
        }));
    }
    if let Some(file) = Base::read(netconf).ok().and_then(|base| base.log.file) {
        let error = check_appendable(&file).err().filter(|error| is_told(&file, error));
        findings.extend(error.map(|error| {
            let message = format!("ipam.logFile is {}, and nothing is logged: {error}", file.display());
            place.warning(message, Some(telemetry::HINT.to_owned()))
        }));
    }
    findings
}

/// A directory that is missing is told by its name; and what root may do with a file, only root can tell.
fn is_told(file: &Path, error: &io::Error) -> bool {
    let is_ours = error.kind() == io::ErrorKind::PermissionDenied && !rustix::process::geteuid().is_root();
    !is_ours && file.parent().is_some_and(|directory| unseen(directory).is_none())
}

/// The directory is made where it is missing, below the nearest one that is there.
fn data_dir(netconf: &NetConf, place: &Place) -> Option<Finding> {
    let Ok(Base { store: StoreConfig::Embedded { dir }, .. }) = Base::read(netconf) else { return None };
    let existing = dir.ancestors().find(|dir| dir.exists())?;
    if existing.is_dir() {
        return None;
    }
    let message = format!("ipam.dataDir is {}, and {} is not a directory", dir.display(), existing.display());
    Some(place.error(message, Some("name a directory on a local disk of the node".to_owned())))
}
