//! Compares the store with the containers of this node.
//!
//! A missing claim is written again. A superfluous one is shown and stays, because only an operator can make sure that
//! nothing uses its addresses. Nothing is released here but in one case: where the DEL of a container came while its claim
//! was being written. The container's result is gone from libcni's cache then, and the new claim is taken back.

use std::path::Path;

use jiff::Timestamp;

use super::inconsistency::{Inconsistency, RepairOutcome};
use crate::cli::cache::CacheArgs;
use crate::cli::network::{NetworkArgs, Opened};
use crate::cli::operator::{Act, ActArgs};
use crate::cli::output::{CommandError, all_addresses};
use crate::containers::{Container, Containers, Life};
use crate::journal::history::What;
use crate::verbs::{self, Deadline};
use ipam::{Allocation, Attachment, Claim, PodName};
use limits::DEL_MAY_TAKE;
use store::{Occupant, Restoration, Rival, Search};

/// The result of comparing one network.
pub(crate) struct Compared {
    pub(crate) findings: Vec<Inconsistency>,
    /// The sentence to print where there are no findings.
    pub(crate) praise: String,
    /// How many containers of the network run here.
    pub(crate) living: usize,
    /// How many of them have an address that the store does not give to them.
    pub(crate) unknown: usize,
    /// The claims to write, each with the index of its finding.
    plans: Vec<(usize, Restoration)>,
}

/// Compares the store with what libcni knows. Writes nothing.
pub(crate) async fn compare(opened: &Opened, containers: &Containers) -> Result<Compared, verbs::Error> {
    let range_sets = opened.range_sets()?;
    let former = opened.store.former_names(&opened.base.network).await?;
    let living = containers.living(&opened.base.network, &former, &range_sets);
    let mut compared = restorations(opened, containers, &living).await?;
    compared.findings.extend(gone(opened, containers).await?);
    for (file, why) in &containers.unreadable {
        let problem = format!("{} cannot be read as a result of libcni: {why}", file.display());
        compared
            .findings
            .push(Inconsistency::left(problem, "check which addresses its container has, if it still runs"));
    }
    compared.praise = match living.len() {
        1 => "1 container runs here, and the store knows it".to_owned(),
        count => format!("{count} containers run here, and the store knows them all"),
    };
    Ok(compared)
}

/// Writes the claims that are missing in the networks of a file, without asking, and returns a line about each. For
/// `install-node --rebuild-books`.
pub(crate) async fn rebuild(file: &Path, cache: &CacheArgs) -> Result<Vec<String>, CommandError> {
    let containers = cache.read()?;
    let mut lines = Vec::new();
    for opened in NetworkArgs::of(file).read_each()? {
        let range_sets = opened.range_sets()?;
        let former = opened.store.former_names(&opened.base.network).await.map_err(verbs::Error::from)?;
        let living = containers.living(&opened.base.network, &former, &range_sets);
        let mut compared = restorations(&opened, &containers, &living).await?;
        compared.carry_out(ActArgs::default().begin(&opened), &opened, &containers).await?;
        for finding in &compared.findings {
            let done = if finding.is_done() { "done" } else { "not done" };
            let (network, problems) = (&opened.base.network, finding.problems.join("; "));
            lines.push(format!("{network}: {problems} → {} ({done})", finding.remedy));
        }
    }
    Ok(lines)
}

/// The claims to write for the containers that run, and the findings about them.
async fn restorations(
    opened: &Opened,
    containers: &Containers,
    living: &[Container],
) -> Result<Compared, verbs::Error> {
    // A network whose addresses are kept elsewhere would seem to have lost every claim. They have to be moved from there
    // (`kube-ipam import`): written again here, each would be claimed twice.
    opened.store.check_registration(&opened.base.network, &opened.range_sets()?, Search::Whole).await?;
    let deadline = Deadline::after(opened.base.timeout);
    verbs::elsewhere::refuse_earlier_stores(&opened.base, &deadline).await?;
    let cluster = opened.cluster().await?;
    let mut occupants = Vec::new();
    for container in living {
        occupants.push(occupant(opened, cluster.as_ref(), container));
    }
    let restorations = opened
        .store
        .plan_restorations(&occupants, |occupant, held| judge(opened, containers, occupant, held), Timestamp::now())
        .await?;
    let (findings, praise, plans) = (Vec::new(), String::new(), Vec::new());
    let mut compared = Compared { findings, praise, plans, living: living.len(), unknown: 0 };
    for (restoration, container) in restorations.into_iter().zip(living) {
        compared.unknown +=
            usize::from(restoration.is_needed() || !restoration.shared.is_empty() || !restoration.reserved.is_empty());
        compared.add(opened, restoration, container, containers);
    }
    Ok(compared)
}

/// A container as the store would claim for it. Libcni does not know clusters, but what runs here is of this node's cluster.
fn occupant(opened: &Opened, cluster: Option<&String>, container: &Container) -> Occupant {
    let pod = container.pod.clone().map(|pod| PodName { cluster: cluster.cloned(), ..pod });
    Occupant {
        attachment: container.attachment.clone(),
        node: opened.base.node.clone(),
        machine: opened.base.machine.clone(),
        pod,
        addresses: container.addresses.clone(),
    }
}

/// What libcni's cache says of another attachment that holds the address of a container that runs.
fn judge(opened: &Opened, containers: &Containers, occupant: &Occupant, held: &Allocation) -> Rival {
    let is_same_pod = match (&occupant.pod, &held.pod) {
        (Some(pod), Some(holder)) => pod.is_same_pod(holder),
        _ => false,
    };
    if let Some(rival) = containers.get(&held.attachment) {
        if matches!(rival.life, Life::Gone(_)) {
            return Rival::GivesWay;
        }
        // Two sandboxes of one pod that both run: kubelet replaced the older one, whose DEL is still to come.
        return match containers.get(&occupant.attachment) {
            Some(own) if is_same_pod && own.written < rival.written => Rival::Succeeds,
            Some(_) if is_same_pod => Rival::GivesWay,
            _ => Rival::Stays,
        };
    }
    if is_gone(opened, containers, &held.node, &held.machine, held.since) && !containers.has(&held.attachment) {
        return Rival::GivesWay;
    }
    // Perhaps a new sandbox of the same pod, whose ADD is still running: libcni writes the result when that has ended.
    if is_same_pod && held.node == opened.base.node { Rival::Succeeds } else { Rival::Stays }
}

/// Whether libcni on this node would have a result of whatever claimed this, if it still ran.
fn is_gone(opened: &Opened, containers: &Containers, node: &str, machine: &str, since: Timestamp) -> bool {
    let is_here = node == opened.base.node && machine == opened.base.machine;
    is_here && containers.must_know(since, Timestamp::now())
}

/// Finds the claims of this node and network whose containers are gone.
async fn gone(opened: &Opened, containers: &Containers) -> Result<Vec<Inconsistency>, verbs::Error> {
    let mut findings = Vec::new();
    let base = &opened.base;
    for standing in opened.store.claims_on(&base.node, &base.machine, &base.network).await? {
        let claim = standing.claim();
        if !is_gone_by_libcni(opened, containers, claim) {
            continue;
        }
        let Attachment { container, interface, .. } = &claim.attachment;
        let reason = match containers.get(&claim.attachment).map(|container| &container.life) {
            Some(Life::Gone(netns)) => format!("its network namespace {} is gone", netns.display()),
            _ => "libcni has no result for it".to_owned(),
        };
        let mut addresses = all_addresses(claim).join(", ");
        if addresses.is_empty() {
            addresses.push_str("nothing");
        }
        let problem = format!("{} holds {addresses}, but {reason}", name(claim.pod.as_ref(), container, interface));
        findings.push(Inconsistency::left(
            problem,
            format!("its DEL was lost: `{}`", opened.command(&format!("release {container}"))),
        ));
    }
    Ok(findings)
}

/// Whether a claim is of this node, and libcni here has no running container for it.
pub(crate) fn is_gone_by_libcni(opened: &Opened, containers: &Containers, claim: &Claim) -> bool {
    if !is_gone(opened, containers, &claim.node, &claim.machine, claim.since) {
        return false;
    }
    match containers.get(&claim.attachment) {
        Some(container) => matches!(container.life, Life::Gone(_)),
        None => !containers.has(&claim.attachment),
    }
}

impl Compared {
    fn add(&mut self, opened: &Opened, restoration: Restoration, container: &Container, containers: &Containers) {
        let name = name(container.pod.as_ref(), &container.attachment.container, &container.attachment.interface);
        // `container` has only its addresses inside today's ranges. The cache has all that its ADD returned, also those of
        // another plugin and those of ranges that were changed since: they are in use, whatever the ranges are now.
        let returned = match containers.get(&container.attachment) {
            Some(whole) => whole.addresses.as_slice(),
            None => &[],
        };
        for address in &restoration.unused {
            if returned.iter().any(|assignment| assignment.address == *address) {
                continue;
            }
            let problem = format!("the store has {address} for {name}, whose ADD returned other addresses");
            self.findings.push(Inconsistency::left(problem, "it stays held until its DEL"));
        }
        for kept in &restoration.reserved {
            let Some(reservation) = &kept.reservation else { continue };
            let address = kept.address;
            let problem = format!("{name} has {address}, which is {reservation}");
            let unreserve = opened.command(&format!("unreserve {address}"));
            let remedy = format!("nobody else gets it: delete the pod, or `{unreserve}` and run this again");
            self.findings.push(Inconsistency::left(problem, remedy));
        }
        for held in &restoration.shared {
            let problem =
                format!("{name} has {}, and according to the store so does {}", held.address, holder_name(held));
            let first = match held.pod.as_ref().or(container.pod.as_ref()) {
                Some(_) => "delete one of the pods",
                None => "remove one of them",
            };
            let release = opened.command("release CONTAINER");
            let remedy = format!("the two share it: {first}, or `{release}` whichever is gone");
            self.findings.push(Inconsistency::left(problem, remedy));
        }
        if restoration.is_needed() {
            self.plans.push((self.findings.len(), restoration.clone()));
            self.findings.push(missing(&name, &restoration));
        }
    }

    /// Writes what is missing. A claim whose records have changed since they were read is left to the next run.
    pub(super) async fn carry_out(
        &mut self,
        mut act: Act<'_>,
        opened: &Opened,
        containers: &Containers,
    ) -> Result<(), verbs::Error> {
        let mut written = Vec::new();
        for (finding, restoration) in &self.plans {
            let attachment = &restoration.occupant.attachment;
            let is_there = containers.get(attachment).is_some_and(|container| container.file.exists());
            let done = is_there && opened.store.restore(restoration).await?;
            self.findings[*finding].outcome = if done { RepairOutcome::Repaired } else { RepairOutcome::Changed };
            if done {
                tracing::info!(%attachment, addresses = ?restoration.missing, "claimed again");
                let addresses = restoration.missing.iter().map(ToString::to_string).collect();
                act.on_addresses(What::Repaired, addresses, Some(&format!("claimed again for {attachment}")));
                written.push((*finding, restoration));
            }
        }
        if written.is_empty() {
            return Ok(());
        }
        // A DEL releases the claim first, and libcni removes the result afterwards. A claim written between the two would
        // outlive its container, so wait as long as a DEL may take, and take back what has lost its result meanwhile.
        tokio::time::sleep(DEL_MAY_TAKE).await;
        for (finding, restoration) in written {
            let attachment = &restoration.occupant.attachment;
            if containers.get(attachment).is_some_and(|container| !container.file.exists()) {
                opened.store.release(attachment, Timestamp::now()).await?;
                self.findings[finding].outcome = RepairOutcome::Changed;
            }
        }
        Ok(())
    }
}

/// The finding about a claim that is to be written.
fn missing(name: &str, restoration: &Restoration) -> Inconsistency {
    let mut problems = Vec::new();
    if !restoration.missing.is_empty() {
        let addresses: Vec<String> = restoration.missing.iter().map(ToString::to_string).collect();
        problems.push(format!("{name} has {}, of which the store does not know", addresses.join(", ")));
    }
    let mut remedy = vec!["write its claim again".to_owned()];
    for held in &restoration.moved {
        problems.push(format!("{name} has {}, which the store has for {}", held.address, holder_name(held)));
        remedy.push(format!("container {} cedes {} to it", held.attachment.container, held.address));
    }
    for kept in &restoration.ended {
        let whom = kept.identity.as_deref().unwrap_or("nobody (it is cooling down)");
        remedy.push(format!("end the hold of {} for {whom} until {}", kept.address, kept.until));
    }
    Inconsistency { network: None, problems, remedy: remedy.join("; "), outcome: RepairOutcome::Found }
}

fn holder_name(held: &Allocation) -> String {
    let Allocation { attachment, node, since, .. } = held;
    let name = name(held.pod.as_ref(), &attachment.container, &attachment.interface);
    format!("{name} on node {node} since {since}")
}

fn name(pod: Option<&PodName>, container: &str, interface: &str) -> String {
    let pod = pod.map_or_else(String::new, |pod| format!("pod {pod}, "));
    format!("{pod}container {container} interface {interface}")
}
