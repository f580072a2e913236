//! `kube-ipam policy ls`: the modules of this node. Changes nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::site::{DIRECTORY, Site, default_cache};
use crate::cli::network::{NetworkArgs, NetworkError};
use crate::cli::output::{CommandError, Done, Format, Output, OutputArgs, or_dash, table};
use engine::inspect::{self, Inspection};
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub(crate) struct LsOptions {
    /// List the modules in this directory [default: the directory of the network's module, or else /opt/cni/policies]
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
    /// Whether the network uses it. Absent where there is no network.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<bool>,
    #[serde(flatten)]
    inspection: Inspection,
}

pub(crate) fn ls(options: &LsOptions) -> Done {
    let site = site(&options.network)?;
    let mut rows = vec![row(None, site.as_ref())];
    rows.extend(files(options, site.as_ref())?.into_iter().map(|file| row(Some(file), site.as_ref())));
    match options.output.output {
        Format::Json => Output::json(&rows),
        Format::Table => Ok(Output::text(tell(&rows))),
    }
}

/// A node may have modules before it has a network.
fn site(network: &NetworkArgs) -> Result<Option<Site>, CommandError> {
    match network.found() {
        Err(_) if network.conf.is_none() => Ok(None),
        found => Ok(Some(Site::read(&found?.1)?)),
    }
}

/// The modules of the directory, and the network's own wherever it is.
fn files(options: &LsOptions, site: Option<&Site>) -> Result<Vec<PathBuf>, NetworkError> {
    let module = site.and_then(|site| site.policy.module.as_deref());
    let beside_module = module.and_then(Path::parent);
    let directory = options.dir.as_deref().or(beside_module).unwrap_or(Path::new(DIRECTORY));
    let mut files: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        // A directory that nobody named need not exist: a node may have the built-in policy only.
        Err(_) if options.dir.is_none() => Vec::new(),
        Err(cause) => return Err(NetworkError::Unreadable { path: directory.to_owned(), cause }),
    };
    files.retain(|file| file.extension() == Some(OsStr::new("wasm")));
    if let (Some(site), Some(module)) = (site, module)
        && !files.iter().any(|file| site.uses(file))
    {
        files.push(module.to_owned());
    }
    files.sort();
    Ok(files)
}

/// A module as its network would load it; `None` is the built-in one.
fn row(file: Option<PathBuf>, site: Option<&Site>) -> ModuleRow {
    let (mut in_use, mut pin, mut cache_dir, mut limits) = (None, None, default_cache(), Limits::default());
    if let Some(site) = site {
        let policy = &site.policy;
        let is_used = match &file {
            Some(file) => site.uses(file),
            None => policy.module.is_none(),
        };
        in_use = Some(is_used);
        // The pin is for the module of the network; any other one may have any digest.
        if is_used {
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
    ModuleRow { file, in_use, inspection }
}

fn tell(rows: &[ModuleRow]) -> String {
    let header = ["NAME", "VERSION", "INTERFACE", "SIZE", "SHA256", "COMPILED", "IN USE", "FILE", "SUMMARY"];
    table(&header, rows.iter().map(cells))
}

fn yes_or_no(answer: bool) -> &'static str {
    if answer { "yes" } else { "no" }
}

fn cells(row: &ModuleRow) -> Vec<String> {
    let ModuleRow { file, in_use, inspection } = row;
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
        file,
        summary,
    ]
}
