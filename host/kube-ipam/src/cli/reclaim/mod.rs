//! `kube-ipam reclaim`: release the addresses of pods that are gone and never got a DEL.
//!
//! A leak is what is older than the grace period and found gone twice, in two complete lists of the API server some
//! time apart. What is released is the claim as it was read before the first of them; whatever changed since stays.
//! Only claims of the cluster that is asked are judged, and where what is seen looks like a mistake nothing is released.

mod sight;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::network::Opened;
use super::output::{CommandError, Done, Output, counted, table};
use super::{Format, NetworkArgs};
use crate::config::Network;
use crate::plugin;
use crate::verbs;
use cluster::{ApiServer, Fate, Inventory};
use cni::Fail;
use ipam::Claim;
use sight::{Balance, Sight, is_ours};
use store::StandingClaim;

#[derive(Args, Debug)]
pub(crate) struct Options {
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
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Only asked about.
    Found,
    /// Released.
    Released,
    /// Its claim changed while we looked.
    Changed,
    /// Nothing is released, see `refused` of the report.
    Refused,
    /// The store said no.
    Failed(String),
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct ReclaimReport {
    #[serde(flatten)]
    sight: Sight,
    leaks: Vec<Leak>,
    /// Why nothing is released without `--force`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(crate) fn reclaim(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    let opened = network.open()?;
    let server = server(options.kubeconfig.as_deref(), &opened)?;
    let report = plugin::block_on(run(options, &opened, &server))?;
    let failed = report.leaks.iter().any(|leak| matches!(leak.outcome, Outcome::Failed(_)));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&report)?,
        Format::Table => text(&report, options),
    };
    Ok(Output { text, exit: u8::from(failed || report.refused.is_some()) })
}

#[derive(Debug, thiserror::Error)]
#[error("there is no API server to ask")]
struct NoServer;

impl Fail for NoServer {
    fn hint(&self) -> Option<String> {
        Some("pass --kubeconfig FILE, or set ipam.kubeConfig".to_owned())
    }
}

/// The API server that a command asks about the whole cluster.
pub(super) fn server(kubeconfig: Option<&Path>, opened: &Opened) -> Result<ApiServer, CommandError> {
    if let Some(kubeconfig) = kubeconfig {
        return Ok(ApiServer::of_kubeconfig(kubeconfig));
    }
    if let Some(server) = ApiServer::of_service_account() {
        return Ok(server);
    }
    let configured = Network::kubernetes(&opened.netconf)?.ok_or(NoServer)?;
    Ok(ApiServer::of_kubeconfig(&configured.kubeconfig))
}

/// Allocations are read before pods: the pod of every live allocation is older than the allocation.
async fn run(options: &Options, opened: &Opened, server: &ApiServer) -> Result<ReclaimReport, verbs::Error> {
    let standing = opened.store.claims(&opened.base.network).await?;
    let home = opened.home(server).await?;
    let sight = Sight::of(standing.iter().map(StandingClaim::claim), &home);
    let ours: Vec<StandingClaim> = standing.into_iter().filter(|standing| is_ours(standing.claim(), &home)).collect();
    let mut doubt = sight.doubt();
    let mut suspects: Vec<(StandingClaim, String)> = Vec::new();
    if ours.iter().any(|standing| is_candidate(standing.claim(), options)) {
        let inventory = server.inventory().await?;
        let old = ours.iter().filter(|standing| is_candidate(standing.claim(), options)).cloned();
        suspects = gone(old, &inventory);
        let going = suspects.iter().map(|(standing, _)| standing.claim());
        let balance = Balance::of(ours.iter().map(StandingClaim::claim), going, &inventory);
        doubt = doubt.or_else(|| balance.doubt().filter(|_| !suspects.is_empty()));
    }
    let refused = doubt.filter(|_| !options.force);
    let releases = refused.is_none() && !options.dry_run;
    if releases && !suspects.is_empty() {
        tokio::time::sleep(Duration::try_from(options.pause).unwrap_or_default()).await;
        suspects = gone(suspects.into_iter().map(|(standing, _)| standing), &server.inventory().await?);
    }
    let mut leaks = Vec::new();
    for (standing, why) in suspects {
        let outcome = if releases {
            release(opened, &standing, &why).await
        } else if refused.is_some() {
            Outcome::Refused
        } else {
            Outcome::Found
        };
        leaks.push(Leak { claim: standing.claim().clone(), why, outcome });
    }
    Ok(ReclaimReport { sight, leaks, refused })
}

fn is_candidate(claim: &Claim, options: &Options) -> bool {
    let age = Timestamp::now().duration_since(claim.since);
    claim.pod.is_some() && age >= options.grace && options.node.as_ref().is_none_or(|node| *node == claim.node)
}

/// Those whose pod is gone, with the reason. A pod that is finished is found so twice, and had time for its DEL.
fn gone(standing: impl Iterator<Item = StandingClaim>, inventory: &Inventory) -> Vec<(StandingClaim, String)> {
    let mut gone = Vec::new();
    for standing in standing {
        let Some(pod) = &standing.claim().pod else { continue };
        if let Fate::Gone(why) | Fate::Finished(why) = inventory.fate(pod) {
            gone.push((standing, why));
        }
    }
    gone
}

async fn release(opened: &Opened, judged: &StandingClaim, why: &str) -> Outcome {
    match opened.store.reclaim(judged, Timestamp::now()).await {
        Ok(true) => {
            let addresses: Vec<_> = judged.claim().addresses().collect();
            tracing::info!(?addresses, from = %judged.claim().attachment, why, "reclaimed");
            Outcome::Released
        }
        Ok(false) => Outcome::Changed,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

fn text(report: &ReclaimReport, options: &Options) -> String {
    let claims = counted(report.sight.claims, "claim");
    let released = report.leaks.iter().filter(|leak| leak.outcome == Outcome::Released).count();
    let mut text = if options.dry_run {
        format!("{} of {claims} would be released", report.leaks.len())
    } else {
        format!("{released} of {claims} released")
    };
    match report.sight.without_pod {
        0 => {}
        1 => text.push_str("; skipped 1 that belongs to no pod"),
        count => text.push_str(&format!("; skipped {count} that belong to no pod")),
    }
    match report.sight.elsewhere {
        0 => {}
        1 => text.push_str("; 1 belongs to another cluster, or to an unknown one, and was not judged"),
        count => {
            text.push_str(&format!("; {count} belong to another cluster, or to an unknown one, and were not judged"))
        }
    }
    if let Some(why) = &report.refused {
        text.push_str(&format!(
            "\nrefused: {why}\nhint: check that the kubeconfig leads to the cluster of these claims ("
        ));
        text.push_str("--kubeconfig, ipam.cluster); --force releases them anyway");
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
        Outcome::Found => "would be released".to_owned(),
        Outcome::Released => "released".to_owned(),
        Outcome::Changed => "left: its claim changed".to_owned(),
        Outcome::Refused => "left".to_owned(),
        Outcome::Failed(why) => format!("failed: {why}"),
    };
    let Claim { attachment, node, since, .. } = &leak.claim;
    let container: String = attachment.container.chars().take(12).collect();
    vec![addresses.join(","), container, node.clone(), since.to_string(), leak.why.clone(), outcome]
}
