//! `kube-ipam fsck`: compares the records with each other, with the containers of this node or with the pods of the
//! cluster, and repairs what can be repaired.

mod containers;
mod inconsistency;
mod pods;

use std::path::PathBuf;

use clap::Args;

use super::agree::agreed_to;
use super::cache::CacheArgs;
use super::network::{NetworkArgs, Opened};
use super::operator::{Act, ActArgs};
use super::output::{CommandError, Done, Format, Output};
use crate::containers::Containers;
use crate::journal::history::What;
use crate::runtime;
use crate::verbs;
use cni::Fail;
use inconsistency::{Inconsistency, RepairOutcome, report};
use ipam::RangeSets;
use store::{InUse, Repair, Repaired, Store};

pub(crate) use containers::{Compared, compare, is_gone_by_libcni, rebuild};

#[derive(Args, Debug)]
pub(crate) struct FsckOptions {
    /// Repair the inconsistencies found, after showing the plan
    #[arg(long)]
    repair: bool,
    /// Repair without asking
    #[arg(long, requires = "repair")]
    yes: bool,
    /// Show what --repair would do, and change nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
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
    #[command(flatten)]
    act: ActArgs,
}

pub(crate) fn fsck(options: &FsckOptions, network: &NetworkArgs, format: Format) -> Done {
    // Containers and pods belong to a network; records agree or disagree with those of every network of their store.
    let by_network = options.containers || options.pods;
    let networks = match (by_network, options.repair) {
        (true, true) => network.write_each()?,
        (true, false) => network.read_each()?,
        (false, true) => network.write_books()?,
        (false, false) => network.read_books()?,
    };
    let several = networks.len() > 1;
    let (mut findings, mut consistent) = (Vec::new(), Vec::new());
    for opened in networks {
        let (mut found, praise) = fsck_of(options, &opened)?;
        if several {
            found.iter_mut().for_each(|finding| finding.network = Some(opened.base.network.clone()));
        }
        if found.is_empty() {
            consistent.push(if several { format!("network {}: {praise}", opened.base.network) } else { praise });
        }
        findings.extend(found);
    }
    let exit = u8::from(findings.iter().any(|finding| !finding.is_done()));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&findings)?,
        Format::Table if findings.is_empty() => consistent.join("\n"),
        Format::Table => report(&findings, options.repair && !options.dry_run),
    };
    Ok(Output { text, exit })
}

/// The findings about one network, and the sentence to print where there are none.
fn fsck_of(options: &FsckOptions, opened: &Opened) -> Result<(Vec<Inconsistency>, String), CommandError> {
    if options.containers {
        let containers = options.cache.read_known()?;
        let compared = runtime::block_on(run_on_containers(options, opened, &containers))?;
        return Ok((compared.findings, compared.praise));
    }
    if options.pods {
        let server = opened.api_server(options.kubeconfig.as_deref())?;
        return Ok(runtime::block_on(pods::run(opened, &server, options.cache.grace))?);
    }
    let range_sets = opened.range_sets().unwrap_or_else(|error| {
        tracing::warn!("the ranges cannot be read, so claims are restored without a gateway: {error}");
        RangeSets::default()
    });
    let findings = runtime::block_on(run(options, opened, &range_sets, &in_use(options)))?;
    Ok((findings, "all records are consistent".to_owned()))
}

/// The addresses that containers of this node use: a repair takes none of those away. Where libcni's cache cannot be read,
/// the records alone decide.
fn in_use(options: &FsckOptions) -> InUse {
    match options.cache.read() {
        Ok(containers) => containers.in_use(),
        Err(error) => {
            tracing::warn!("cannot tell which containers run here: {}", error.message());
            InUse::new()
        }
    }
}

/// Finds what is inconsistent, shows the plan, asks, and writes what is missing.
async fn run_on_containers(
    options: &FsckOptions,
    opened: &Opened,
    containers: &Containers,
) -> Result<Compared, verbs::Error> {
    let mut compared = compare(opened, containers).await?;
    if is_wanted(options, &compared.findings) {
        compared.carry_out(options.act.begin(opened), opened, containers).await?;
    }
    Ok(compared)
}

/// Finds what is inconsistent, shows the plan, asks, and repairs.
async fn run(
    options: &FsckOptions,
    opened: &Opened,
    range_sets: &RangeSets,
    in_use: &InUse,
) -> Result<Vec<Inconsistency>, verbs::Error> {
    let repairs = opened.store.plan_repairs(range_sets, in_use).await?;
    let mut findings: Vec<Inconsistency> = repairs.iter().map(|repair| found(repair, options)).collect();
    if is_wanted(options, &findings) {
        carry_out(options.act.begin(opened), &opened.store, &repairs, &mut findings).await?;
    }
    Ok(findings)
}

/// Whether there is something to repair and the operator wants it repaired.
fn is_wanted(options: &FsckOptions, findings: &[Inconsistency]) -> bool {
    if !options.repair || options.dry_run || !findings.iter().any(|finding| finding.outcome == RepairOutcome::Found) {
        return false;
    }
    options.yes || agreed_to(&report(findings, true))
}

fn found(repair: &Repair, options: &FsckOptions) -> Inconsistency {
    let mut outcome = RepairOutcome::Found;
    if repair.is_left {
        outcome = RepairOutcome::Left;
    } else if repair.discards && !options.discard {
        outcome = RepairOutcome::NeedsDiscard;
    }
    let problems = repair.disagreements.iter().map(ToString::to_string).collect();
    Inconsistency { network: None, problems, remedy: repair.remedy.clone(), outcome }
}

async fn carry_out(
    mut act: Act<'_>,
    store: &Store,
    repairs: &[Repair],
    findings: &mut [Inconsistency],
) -> Result<(), verbs::Error> {
    for (repair, finding) in repairs.iter().zip(findings) {
        if finding.outcome == RepairOutcome::Found {
            finding.outcome = match store.repair(repair).await? {
                Repaired::Done => {
                    let found = format!("{}: {}", finding.problems.join("; "), repair.remedy);
                    let addresses = repair.addresses().iter().map(ToString::to_string).collect();
                    act.on_addresses(What::Repaired, addresses, Some(&found));
                    RepairOutcome::Repaired
                }
                Repaired::Changed => RepairOutcome::Changed,
            };
        }
    }
    Ok(())
}
