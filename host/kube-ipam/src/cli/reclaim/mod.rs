//! `kube-ipam reclaim`: release the addresses of pods that are gone and never got a DEL.
//!
//! A leak is a claim that is older than the grace period and whose pod is missing from two complete lists of the API server
//! some time apart. It is released as it was read before the first list: a claim that has changed since stays. Only claims
//! of the cluster that is asked are judged, and nothing is released where the result looks like a mistake.

mod sight;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::agree::agreed_to;
use super::network::{NetworkArgs, Opened};
use super::operator::ActArgs;
use super::output::{CommandError, Done, Format, Output, counted, table};
use crate::config::{Base, Network};
use crate::journal::history::What;
use crate::runtime;
use crate::verbs;
use cluster::{ApiServer, Fate, Inventory};
use ipam::Claim;
use sight::{Balance, Sight, is_ours};
use store::{StandingClaim, Store, StoreConfig};

#[derive(Args, Debug)]
pub struct ReclaimOptions {
    /// Release without asking
    #[arg(long)]
    pub yes: bool,
    /// Show what would be released, and release nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Skip allocations that are younger than this
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    pub grace: SignedDuration,
    /// How long to wait before looking a second time
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub pause: SignedDuration,
    /// Only allocations of this node
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Kubeconfig of the API server to ask. Default: the service account inside a pod, ipam.kubeConfig elsewhere
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Release even if the result looks like a mistake: unknown nodes, or very many leaks at once
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub act: ActArgs,
}

/// A leak, and what became of it.
#[derive(Debug, Serialize)]
struct Leak {
    #[serde(flatten)]
    claim: Claim,
    why: String,
    outcome: ReclaimOutcome,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ReclaimOutcome {
    /// It could be released, and nobody said so: by `--yes`, by an answer, or by leaving out `--dry-run`.
    Found,
    Released,
    /// Not released, because its claim changed after it was read.
    Changed,
    /// Nothing is released at all; `refused` of the report says why.
    Refused,
    /// The store could not release it.
    Failed(String),
}

#[derive(Debug, Serialize)]
pub struct ReclaimReport {
    network: String,
    #[serde(flatten)]
    sight: Sight,
    kept: KeptClaims,
    leaks: Vec<Leak>,
    /// Why nothing is released without `--force`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Claims that are not released, counted by why not. Whatever belongs to no pod or to another cluster is counted by [`Sight`].
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeptClaims {
    /// Younger than the grace period.
    young: usize,
    /// Of another node than the one that was asked for.
    other_nodes: usize,
    /// Their pods exist.
    pods: usize,
}

const HEADER: [&str; 6] = ["ADDRESSES", "CONTAINER", "NODE", "SINCE", "WHY", "OUTCOME"];

pub(crate) fn reclaim(options: &ReclaimOptions, network: &NetworkArgs, format: Format) -> Done {
    if network.all && has_no_files(network.path()) {
        let text = match format {
            Format::Json => "[]".to_owned(),
            Format::Table => format!("no network in {}: nothing to reclaim", network.path().display()),
        };
        return Ok(Output::text(text));
    }
    let networks = network.write_each()?;
    let several = networks.len() > 1;
    let (mut reports, mut lines, mut has_failed) = (Vec::new(), Vec::new(), false);
    for opened in networks {
        if several && is_of_other_machines(&opened) {
            let name = &opened.base.network;
            lines.push(format!("network {name} keeps its addresses on its nodes, and each of them releases its own"));
            continue;
        }
        match reclaim_network(options, &opened) {
            Ok(report) => reports.push(report),
            Err(error) if !several => return Err(error),
            // One store that does not answer must not keep the others from being looked after.
            Err(error) => {
                tracing::error!("network {}: {error}", opened.base.network);
                has_failed = true;
            }
        }
    }
    let is_open = !options.dry_run && reports.iter().any(ReclaimReport::is_open);
    let exit = u8::from(has_failed || is_open || reports.iter().any(ReclaimReport::is_bad_news));
    let text = match format {
        // What a script reads depends on what it asked for, not on how many networks there happen to be; only two files
        // with networks of one name are a surprise.
        Format::Json if several || network.asks_for_several() => serde_json::to_string_pretty(&reports)?,
        Format::Json => serde_json::to_string_pretty(&reports[0])?,
        Format::Table => {
            lines.extend(reports.iter().map(|report| render(report, options, several)));
            lines.join("\n")
        }
    };
    Ok(Output { text, exit })
}

/// Whether there is no network to look after, as before the first one is installed in a cluster. An empty file is a network
/// that is taken off the nodes.
fn has_no_files(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    for entry in entries.flatten() {
        if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0) {
            return false;
        }
    }
    true
}

/// Whether a network keeps its addresses on the disk of each node, and this is none of them.
fn is_of_other_machines(opened: &Opened) -> bool {
    matches!(&opened.base.store, StoreConfig::Embedded { dir } if !dir.exists())
}

fn reclaim_network(options: &ReclaimOptions, opened: &Opened) -> Result<ReclaimReport, CommandError> {
    let server = opened.api_server(options.kubeconfig.as_deref())?;
    let cluster = Network::cluster(&opened.netconf)?;
    let report = runtime::block_on(reclaim_in(options, &opened.base, &opened.store, cluster.as_deref(), &server))?;
    let mut act = options.act.begin(opened);
    for leak in report.leaks.iter().filter(|leak| leak.outcome == ReclaimOutcome::Released) {
        act.on_claim(What::Reclaimed, &leak.claim, Some(&leak.why));
    }
    Ok(report)
}

impl ReclaimReport {
    /// Whether something could still be released.
    fn is_open(&self) -> bool {
        self.leaks.iter().any(|leak| leak.outcome == ReclaimOutcome::Found)
    }

    fn is_bad_news(&self) -> bool {
        self.refused.is_some() || self.leaks.iter().any(|leak| matches!(leak.outcome, ReclaimOutcome::Failed(_)))
    }
}

/// Claims are read before pods. A pod exists before its claim is made, so that a later list of pods has the pod of every
/// claim that is not leaked.
///
/// `cluster` is what the configuration calls the cluster, if it gives it a name.
pub async fn reclaim_in(
    options: &ReclaimOptions,
    base: &Base,
    store: &Store,
    cluster: Option<&str>,
    server: &ApiServer,
) -> Result<ReclaimReport, verbs::Error> {
    let standing = store.claims(&base.network).await?;
    let home = server.home(cluster, matches!(base.store, StoreConfig::Embedded { .. })).await?;
    let sight = Sight::of(standing.iter().map(StandingClaim::claim), &home);
    let ours: Vec<StandingClaim> = standing.into_iter().filter(|standing| is_ours(standing.claim(), &home)).collect();
    let mut refused = sight.doubt();
    let mut kept = KeptClaims::default();
    let mut candidates: Vec<StandingClaim> = Vec::new();
    for standing in &ours {
        let claim = standing.claim();
        if options.node.as_ref().is_some_and(|node| *node != claim.node) {
            kept.other_nodes += 1;
        } else if Timestamp::now().duration_since(claim.since) < options.grace {
            kept.young += 1;
        } else {
            candidates.push(standing.clone());
        }
    }
    let judged = candidates.len();
    let mut suspects: Vec<(StandingClaim, String)> = Vec::new();
    // A list of all pods is expensive for the API server, so it is asked for one only if there is something to judge.
    if !candidates.is_empty() {
        let inventory = server.inventory().await?;
        suspects = gone(candidates, &inventory);
        if refused.is_none() && !suspects.is_empty() {
            let going = suspects.iter().map(|(standing, _)| standing.claim());
            refused = Balance::of(ours.iter().map(StandingClaim::claim), going, &inventory).doubt();
        }
    }
    if options.force {
        refused = None;
    }
    let mut releases = refused.is_none() && !options.dry_run;
    if releases && !suspects.is_empty() && !options.yes {
        releases = agreed_to(&plan(&suspects));
    }
    if releases && !suspects.is_empty() {
        tokio::time::sleep(Duration::try_from(options.pause).unwrap_or_default()).await;
        let suspected = suspects.into_iter().map(|(standing, _)| standing);
        suspects = gone(suspected, &server.inventory().await?);
    }
    kept.pods = judged - suspects.len();
    let mut leaks = Vec::new();
    for (standing, why) in suspects {
        let outcome = if releases {
            release(store, &standing, &why).await
        } else if refused.is_some() {
            ReclaimOutcome::Refused
        } else {
            ReclaimOutcome::Found
        };
        leaks.push(Leak { claim: standing.claim().clone(), why, outcome });
    }
    Ok(ReclaimReport { network: base.network.clone(), sight, kept, leaks, refused })
}

/// The claims whose pod is gone or finished, each with the reason. A finished pod may still wait for its DEL, but it has
/// had the time between the two lists for that.
fn gone(claims: impl IntoIterator<Item = StandingClaim>, inventory: &Inventory) -> Vec<(StandingClaim, String)> {
    let mut gone = Vec::new();
    for standing in claims {
        let Some(pod) = &standing.claim().pod else { continue };
        if let Fate::Gone(why) | Fate::Finished(why) = inventory.fate(pod) {
            gone.push((standing, why));
        }
    }
    gone
}

async fn release(store: &Store, judged: &StandingClaim, why: &str) -> ReclaimOutcome {
    match store.reclaim(judged, Timestamp::now()).await {
        Ok(true) => {
            let addresses: Vec<_> = judged.claim().addresses().collect();
            tracing::info!(?addresses, from = %judged.claim().attachment, why, "reclaimed");
            ReclaimOutcome::Released
        }
        Ok(false) => ReclaimOutcome::Changed,
        Err(error) => ReclaimOutcome::Failed(error.to_string()),
    }
}

/// The question before anything is released.
fn plan(suspects: &[(StandingClaim, String)]) -> String {
    let mut rows = Vec::new();
    for (standing, why) in suspects {
        let leak = Leak { claim: standing.claim().clone(), why: why.clone(), outcome: ReclaimOutcome::Found };
        rows.push(row(&leak));
    }
    table(&HEADER, rows)
}

fn render(report: &ReclaimReport, options: &ReclaimOptions, several: bool) -> String {
    let claims = counted(report.sight.claims, "claim");
    let released = report.leaks.iter().filter(|leak| leak.outcome == ReclaimOutcome::Released).count();
    let mut text = if options.dry_run {
        format!("{} of {claims} would be released", report.leaks.len())
    } else {
        format!("{released} of {claims} released")
    };
    if !options.dry_run && report.is_open() {
        text.push_str("; --yes releases the rest");
    }
    if several {
        text.insert_str(0, &format!("network {}: ", report.network));
    }
    match report.sight.without_pod {
        0 => {}
        1 => text.push_str("; skipped 1 that belongs to no pod"),
        count => text.push_str(&format!("; skipped {count} that belong to no pod")),
    }
    match report.sight.elsewhere {
        0 => {}
        1 => text.push_str("; 1 belongs to another cluster, or to an unknown one, and was not judged"),
        count => {
            text.push_str(&format!("; {count} belong to another cluster, or to an unknown one, and were not judged"));
        }
    }
    text.push_str(&kept_text(&report.kept, options));
    if let Some(why) = &report.refused {
        text.push_str(&format!(
            "\nrefused: {why}\nhint: check that the kubeconfig leads to the cluster of these claims (--kubeconfig, \
             ipam.cluster); --force releases them anyway"
        ));
    }
    if report.leaks.is_empty() {
        return text;
    }
    table(&HEADER, report.leaks.iter().map(row)) + "\n" + &text
}

fn kept_text(kept: &KeptClaims, options: &ReclaimOptions) -> String {
    let mut text = String::new();
    let node = options.node.as_deref().unwrap_or_default();
    for (count, why) in [
        (kept.pods, "whose pod exists".to_owned()),
        (kept.young, format!("younger than {:#} (--grace)", options.grace)),
        (kept.other_nodes, format!("of another node than {node} (--node)")),
    ] {
        if count > 0 {
            text.push_str(&format!("; left {count} {why}"));
        }
    }
    text
}

fn row(leak: &Leak) -> Vec<String> {
    let mut addresses: Vec<_> = leak.claim.addresses().map(|address| address.to_string()).collect();
    addresses.extend(leak.claim.ceded.iter().map(|ceded| format!("({})", ceded.assignment.address)));
    let outcome = match &leak.outcome {
        ReclaimOutcome::Found => "would be released".to_owned(),
        ReclaimOutcome::Released => "released".to_owned(),
        ReclaimOutcome::Changed => "left: its claim changed".to_owned(),
        ReclaimOutcome::Refused => "left".to_owned(),
        ReclaimOutcome::Failed(why) => format!("failed: {why}"),
    };
    let Claim { attachment, node, since, .. } = &leak.claim;
    let container: String = attachment.container.chars().take(12).collect();
    vec![addresses.join(","), container, node.clone(), since.to_string(), leak.why.clone(), outcome]
}
