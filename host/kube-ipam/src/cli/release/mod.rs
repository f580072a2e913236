//! `kube-ipam release`: end one claim, or one hold, by hand.
//!
//! A record is released only as it was shown, byte for byte: one that has changed since stays. A claim whose container
//! still exists, or of which that is unknown, is released only with `--force`.

mod life;

use std::net::IpAddr;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::agree::agreed_to;
use super::cache::CacheArgs;
use super::network::{FoundNetwork, NetworkArgs, Opened};
use super::operator::ActArgs;
use super::output::{CommandError, Done, Format, Output, all_addresses};
use super::subject::Subject;
use crate::config::Network;
use crate::containers::Containers;
use crate::journal::history::What;
use crate::runtime;
use crate::verbs;
use cluster::ApiServer;
use cni::Fail;
use ipam::shown::{first_of, joined};
use ipam::{Claim, Reservation};
use life::Life;
use store::{Hold, StandingClaim, StandingHold};

#[derive(Args, Debug)]
pub(crate) struct ReleaseOptions {
    /// ADDRESS, NAMESPACE/POD or a container ID (or its beginning, if no other container's ID begins so)
    #[arg(value_name = "ADDRESS|NAMESPACE/POD|CONTAINER", required_unless_present = "identity")]
    subject: Option<Subject>,
    /// End every hold for this identity, as `kube-ipam show ADDRESS` names it
    #[arg(long, value_name = "NAME", conflicts_with = "subject")]
    identity: Option<String>,
    /// Release without asking
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
    act: ActArgs,
    #[command(flatten)]
    cache: CacheArgs,
}

/// What is to be released of one network, or of several that keep their addresses together.
struct Place {
    network: FoundNetwork,
    targets: Vec<Target>,
}

/// A claim or a hold to release, and what becomes of it.
struct Target {
    record: TargetRecord,
    life: Life,
    outcome: ReleaseOutcome,
}

enum TargetRecord {
    Claim(Box<StandingClaim>),
    Hold(Box<StandingHold>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum ReleaseOutcome {
    /// It could be released, and has not been so far.
    Found,
    Released,
    /// Not released, because its container still exists, or may exist.
    Refused,
    /// Not released, because it changed after it was shown.
    Changed,
    /// The store could not release it.
    Failed(String),
}

/// One target in the JSON output.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a Hold>,
    life: &'a Life,
    outcome: &'a ReleaseOutcome,
}

/// Why nothing can be released.
#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error(
        "the ID of more than one container begins with {begins:?}: {}",
        first_of(containers, NAMED, ", ", String::clone)
    )]
    Ambiguous { begins: String, containers: Vec<String> },
    #[error("{address} is {reservation}")]
    Reserved { address: IpAddr, reservation: Box<Reservation>, command: String },
}

impl Fail for ReleaseError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Ambiguous { .. } => "write more of the container's ID; `kube-ipam list` has them whole".to_owned(),
            Self::Reserved { command, .. } => format!("`{command}` puts it back in circulation"),
        })
    }
}

/// How many containers are named: thousands would not help to tell them apart.
const NAMED: usize = 5;

/// The exit code is 0 where everything that was found is released, or would be.
pub(crate) fn release(options: &ReleaseOptions, network: &NetworkArgs, format: Format) -> Done {
    let mut places = Vec::new();
    for opened in network.write_books()? {
        let targets = runtime::block_on(search(options, &opened))?;
        places.push(Place { network: opened.found, targets });
    }
    if let Some(Subject::Container(id)) = &options.subject {
        leave_one_container(&mut places, id)?;
    }
    let containers = options.cache.read()?;
    for place in &mut places {
        let opened = place.network.open()?;
        runtime::block_on(judge(options, &opened, &containers, &mut place.targets))?;
    }
    let any = targets_in(&places).any(|target| target.outcome == ReleaseOutcome::Found);
    if any && !options.dry_run && (options.yes || agreed_to(&plan(&places))) {
        for place in &mut places {
            let opened = place.network.open()?;
            runtime::block_on(async {
                carry_out(options, &opened, &mut place.targets).await;
                Ok::<(), CommandError>(())
            })?;
        }
    }
    let aim = if options.dry_run { ReleaseOutcome::Found } else { ReleaseOutcome::Released };
    let is_empty = targets_in(&places).next().is_none();
    let exit = u8::from(is_empty || targets_in(&places).any(|target| target.outcome != aim));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&targets_in(&places).map(Target::row).collect::<Vec<_>>())?,
        Format::Table if is_empty => nothing(options),
        Format::Table => format!("{}\n{}", plan(&places), conclusion(options, &places)),
    };
    Ok(Output { text, exit })
}

fn targets_in(places: &[Place]) -> impl Iterator<Item = &Target> {
    places.iter().flat_map(|place| &place.targets)
}

async fn search(options: &ReleaseOptions, opened: &Opened) -> Result<Vec<Target>, CommandError> {
    match &options.subject {
        Some(subject) => find(subject, opened).await,
        None => Ok(find_holds(options.identity.as_deref().unwrap_or_default(), opened).await?),
    }
}

async fn find_holds(identity: &str, opened: &Opened) -> Result<Vec<Target>, verbs::Error> {
    let holds = opened.store.holds_for(identity).await?;
    Ok(holds.into_iter().map(Target::hold).collect())
}

async fn find(subject: &Subject, opened: &Opened) -> Result<Vec<Target>, CommandError> {
    let mut claims: Vec<StandingClaim> = opened.store.all_claims().await.map_err(verbs::Error::from)?;
    claims.retain(|standing| subject.fits(standing.claim()));
    let mut targets: Vec<Target> = claims.into_iter().map(Target::claim).collect();
    if let Subject::Address(address) = subject {
        let hold = opened.store.hold_of(*address).await.map_err(verbs::Error::from)?;
        if let Some(reservation) = hold.as_ref().and_then(|standing| standing.hold().reservation.clone()) {
            let command = opened.command(&format!("unreserve {address}"));
            return Err(ReleaseError::Reserved { address: *address, reservation, command }.into());
        }
        targets.extend(hold.map(Target::hold));
    }
    Ok(targets)
}

/// Leaves the container whose ID is written out in full, where there is one. An error where the beginning of an ID fits
/// several: what is released must not depend on which of them happen to run.
fn leave_one_container(places: &mut [Place], id: &str) -> Result<(), ReleaseError> {
    let mut containers: Vec<String> = Vec::new();
    for target in targets_in(places) {
        containers.extend(target.container().map(str::to_owned));
    }
    if containers.iter().any(|container| container == id) {
        for place in places {
            place.targets.retain(|target| target.container() == Some(id));
        }
        return Ok(());
    }
    containers.sort();
    containers.dedup();
    if containers.len() > 1 {
        return Err(ReleaseError::Ambiguous { begins: id.to_owned(), containers });
    }
    Ok(())
}

async fn judge(
    options: &ReleaseOptions,
    opened: &Opened,
    containers: &Containers,
    targets: &mut [Target],
) -> Result<(), CommandError> {
    let kubernetes = Network::kubernetes(&opened.netconf)?;
    let server = kubernetes.map(|kubernetes| ApiServer::of_kubeconfig(&kubernetes.kubeconfig));
    for target in targets {
        if let TargetRecord::Claim(standing) = &target.record {
            target.life = life::of(opened, containers, server.as_ref(), standing.claim()).await;
        }
        if !matches!(target.life, Life::Gone { .. }) && !options.force {
            target.outcome = ReleaseOutcome::Refused;
        }
    }
    Ok(())
}

async fn carry_out(options: &ReleaseOptions, opened: &Opened, targets: &mut [Target]) {
    let mut act = options.act.begin(opened);
    for target in targets {
        if target.outcome != ReleaseOutcome::Found {
            continue;
        }
        let released = match &target.record {
            TargetRecord::Claim(standing) => opened.store.reclaim(standing, Timestamp::now()).await,
            TargetRecord::Hold(hold) => opened.store.end_hold(hold).await,
        };
        target.outcome = match released {
            Ok(true) => {
                match &target.record {
                    TargetRecord::Claim(standing) => act.on_claim(What::ReleasedByHand, standing.claim(), None),
                    TargetRecord::Hold(standing) => {
                        let hold = standing.hold();
                        act.on_addresses(What::HoldEnded, vec![hold.address.to_string()], Some(&hold.to_string()));
                    }
                }
                ReleaseOutcome::Released
            }
            Ok(false) => ReleaseOutcome::Changed,
            Err(error) => ReleaseOutcome::Failed(joined(&error)),
        };
    }
}

impl Target {
    fn claim(standing: StandingClaim) -> Self {
        let life = Life::Unknown { why: Vec::new() };
        Self { record: TargetRecord::Claim(Box::new(standing)), life, outcome: ReleaseOutcome::Found }
    }

    /// No container uses an address that is only on hold.
    fn hold(hold: StandingHold) -> Self {
        let life = Life::Gone { why: "it is not in use".to_owned() };
        Self { record: TargetRecord::Hold(Box::new(hold)), life, outcome: ReleaseOutcome::Found }
    }

    fn container(&self) -> Option<&str> {
        match &self.record {
            TargetRecord::Claim(standing) => Some(&standing.claim().attachment.container),
            TargetRecord::Hold(_) => None,
        }
    }

    fn describe(&self) -> String {
        match &self.record {
            TargetRecord::Claim(standing) => describe_claim(standing.claim()),
            TargetRecord::Hold(hold) => describe_hold(hold.hold(), Timestamp::now()),
        }
    }

    fn row(&self) -> TargetRow<'_> {
        let (claim, hold) = match &self.record {
            TargetRecord::Claim(standing) => (Some(standing.claim()), None),
            TargetRecord::Hold(hold) => (None, Some(hold.hold())),
        };
        TargetRow { claim, hold, life: &self.life, outcome: &self.outcome }
    }
}

fn describe_claim(claim: &Claim) -> String {
    let Claim { attachment, node, since, .. } = claim;
    let mut holder = String::new();
    if let Some(pod) = &claim.pod {
        holder.push_str(&format!("pod {pod}"));
        if let Some(cluster) = &pod.cluster {
            holder.push_str(&format!(" of cluster {cluster}"));
        }
        holder.push_str(", ");
    }
    format!("{}: {holder}{attachment} on node {node} since {since}", all_addresses(claim).join(", "))
}

fn describe_hold(kept: &Hold, now: Timestamp) -> String {
    let over = if kept.is_standing(now) { "" } else { ", which is over" };
    format!("{}: {kept}{over}", kept.address)
}

fn plan(places: &[Place]) -> String {
    let mut lines = Vec::new();
    for target in targets_in(places) {
        lines.push(format!("{}\n  → {}", target.describe(), describe_outcome(target)));
    }
    lines.join("\n")
}

fn describe_outcome(target: &Target) -> String {
    match (&target.outcome, &target.life) {
        (ReleaseOutcome::Found, life) => format!("release it ({life})"),
        (ReleaseOutcome::Released, _) => "released".to_owned(),
        (ReleaseOutcome::Changed, _) => "not released: it changed after it was shown; run the command again".to_owned(),
        (ReleaseOutcome::Refused, life) => format!("not released: {life}; --force releases it all the same"),
        (ReleaseOutcome::Failed(why), _) => format!("failed: {why}"),
    }
}

fn conclusion(options: &ReleaseOptions, places: &[Place]) -> String {
    let (mut found, mut released, mut total) = (0, 0, 0);
    for target in targets_in(places) {
        total += 1;
        match target.outcome {
            ReleaseOutcome::Found => found += 1,
            ReleaseOutcome::Released => released += 1,
            ReleaseOutcome::Refused | ReleaseOutcome::Changed | ReleaseOutcome::Failed(_) => {}
        }
    }
    if options.dry_run {
        return format!("{found} of {total} would be released");
    }
    let hint = if found > 0 { "; --yes releases the rest" } else { "" };
    format!("{released} of {total} released{hint}")
}

fn nothing(options: &ReleaseOptions) -> String {
    match &options.subject {
        Some(subject) => {
            format!("no claim and no hold found for {subject}; `kube-ipam fsck` shows records that no claim explains")
        }
        None => format!("no address is on hold for {:?}", options.identity.as_deref().unwrap_or_default()),
    }
}
