//! `kube-ipam release`: end one claim, or one hold, by hand.
//!
//! What is released is what was shown, to the byte: whatever changed since stays. What lives is not released, unless the
//! operator says so, and neither is what nobody can judge.

mod life;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::agree::agreed_to;
use super::network::Opened;
use super::output::{CommandError, Done, Output};
use super::{CacheArgs, Format, NetworkArgs, what};
use crate::config::Network;
use crate::containers::Containers;
use crate::plugin;
use crate::verbs;
use cluster::ApiServer;
use cni::Fail;
use ipam::Claim;
use ipam::address::parse_address;
use ipam::shown::joined;
use life::Life;
use store::{Hold, StandingClaim, StandingHold};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// ADDRESS, NAMESPACE/POD or a container ID (or its beginning, if no other container's ID begins so)
    #[arg(value_name = "ADDRESS|NAMESPACE/POD|CONTAINER", required_unless_present = "identity", value_parser = what::named)]
    what: Option<String>,
    /// End every hold for this identity, as `kube-ipam show ADDRESS` names it
    #[arg(long, value_name = "NAME", conflicts_with = "what")]
    identity: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be released, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Release it even if its container or pod still exists, or if that is unknown: make sure that nothing uses the
    /// address
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cache: CacheArgs,
}

/// A claim or a hold that fits, and what becomes of it.
struct Target {
    what: What,
    life: Life,
    outcome: Outcome,
}

enum What {
    Claim(Box<StandingClaim>),
    Hold(Box<StandingHold>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Only asked about, or not agreed to.
    Found,
    /// Released.
    Released,
    /// It lives, or nobody can tell.
    Refused,
    /// It changed after it was shown.
    Changed,
    /// The store said no.
    Failed(String),
}

/// One target for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Hold>,
    life: &'a Life,
    outcome: &'a Outcome,
}

/// Why nothing can be released.
#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error("the ID of more than one container begins with {begins:?}: {}", containers.join(", "))]
    Ambiguous { begins: String, containers: Vec<String> },
}

impl Fail for ReleaseError {}

/// The exit code is 0 where everything that was found is released, or would be.
pub(crate) fn release(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    let opened = network.open()?;
    let containers = options.cache.read()?;
    let kubernetes = Network::kubernetes(&opened.netconf)?;
    let server = kubernetes.map(|kubernetes| ApiServer::of_kubeconfig(&kubernetes.kubeconfig));
    // No error of a verb: the outer result is the event loop's.
    let targets = plugin::block_on(async { Ok(run(options, &opened, &containers, server.as_ref()).await) })??;
    let is_well = |target: &Target| match target.outcome {
        Outcome::Released => true,
        Outcome::Found => options.dry_run,
        Outcome::Refused | Outcome::Changed | Outcome::Failed(_) => false,
    };
    let exit = u8::from(targets.is_empty() || !targets.iter().all(is_well));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&targets.iter().map(Target::row).collect::<Vec<_>>())?,
        Format::Table if targets.is_empty() => nothing(options),
        Format::Table => format!("{}\n{}", plan(&targets), conclusion(options, &targets)),
    };
    Ok(Output { text, exit })
}

/// Find, judge, show, ask, release.
async fn run(
    options: &Options,
    opened: &Opened,
    containers: &Containers,
    server: Option<&ApiServer>,
) -> Result<Vec<Target>, CommandError> {
    let mut targets = find(options, opened).await?;
    if let Some(error) = ambiguous(options, &targets) {
        return Err(error.into());
    }
    judge(options, opened, containers, server, &mut targets).await;
    let any = targets.iter().any(|target| target.outcome == Outcome::Found);
    if any && !options.dry_run && (options.yes || agreed_to(&plan(&targets))) {
        carry_out(opened, &mut targets).await;
    }
    Ok(targets)
}

async fn find(options: &Options, opened: &Opened) -> Result<Vec<Target>, verbs::Error> {
    if let Some(identity) = &options.identity {
        let holds = opened.store.holds_for(identity).await?;
        return Ok(holds.into_iter().map(Target::hold).collect());
    }
    let what = options.what.as_deref().unwrap_or_default();
    let mut targets = Vec::new();
    for standing in opened.store.all_claims().await? {
        if fits(standing.claim(), what) {
            targets.push(Target::claim(standing));
        }
    }
    // An ID that is written out is meant, even where a longer one begins with it.
    if targets.iter().any(|target| target.container() == Some(what)) {
        targets.retain(|target| target.container() == Some(what));
    }
    if let Some(address) = parse_address(what) {
        targets.extend(opened.store.hold_of(address).await?.map(Target::hold));
    }
    Ok(targets)
}

fn fits(claim: &Claim, what: &str) -> bool {
    if let Some(address) = parse_address(what) {
        return claim.addresses().any(|held| held == address);
    }
    match what.split_once('/') {
        Some((namespace, name)) => claim.pod.as_ref().is_some_and(|pod| pod.namespace == namespace && pod.name == name),
        None => claim.attachment.container.starts_with(what),
    }
}

/// The beginning of an ID must mean one container: this is not a search.
fn ambiguous(options: &Options, targets: &[Target]) -> Option<ReleaseError> {
    let begins = options.what.as_ref().filter(|what| parse_address(what).is_none() && !what.contains('/'))?;
    let mut containers: Vec<String> =
        targets.iter().filter_map(|target| target.container()).map(str::to_owned).collect();
    containers.sort();
    containers.dedup();
    (containers.len() > 1).then(|| ReleaseError::Ambiguous { begins: begins.clone(), containers })
}

async fn judge(
    options: &Options,
    opened: &Opened,
    containers: &Containers,
    server: Option<&ApiServer>,
    targets: &mut [Target],
) {
    for target in targets {
        if let What::Claim(standing) = &target.what {
            target.life = life::of(opened, containers, server, standing.claim()).await;
        }
        if !matches!(target.life, Life::Gone { .. }) && !options.force {
            target.outcome = Outcome::Refused;
        }
    }
}

async fn carry_out(opened: &Opened, targets: &mut [Target]) {
    for target in targets.iter_mut().filter(|target| target.outcome == Outcome::Found) {
        let released = match &target.what {
            What::Claim(standing) => opened.store.reclaim(standing, Timestamp::now()).await,
            What::Hold(hold) => opened.store.end_hold(hold).await,
        };
        target.outcome = match released {
            Ok(true) => {
                tracing::info!(what = target.describe(), "released by hand");
                Outcome::Released
            }
            Ok(false) => Outcome::Changed,
            Err(error) => Outcome::Failed(joined(&error)),
        };
    }
}

impl Target {
    fn claim(standing: StandingClaim) -> Self {
        let life = Life::Unknown { why: Vec::new() };
        Self { what: What::Claim(Box::new(standing)), life, outcome: Outcome::Found }
    }

    /// Nobody lives behind a hold.
    fn hold(hold: StandingHold) -> Self {
        let life = Life::Gone { why: "it is not in use".to_owned() };
        Self { what: What::Hold(Box::new(hold)), life, outcome: Outcome::Found }
    }

    fn container(&self) -> Option<&str> {
        match &self.what {
            What::Claim(standing) => Some(&standing.claim().attachment.container),
            What::Hold(_) => None,
        }
    }

    fn describe(&self) -> String {
        match &self.what {
            What::Claim(standing) => describe_claim(standing.claim()),
            What::Hold(hold) => describe_hold(hold.hold(), Timestamp::now()),
        }
    }

    fn row(&self) -> Row<'_> {
        let (claim, hold) = match &self.what {
            What::Claim(standing) => (Some(standing.claim()), None),
            What::Hold(hold) => (None, Some(hold.hold())),
        };
        Row { claim, hold, life: &self.life, outcome: &self.outcome }
    }
}

fn describe_claim(claim: &Claim) -> String {
    let mut addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
    addresses.extend(claim.ceded.iter().map(|ceded| format!("{} (ceded)", ceded.assignment.address)));
    let mut pod = String::new();
    if let Some(name) = &claim.pod {
        let cluster = name.cluster.as_ref().map_or_else(String::new, |cluster| format!(" of cluster {cluster}"));
        pod = format!("pod {name}{cluster}, ");
    }
    format!("{}: {pod}{} on node {} since {}", addresses.join(", "), claim.attachment, claim.node, claim.since)
}

fn describe_hold(kept: &Hold, now: Timestamp) -> String {
    let Hold { address, identity, until } = kept;
    let whom = match identity {
        Some(identity) => format!("reserved for {identity:?} until {until}"),
        None => format!("cooling down until {until}"),
    };
    let over = if kept.is_standing(now) { "" } else { ", which is over" };
    format!("{address}: {whom}{over}")
}

fn plan(targets: &[Target]) -> String {
    let lines = targets.iter().map(|target| format!("{}\n  → {}", target.describe(), outcome(target)));
    lines.collect::<Vec<_>>().join("\n")
}

fn outcome(target: &Target) -> String {
    match (&target.outcome, &target.life) {
        (Outcome::Found, life) => format!("release it ({life})"),
        (Outcome::Released, _) => "released".to_owned(),
        (Outcome::Changed, _) => "left: it changed after it was shown; run it again".to_owned(),
        (Outcome::Refused, life) => format!("left: {life}; only with --force"),
        (Outcome::Failed(why), _) => format!("failed: {why}"),
    }
}

fn conclusion(options: &Options, targets: &[Target]) -> String {
    let count = |outcome: &Outcome| targets.iter().filter(|target| target.outcome == *outcome).count();
    let (found, total) = (count(&Outcome::Found), targets.len());
    if options.dry_run {
        return format!("{found} of {total} would be released");
    }
    let hint = if found > 0 { "; --yes releases the rest" } else { "" };
    format!("{} of {total} released{hint}", count(&Outcome::Released))
}

fn nothing(options: &Options) -> String {
    match (&options.identity, &options.what) {
        (Some(identity), _) => format!("nothing is reserved for {identity:?}"),
        (None, what) => {
            let what = what.as_deref().unwrap_or_default();
            format!("no claim and no hold found for {what}; `kube-ipam fsck` shows records that no claim explains")
        }
    }
}
