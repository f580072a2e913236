//! `kube-ipam policy ls`: the modules of this node. Changes nothing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::site::{DIRECTORY, Site, default_cache};
use crate::cli::network::NetworkError;
use crate::cli::output::{CommandError, Done, Output, table};
use crate::cli::{Format, NetworkArgs, OutputArgs};
use engine::inspect::{self, Inspection};
use engine::{Compiler, Source};
use limits::Limits;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A directory of modules; by default that of the network's module, or else /opt/cni/policies
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// Absent for the built-in module.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    /// Absent where there is no network.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<bool>,
    #[serde(flatten)]
    inspection: Inspection,
}

pub(crate) fn ls(options: &Options) -> Done {
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
fn files(options: &Options, site: Option<&Site>) -> Result<Vec<PathBuf>, NetworkError> {
    let module = site.and_then(|site| site.policy.module.as_deref());
    let of_module = module.and_then(Path::parent).filter(|_| options.dir.is_none());
    let directory = options.dir.as_deref().or(of_module).unwrap_or(Path::new(DIRECTORY));
    let mut files: Vec<PathBuf> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(_) if options.dir.is_none() => Vec::new(),
        Err(cause) => return Err(NetworkError::Unreadable { path: directory.to_owned(), cause }),
    };
    files.retain(|file| file.extension() == Some(OsStr::new("wasm")));
    let is_listed = files.iter().any(|file| site.is_some_and(|site| site.uses(file)));
    files.extend(module.filter(|_| !is_listed).map(Path::to_owned));
    files.sort();
    Ok(files)
}

fn row(file: Option<PathBuf>, site: Option<&Site>) -> Row {
    let in_use = site.map(|site| match &file {
        Some(file) => site.uses(file),
        None => site.policy.module.is_none(),
    });
    let pin = site.filter(|_| in_use == Some(true)).and_then(|site| site.policy.sha256.as_deref());
    let cache_dir = site.map_or_else(default_cache, |site| site.policy.cache_dir.clone());
    let source = Source {
        module: file.as_deref(),
        sha256: pin,
        cache_dir: Some(&cache_dir),
        limits: site.map_or_else(Limits::default, |site| site.policy.limits),
        compiler: Compiler::Child,
        deadline: None,
    };
    let inspection = inspect::inspect(&source).unwrap_or_else(|error| Inspection::refused_for(&error));
    Row { file, in_use, inspection }
}

fn tell(rows: &[Row]) -> String {
    let header = ["NAME", "VERSION", "INTERFACE", "SIZE", "SHA256", "COMPILED", "IN USE", "FILE", "SUMMARY"];
    table(&header, rows.iter().map(cells))
}

fn cells(row: &Row) -> Vec<String> {
    let Row { file, in_use, inspection } = row;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let yes_or_no = |answer: bool| if answer { "yes" } else { "no" }.to_owned();
    let description = inspection.description.as_ref();
    let interface = inspection.interface.as_deref().and_then(|name| name.rsplit_once('@'));
    let summary = match inspection.refused.as_slice() {
        [] => or_dash(description.map(|description| description.summary.clone())),
        reasons => format!("refused: {}", reasons.join("; ")),
    };
    vec![
        or_dash(description.map(|description| description.name.clone())),
        or_dash(description.map(|description| description.version.clone())),
        or_dash(interface.map(|(_, version)| version.to_owned())),
        or_dash(inspection.bytes.map(|bytes| bytes.to_string())),
        or_dash(inspection.sha256.as_ref().map(|digest| digest[..12].to_owned())),
        or_dash(inspection.kept.map(yes_or_no)),
        or_dash(in_use.map(yes_or_no)),
        file.as_ref().map_or_else(|| "(built in)".to_owned(), |file| file.display().to_string()),
        summary,
    ]
}
