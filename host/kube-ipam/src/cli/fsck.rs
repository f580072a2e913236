//! `kube-ipam fsck`: do the records agree with each other, with the containers of this node, and with the pods of the
//! cluster? And if not, what repairs them?

mod containers;
mod pods;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::agree::agreed_to;
use super::network::Opened;
use super::output::{CommandError, Done, Output};
use super::{CacheArgs, Format, NetworkArgs};
use crate::plugin;
use crate::verbs;
use cni::Fail;
use ipam::RangeSets;
use ipam::shown::one_line;
use store::{InUse, Repair, Repaired, Store};

pub(crate) use containers::{Compared, compare, is_gone_by_libcni, rebuild};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Repair the inconsistencies found, after showing the plan
    #[arg(long)]
    repair: bool,
    /// Do not ask
    #[arg(long, requires = "repair")]
    yes: bool,
    /// Also delete records that cannot be explained: unreadable addresses that no container claims, and unknown keys
    #[arg(long, requires = "repair", conflicts_with_all = ["containers", "pods"])]
    discard: bool,
    /// Compare the store with the containers on this node (from libcni's cache); --repair restores missing claims
    /// and releases nothing
    #[arg(long, conflicts_with = "pods")]
    containers: bool,
    /// Compare the store with the pods in the cluster (from the API server)
    #[arg(long, conflicts_with = "repair")]
    pods: bool,
    #[command(flatten)]
    cache: CacheArgs,
    /// Kubeconfig of the API server to ask. Default: the service account inside a pod, ipam.kubeConfig elsewhere
    #[arg(long, value_name = "FILE", requires = "pods")]
    kubeconfig: Option<PathBuf>,
}

/// Disagreements that belong together, and what becomes of them.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    problems: Vec<String>,
    remedy: String,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Nothing was asked for.
    Found,
    /// Repaired.
    Repaired,
    /// Its records changed after they were read.
    Changed,
    /// Only deleting repairs it, and that was not asked for.
    NeedsDiscard,
    /// Somebody has to look: a repair would take something from a container that may live.
    Left,
}

impl Finding {
    fn left(problem: String, remedy: impl Into<String>) -> Self {
        Self { problems: vec![problem], remedy: remedy.into(), outcome: Outcome::Left }
    }

    fn is_done(&self) -> bool {
        self.outcome == Outcome::Repaired
    }
}

pub(crate) fn fsck(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    let by_network = options.containers || options.pods;
    let networks = if by_network { network.open_all()? } else { network.open_books()? };
    let several = networks.len() > 1;
    let (mut findings, mut well) = (Vec::new(), Vec::new());
    for opened in networks {
        let (found, says) = fsck_of(options, &opened)?;
        if found.is_empty() {
            well.push(if several { format!("network {}: {says}", opened.base.network) } else { says });
        }
        findings.extend(found);
    }
    let exit = u8::from(findings.iter().any(|finding| !finding.is_done()));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&findings)?,
        Format::Table if findings.is_empty() => well.join("\n"),
        Format::Table => report(&findings, options.repair),
    };
    Ok(Output { text, exit })
}

/// The findings about one network, and what to say where there are none.
fn fsck_of(options: &Options, opened: &Opened) -> Result<(Vec<Finding>, String), CommandError> {
    if options.containers {
        let containers = options.cache.read_known()?;
        let compared = plugin::block_on(containers::run(options, opened, &containers))?;
        return Ok((compared.findings, compared.well));
    }
    if options.pods {
        let server = super::reclaim::server(options.kubeconfig.as_deref(), opened)?;
        return Ok(plugin::block_on(pods::run(opened, &server, options.cache.grace))?);
    }
    let range_sets = opened.range_sets().unwrap_or_else(|error| {
        tracing::warn!("the ranges cannot be read, so claims are restored without a gateway: {error}");
        RangeSets::default()
    });
    let findings = plugin::block_on(run(options, &opened.store, &range_sets, &in_use(options)))?;
    Ok((findings, "all records are consistent".to_owned()))
}

/// What the containers of this node use. Where that cannot be read the records are all there is.
fn in_use(options: &Options) -> InUse {
    match options.cache.read() {
        Ok(containers) => containers.in_use(),
        Err(error) => {
            tracing::warn!("cannot tell which containers run here: {}", error.message());
            InUse::new()
        }
    }
}

/// Find, show, ask, repair.
async fn run(
    options: &Options,
    store: &Store,
    range_sets: &RangeSets,
    in_use: &InUse,
) -> Result<Vec<Finding>, verbs::Error> {
    let repairs = store.plan_repairs(range_sets, in_use).await?;
    let mut findings: Vec<Finding> = repairs.iter().map(|repair| found(repair, options)).collect();
    if is_wanted(options, &findings) {
        carry_out(store, &repairs, &mut findings).await?;
    }
    Ok(findings)
}

/// Whether there is something to do, and it is to be done.
fn is_wanted(options: &Options, findings: &[Finding]) -> bool {
    let any = findings.iter().any(|finding| finding.outcome == Outcome::Found);
    options.repair && any && (options.yes || agreed_to(&report(findings, true)))
}

fn found(repair: &Repair, options: &Options) -> Finding {
    let mut outcome = Outcome::Found;
    if repair.is_left {
        outcome = Outcome::Left;
    } else if repair.discards && !options.discard {
        outcome = Outcome::NeedsDiscard;
    }
    let problems = repair.disagreements.iter().map(ToString::to_string).collect();
    Finding { problems, remedy: repair.remedy.clone(), outcome }
}

async fn carry_out(store: &Store, repairs: &[Repair], findings: &mut [Finding]) -> Result<(), verbs::Error> {
    for (repair, finding) in repairs.iter().zip(findings) {
        if finding.outcome == Outcome::Found {
            finding.outcome = match store.repair(repair).await? {
                Repaired::Done => Outcome::Repaired,
                Repaired::Changed => Outcome::Changed,
            };
        }
    }
    Ok(())
}

fn report(findings: &[Finding], repairing: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        for problem in &finding.problems {
            text.push_str(&format!("✗ {}\n", one_line(problem)));
        }
        let done = match finding.outcome {
            Outcome::Found | Outcome::Left => "",
            Outcome::Repaired => " (done)",
            Outcome::Changed => " (not done: its records have changed in the meantime)",
            Outcome::NeedsDiscard => " (only with --discard)",
        };
        text.push_str(&format!("  → {}{done}\n", one_line(&finding.remedy)));
    }
    text + &conclusion(findings, repairing)
}

fn conclusion(findings: &[Finding], repairing: bool) -> String {
    let total: usize = findings.iter().map(|finding| finding.problems.len()).sum();
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
    let (plural, them) = if total == 1 { ("y", "it") } else { ("ies", "them") };
    let mut text = format!("{total} inconsistenc{plural} found");
    let (repaired, repairs) = (count(Outcome::Repaired), findings.len() - count(Outcome::Left));
    if repaired + count(Outcome::Changed) > 0 {
        text.push_str(&format!(", {repaired} of {repairs} repairs done"));
    }
    match count(Outcome::Left) {
        0 => {}
        left => text.push_str(&format!(", {left} left to you")),
    }
    match (count(Outcome::Found), count(Outcome::Changed)) {
        (1.., _) if repairing => text.push_str("; --yes repairs without asking"),
        (1.., _) => text.push_str(&format!("; run again with --repair to fix {them}")),
        (_, 1..) => text.push_str("; run it again"),
        _ => {}
    }
    text
}
