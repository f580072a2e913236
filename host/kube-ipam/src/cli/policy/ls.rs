//! `kube-ipam policy ls`: the modules of this node. Changes nothing.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::site::{DIRECTORY, Site, default_cache};
use super::trust::Trust;
use crate::cli::network::NetworkArgs;
use crate::cli::output::{CommandError, Done, Format, Output, OutputArgs, or_dash, table};
use crate::config::TrustConfig;
use cni::Fail;
use engine::inspect::{self, Inspection};
use engine::install;
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub(crate) struct LsOptions {
    /// List the modules in this directory [default: the directories of the networks' modules, or else /opt/cni/policies]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModuleRow {
    /// Absent for the built-in module.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Whether one of the networks uses it. Absent where there is no network.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<bool>,
    /// Who has signed it, of those that its network trusts; absent where nobody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    signers: Option<BTreeSet<String>>,
    #[serde(flatten)]
    inspection: Inspection,
}

/// Why the modules of a directory cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
struct UnreadableDirectory {
    path: PathBuf,
    source: std::io::Error,
}

impl Fail for UnreadableDirectory {}

pub(crate) fn ls(options: &LsOptions) -> Done {
    let sites = sites(&options.network)?;
    let mut rows = vec![row(None, &sites)];
    for file in files(options, &sites)? {
        rows.push(row(Some(file), &sites));
    }
    match options.output.output {
        Format::Json => Output::json(&rows),
        Format::Table => Ok(Output::text(tell(&rows))),
    }
}

/// A node may have modules before it has a network.
fn sites(network: &NetworkArgs) -> Result<Vec<Site>, CommandError> {
    let found = match network.find() {
        Err(_) if !network.is_given() => return Ok(Vec::new()),
        found => found?,
    };
    Ok(found.iter().map(Site::of).collect::<Result<_, _>>()?)
}

/// The modules of the directories, and the networks' own wherever they are.
fn files(options: &LsOptions, sites: &[Site]) -> Result<Vec<PathBuf>, UnreadableDirectory> {
    let modules: Vec<&Path> = sites.iter().filter_map(|site| site.policy.module.as_deref()).collect();
    let mut directories: Vec<&Path> = match &options.dir {
        Some(directory) => vec![directory],
        None => modules.iter().filter_map(|module| module.parent()).collect(),
    };
    if directories.is_empty() {
        directories.push(Path::new(DIRECTORY));
    }
    directories.sort();
    directories.dedup();
    let mut files: Vec<PathBuf> = Vec::new();
    for directory in directories {
        match std::fs::read_dir(directory) {
            Ok(entries) => files.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
            // A directory that nobody named need not exist: a node may have the built-in policy only.
            Err(_) if options.dir.is_none() => {}
            Err(source) => return Err(UnreadableDirectory { path: directory.to_owned(), source }),
        }
    }
    files.retain(|file| file.extension() == Some(OsStr::new("wasm")));
    for site in sites {
        if let Some(module) = &site.policy.module
            && !files.iter().any(|file| site.uses(file))
        {
            files.push(module.clone());
        }
    }
    files.sort();
    Ok(files)
}

/// A module as its network would load it; `None` is the built-in one.
fn row(file: Option<PathBuf>, sites: &[Site]) -> ModuleRow {
    let (mut in_use, mut pin, mut cache_dir, mut limits) = (None, None, default_cache(), Limits::default());
    let user = sites.iter().find(|site| match &file {
        Some(file) => site.uses(file),
        None => site.policy.module.is_none(),
    });
    // One that no network uses is shown as the first of them would load it.
    if let Some(site) = user.or(sites.first()) {
        let policy = &site.policy;
        in_use = Some(user.is_some());
        // The pin is for the module of the network; any other one may have any digest.
        if user.is_some() {
            pin = policy.sha256.as_deref();
        }
        cache_dir = policy.cache_dir.clone();
        limits = policy.limits;
    }
    let source = Source {
        module: file.as_deref(),
        sha256: pin,
        cache_dir: Some(&cache_dir),
        limits,
        compiler: Compiler::Child,
        deadline: None,
    };
    let inspection = inspect::inspect(&source).unwrap_or_else(|error| Inspection::refused_for(&error));
    let trust = user.and_then(|site| site.policy.trust.as_ref());
    let signers = file.as_deref().zip(trust).map(|(file, trust)| signers_of(file, trust));
    ModuleRow { file, in_use, signers, inspection }
}

/// Nobody where they are too few: why, `doctor` says.
fn signers_of(file: &Path, trust: &TrustConfig) -> BTreeSet<String> {
    let Ok(wasm) = install::read(file) else { return BTreeSet::new() };
    Trust::judge_installed(trust, file, &wasm).unwrap_or_default()
}

/// As the table shows them; a dash where nobody has to sign.
fn signed_by(signers: Option<&BTreeSet<String>>) -> String {
    match signers {
        None => "-".to_owned(),
        Some(signers) if signers.is_empty() => "nobody trusted".to_owned(),
        Some(signers) => signers.iter().map(String::as_str).collect::<Vec<_>>().join(","),
    }
}

fn tell(rows: &[ModuleRow]) -> String {
    let header =
        ["NAME", "VERSION", "INTERFACE", "SIZE", "SHA256", "COMPILED", "IN USE", "SIGNED BY", "FILE", "SUMMARY"];
    table(&header, rows.iter().map(cells))
}

fn yes_or_no(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

fn cells(row: &ModuleRow) -> Vec<String> {
    let ModuleRow { file, in_use, signers, inspection } = row;
    let file = match file {
        Some(file) => file.display().to_string(),
        None => "(built in)".to_owned(),
    };
    let description = inspection.description.as_ref();
    let interface = inspection.interface.as_deref().and_then(|name| name.rsplit_once('@'));
    let summary = match inspection.refused.as_slice() {
        [] => or_dash(description.map(|description| &description.summary)),
        reasons => format!("refused: {}", reasons.join("; ")),
    };
    vec![
        or_dash(description.map(|description| &description.name)),
        or_dash(description.map(|description| &description.version)),
        or_dash(interface.map(|(_, version)| version)),
        or_dash(inspection.bytes),
        or_dash(inspection.sha256.as_ref().map(|digest| &digest[..12])),
        or_dash(inspection.kept.map(yes_or_no)),
        or_dash(in_use.map(yes_or_no)),
        signed_by(signers.as_ref()),
        file,
        summary,
    ]
}
