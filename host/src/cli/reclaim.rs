//! `kube-ipam reclaim`: release the addresses of pods that are gone and never got a DEL.
//!
//! A leak is what is older than the grace period and found gone twice, in two complete lists of the API server some
//! time apart. What is released is the claim as it was read before the first of them; whatever changed since stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::network::Opened;
use super::output::{Done, Output, table};
use super::{Format, NetworkArgs};
use crate::config::Network;
use crate::ipam::{Claim, PodName};
use crate::kubernetes::{ApiServer, Fate, Inventory};
use crate::plugin;
use crate::store::Standing;
use crate::verbs;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Say what would be released, and release nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave allocations alone that are younger than this
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
    /// The store said no.
    Failed(String),
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Report {
    claims: usize,
    /// Not a pod's: nobody can be asked about them.
    without_pod: usize,
    leaks: Vec<Leak>,
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
    Ok(Output { text, exit: u8::from(failed) })
}

/// The API server that a command asks about the whole cluster.
pub(super) fn server(kubeconfig: Option<&Path>, opened: &Opened) -> Result<ApiServer, Box<dyn std::error::Error>> {
    if let Some(kubeconfig) = kubeconfig {
        return Ok(ApiServer::of_kubeconfig(kubeconfig));
    }
    if let Some(server) = ApiServer::of_service_account() {
        return Ok(server);
    }
    let configured = Network::kubernetes(&opened.netconf).map_err(verbs::Error::from)?;
    match configured {
        Some(kubernetes) => Ok(ApiServer::of_kubeconfig(&kubernetes.kubeconfig)),
        None => Err("there is no API server to ask: pass --kubeconfig FILE, or set ipam.kubeConfig".into()),
    }
}

/// Allocations are read before pods: the pod of every live allocation is older than the allocation.
async fn run(options: &Options, opened: &Opened, server: &ApiServer) -> Result<Report, verbs::Error> {
    let standing = opened.store.claims(&opened.base.network).await?;
    let without_pod = standing.iter().filter(|standing| standing.claim().pod.is_none()).count();
    let claims = standing.len();
    let mut suspects: Vec<(Standing, String)> = Vec::new();
    if standing.iter().any(|standing| is_candidate(standing.claim(), options)) {
        let inventory = server.inventory().await?;
        let old = standing.into_iter().filter(|standing| is_candidate(standing.claim(), options));
        suspects = gone(old, &inventory);
    }
    if !options.dry_run && !suspects.is_empty() {
        tokio::time::sleep(Duration::try_from(options.pause).unwrap_or_default()).await;
        suspects = gone(suspects.into_iter().map(|(standing, _)| standing), &server.inventory().await?);
    }
    let mut leaks = Vec::new();
    for (standing, why) in suspects {
        let outcome = if options.dry_run { Outcome::Found } else { release(opened, &standing, &why).await };
        leaks.push(Leak { claim: standing.claim().clone(), why, outcome });
    }
    Ok(Report { claims, without_pod, leaks })
}

fn is_candidate(claim: &Claim, options: &Options) -> bool {
    let age = Timestamp::now().duration_since(claim.since);
    claim.pod.is_some() && age >= options.grace && options.node.as_ref().is_none_or(|node| *node == claim.node)
}

/// Those whose pod is gone, with the reason.
fn gone(standing: impl Iterator<Item = Standing>, inventory: &Inventory) -> Vec<(Standing, String)> {
    let fate = |pod: Option<&PodName>| pod.map_or(Fate::Unknowable, |pod| inventory.fate(pod));
    let judged = standing.filter_map(|standing| match fate(standing.claim().pod.as_ref()) {
        Fate::Gone(why) => Some((standing, why)),
        Fate::Alive | Fate::Unknowable => None,
    });
    judged.collect()
}

async fn release(opened: &Opened, judged: &Standing, why: &str) -> Outcome {
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

fn text(report: &Report, options: &Options) -> String {
    let count = |outcome: &Outcome| report.leaks.iter().filter(|leak| leak.outcome == *outcome).count();
    let leaks = report.leaks.len();
    let done = match options.dry_run {
        true => format!("{leaks} of {} claims would be released", report.claims),
        false => format!("{} of {} claims released", count(&Outcome::Released), report.claims),
    };
    let unjudged = match report.without_pod {
        0 => String::new(),
        count => format!("; {count} are no pod's and were not judged"),
    };
    if report.leaks.is_empty() {
        return done + &unjudged;
    }
    let rows = report.leaks.iter().map(row);
    table(&["ADDRESSES", "CONTAINER", "NODE", "SINCE", "WHY", "OUTCOME"], rows) + "\n" + &done + &unjudged
}

fn row(leak: &Leak) -> Vec<String> {
    let addresses: Vec<_> = leak.claim.addresses().map(|address| address.to_string()).collect();
    let outcome = match &leak.outcome {
        Outcome::Found => "would be released".to_owned(),
        Outcome::Released => "released".to_owned(),
        Outcome::Changed => "left: its claim changed".to_owned(),
        Outcome::Failed(why) => format!("failed: {why}"),
    };
    let Claim { attachment, node, since, .. } = &leak.claim;
    let container: String = attachment.container.chars().take(12).collect();
    vec![addresses.join(","), container, node.clone(), since.to_string(), leak.why.clone(), outcome]
}
