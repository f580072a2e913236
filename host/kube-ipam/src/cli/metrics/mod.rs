//! `kube-ipam metrics`: what a Prometheus reads.
//!
//! ```text
//!   node     the calls of this node, its certificates, and the addresses of networks that it keeps on its own disk
//!   shared   the addresses that nodes keep in one etcd, and how that is: the same whichever node reads it
//! ```
//!
//! Every node tells the first of itself, and one of them is enough for the second. Labels are names that an operator chose, and
//! never those of pods or containers: the number of series does not grow with what runs.

mod families;
mod node;
mod stores;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::cache::CacheArgs;
use super::network::{FoundNetwork, NetworkArgs, Opened};
use super::output::{CommandError, Done, Output};
use crate::config::counts::counts_dir;
use crate::containers::Containers;
use crate::runtime;
use cni::{Fail, NetConf};
use families::Families;
use files::{Replacement, Survives, Turn};
use store::StoreConfig;

/// Examples for the help of `metrics`.
pub(super) const EXAMPLES: &str = "\
Examples:
  kube-ipam metrics                        everything, for people and for curl
  kube-ipam metrics --only node --output /var/lib/prometheus/node-exporter/kube-ipam.prom
                                           what is this node's own, for node-exporter's textfile collector";

#[derive(Args, Debug)]
pub(crate) struct MetricsOptions {
    /// Write to this file instead of stdout, whole at every moment: for the textfile collector of node-exporter, which reads
    /// files called *.prom
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only what is this node's own, or only what nodes share: where they share an etcd, every node tells the one, and a single
    /// one of them the other
    #[arg(long, value_enum)]
    only: Option<MetricsPart>,
    #[command(flatten)]
    cache: CacheArgs,
}

/// Whom a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricsPart {
    /// Calls and certificates, and the addresses of networks on this node's disk
    Node,
    /// The addresses of networks in etcd, and etcd itself
    Shared,
}

/// Why the metrics are not in their file.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

impl Fail for NotWritten {
    fn hint(&self) -> Option<String> {
        Some("--output names a file in a directory that exists and can be written to".to_owned())
    }
}

pub(crate) fn metrics(options: &MetricsOptions, network: &NetworkArgs) -> Done {
    let text = runtime::block_on(exposition(network, options.only, &options.cache))?;
    let Some(path) = &options.output else { return Ok(Output::text(text.trim_end())) };
    write(path, &text).map_err(|source| NotWritten { path: path.clone(), source })?;
    Ok(Output::text(""))
}

/// The metrics in the text format of Prometheus (version 0.0.4), of this part or of both. A store that does not answer is a metric
/// and a warning, and hides nothing else. Networks are opened one after the other, and closed again.
pub(crate) async fn exposition(
    network: &NetworkArgs,
    only: Option<MetricsPart>,
    cache: &CacheArgs,
) -> Result<String, CommandError> {
    let mut exposition = Exposition::begin(only, cache);
    for found in network.find()? {
        match found.open() {
            Ok(opened) => exposition.add(&opened).await,
            Err(error) => {
                tracing::warn!("network {:?} in {} cannot be used: {error}", found.name, found.file);
                exposition.add_unusable(&found);
            }
        }
    }
    Ok(exposition.text(network))
}

/// The metrics of networks, one after the other, for whoever opens them.
pub(crate) struct Exposition {
    families: Families,
    only: Option<MetricsPart>,
    /// What libcni knows of this node's containers.
    containers: Containers,
    /// Where the calls of the networks are counted, each place once: they may share it.
    counts: BTreeSet<PathBuf>,
}

impl Exposition {
    pub(crate) fn begin(only: Option<MetricsPart>, cache: &CacheArgs) -> Self {
        let mut begun =
            Self { families: Families::default(), only, containers: Containers::default(), counts: BTreeSet::new() };
        if begun.tells(MetricsPart::Node) {
            match cache.read() {
                Ok(known) => begun.containers = known,
                Err(error) => tracing::warn!("which addresses have leaked is not known: {}", error.message()),
            }
        }
        begun
    }

    fn tells(&self, part: MetricsPart) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    /// With what a network has to tell. Waits for its store, and never fails.
    pub(crate) async fn add(&mut self, opened: &Opened) {
        self.counts.extend(counts_dir(&opened.netconf));
        if self.tells(MetricsPart::Node) {
            node::add_certificates(&mut self.families, opened);
            node::add_shadows(&mut self.families, opened);
            node::add_leaks(&mut self.families, opened, &self.containers).await;
        }
        let whose = match &opened.base.store {
            StoreConfig::Embedded { .. } => MetricsPart::Node,
            StoreConfig::Etcd(_) => MetricsPart::Shared,
        };
        if self.tells(whose) {
            stores::add_ranges(&mut self.families, opened).await;
            stores::add_etcd(&mut self.families, opened).await;
        }
    }

    /// With a network that cannot be opened. Where it keeps its addresses is not known, so that every part tells of it.
    pub(crate) fn add_unusable(&mut self, network: &FoundNetwork) {
        let netconf = NetConf::parse(&network.configuration);
        self.counts.extend(netconf.ok().as_ref().and_then(counts_dir));
        stores::add_down(&mut self.families, &network.name);
    }

    /// The text that Prometheus reads, with the calls of the networks that were asked for.
    pub(crate) fn text(mut self, asked: &NetworkArgs) -> String {
        if self.tells(MetricsPart::Node) {
            node::add_build(&mut self.families);
            node::add_calls(&mut self.families, asked, &self.counts);
        }
        self.families.text()
    }
}

/// Written beside and renamed: a collector sees the former file or this one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Collectors run as another user.
    Replacement { mode: 0o644, survives: Survives::Kill, turn: Turn::Anybodys }
        .put(directory, name, |file| file.write_all(text.as_bytes()))
}
