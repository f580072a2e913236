//! `kube-ipam reclaim`: release the addresses of pods that are gone and never got a DEL.
//!
//! A leak is a claim that is older than the grace period and whose pod is missing from two complete lists of the API server
//! some time apart. It is released as it was read before the first list: a claim that has changed since stays. Only claims
//! of the cluster that is asked are judged, and nothing is released where the result looks like a mistake.

mod sight;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::network::{NetworkArgs, Opened};
use super::output::{Done, Format, Output, counted, table};
use crate::runtime;
use crate::verbs;
use cluster::{ApiServer, Fate, Inventory};
use ipam::Claim;
use sight::{Balance, Sight, is_ours};
use store::StandingClaim;

#[derive(Args, Debug)]
pub(crate) struct ReclaimOptions {
    /// Show what would be released, and release nothing
    #[arg(long)]
    dry_run: bool,
    /// Skip allocations that are younger than this
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    grace: SignedDuration,
    /// How long to wait before looking a second time
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pause: SignedDuration,
    /// Only allocations of this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Kubeconfig of the API server to ask. Default: the service account inside a pod, ipam.kubeConfig elsewhere
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Release even if the result looks like a mistake: unknown nodes, or very many leaks at once
    #[arg(long)]
    force: bool,
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
    /// It would have been released without `--dry-run`.
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
struct ReclaimReport {
    network: String,
    #[serde(flatten)]
    sight: Sight,
    leaks: Vec<Leak>,
    /// Why nothing is released without `--force`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(crate) fn reclaim(options: &ReclaimOptions, network: &NetworkArgs, format: Format) -> Done {
    let mut reports = Vec::new();
    for opened in network.write_each()? {
        let server = opened.api_server(options.kubeconfig.as_deref())?;
        reports.push(runtime::block_on(run(options, &opened, &server))?);
    }
    let exit = u8::from(reports.iter().any(ReclaimReport::is_bad_news));
    let text = match format {
        // What a script reads depends on what it asked for, not on how many networks there happen to be.
        Format::Json if network.asks_for_several() => serde_json::to_string_pretty(&reports)?,
        Format::Json => serde_json::to_string_pretty(&reports[0])?,
        Format::Table => {
            let several = reports.len() > 1;
            reports.iter().map(|report| render(report, options, several)).collect::<Vec<_>>().join("\n")
        }
    };
    Ok(Output { text, exit })
}

impl ReclaimReport {
    fn is_bad_news(&self) -> bool {
        self.refused.is_some() || self.leaks.iter().any(|leak| matches!(leak.outcome, ReclaimOutcome::Failed(_)))
    }
}

/// Claims are read before pods. A pod exists before its claim is made, so that a later list of pods has the pod of every
/// claim that is not leaked.
async fn run(options: &ReclaimOptions, opened: &Opened, server: &ApiServer) -> Result<ReclaimReport, verbs::Error> {
    let standing = opened.store.claims(&opened.base.network).await?;
    let home = opened.home(server).await?;
    let sight = Sight::of(standing.iter().map(StandingClaim::claim), &home);
    let ours: Vec<StandingClaim> = standing.into_iter().filter(|standing| is_ours(standing.claim(), &home)).collect();
    let mut refused = sight.doubt();
    let candidates: Vec<StandingClaim> =
        ours.iter().filter(|standing| is_candidate(standing.claim(), options)).cloned().collect();
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
    let releases = refused.is_none() && !options.dry_run;
    if releases && !suspects.is_empty() {
        tokio::time::sleep(Duration::try_from(options.pause).unwrap_or_default()).await;
        let suspected = suspects.into_iter().map(|(standing, _)| standing);
        suspects = gone(suspected, &server.inventory().await?);
    }
    let mut leaks = Vec::new();
    for (standing, why) in suspects {
        let outcome = if releases {
            release(opened, &standing, &why).await
        } else if refused.is_some() {
            ReclaimOutcome::Refused
        } else {
            ReclaimOutcome::Found
        };
        leaks.push(Leak { claim: standing.claim().clone(), why, outcome });
    }
    Ok(ReclaimReport { network: opened.base.network.clone(), sight, leaks, refused })
}

fn is_candidate(claim: &Claim, options: &ReclaimOptions) -> bool {
    let age = Timestamp::now().duration_since(claim.since);
    claim.pod.is_some() && age >= options.grace && options.node.as_ref().is_none_or(|node| *node == claim.node)
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

async fn release(opened: &Opened, judged: &StandingClaim, why: &str) -> ReclaimOutcome {
    match opened.store.reclaim(judged, Timestamp::now()).await {
        Ok(true) => {
            let addresses: Vec<_> = judged.claim().addresses().collect();
            tracing::info!(?addresses, from = %judged.claim().attachment, why, "reclaimed");
            ReclaimOutcome::Released
        }
        Ok(false) => ReclaimOutcome::Changed,
        Err(error) => ReclaimOutcome::Failed(error.to_string()),
    }
}

fn render(report: &ReclaimReport, options: &ReclaimOptions, several: bool) -> String {
    let claims = counted(report.sight.claims, "claim");
    let released = report.leaks.iter().filter(|leak| leak.outcome == ReclaimOutcome::Released).count();
    let mut text = if options.dry_run {
        format!("{} of {claims} would be released", report.leaks.len())
    } else {
        format!("{released} of {claims} released")
    };
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
    if let Some(why) = &report.refused {
        text.push_str(&format!(
            "\nrefused: {why}\nhint: check that the kubeconfig leads to the cluster of these claims (--kubeconfig, \
             ipam.cluster); --force releases them anyway"
        ));
    }
    if report.leaks.is_empty() {
        return text;
    }
    table(&["ADDRESSES", "CONTAINER", "NODE", "SINCE", "WHY", "OUTCOME"], report.leaks.iter().map(row)) + "\n" + &text
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
