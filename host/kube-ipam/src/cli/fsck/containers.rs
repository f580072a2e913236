//! The store beside the containers of this node.
//!
//! A claim that is missing is written again; a claim too many is shown and stays, for only whoever looks can say that
//! nothing lives behind it. Nothing is released here, but for one case: a container whose DEL came while its claim was being
//! written. Its result is gone from libcni's cache then, and what was written a second ago is taken back.

use crate::cli::output::CommandError;
use std::path::Path;

use jiff::Timestamp;

use super::super::network::Opened;
use super::super::{CacheArgs, NetworkArgs};
use super::{Finding, Options, Outcome, is_wanted};
use crate::containers::{Container, Containers, Life};
use crate::verbs::{self, Deadline};
use ipam::{Allocation, Claim, PodName};
use limits::DEL_MAY_TAKE;
use store::{Occupant, Restoration, Rival, Search};

/// What was found, and what to say where that is nothing.
pub(crate) struct Compared {
    pub(crate) findings: Vec<Finding>,
    pub(crate) well: String,
    /// How many containers run here.
    pub(crate) living: usize,
    /// How many of them have an address that the store does not give to them.
    pub(crate) unknown: usize,
    /// What there is to write, beside the findings about it.
    plans: Vec<(usize, Restoration)>,
}

/// Find, show, ask, write.
pub(super) async fn run(options: &Options, opened: &Opened, containers: &Containers) -> Result<Compared, verbs::Error> {
    let mut compared = compare(opened, containers).await?;
    if is_wanted(options, &compared.findings) {
        compared.carry_out(opened, containers).await?;
    }
    Ok(compared)
}

/// Hold the store against what libcni knows. Writes nothing.
pub(crate) async fn compare(opened: &Opened, containers: &Containers) -> Result<Compared, verbs::Error> {
    let range_sets = opened.range_sets()?;
    let living = containers.living(&opened.base.network, &range_sets);
    let mut compared = restorations(opened, containers, &living).await?;
    compared.findings.extend(gone(opened, containers).await?);
    for (file, why) in &containers.unreadable {
        let problem = format!("{} cannot be read as a result of libcni: {why}", file.display());
        compared.findings.push(Finding::left(problem, "check which addresses its container has, if it still runs"));
    }
    compared.well = match living.len() {
        1 => "1 container runs here, and the store knows it".to_owned(),
        count => format!("{count} containers run here, and the store knows them all"),
    };
    Ok(compared)
}

/// Write the claims that are missing in the networks of a file and say what was done; nothing is asked. For whoever keeps a
/// node in order.
pub(crate) async fn rebuild(file: &Path, cache: &CacheArgs) -> Result<Vec<String>, CommandError> {
    let containers = cache.read()?;
    let mut lines = Vec::new();
    for opened in NetworkArgs::of(file).open_all()? {
        let range_sets = opened.range_sets()?;
        let living = containers.living(&opened.base.network, &range_sets);
        let mut compared = restorations(&opened, &containers, &living).await?;
        compared.carry_out(&opened, &containers).await?;
        for finding in &compared.findings {
            let done = if finding.is_done() { "done" } else { "not done" };
            let (network, problems) = (&opened.base.network, finding.problems.join("; "));
            lines.push(format!("{network}: {problems} → {} ({done})", finding.remedy));
        }
    }
    Ok(lines)
}

/// What the living have, and what the store has of them.
async fn restorations(
    opened: &Opened,
    containers: &Containers,
    living: &[Container],
) -> Result<Compared, verbs::Error> {
    // Whoever has its addresses in other books is not missing here: it has to be moved, not claimed twice.
    opened.store.check_registration(&opened.base.network, &opened.range_sets()?, Search::Whole).await?;
    let deadline = Deadline::after(opened.base.timeout);
    verbs::elsewhere::refuse_earlier_stores(&opened.base, &deadline).await?;
    let cluster = opened.cluster().await?;
    let occupants: Vec<Occupant> =
        living.iter().map(|container| occupant(opened, cluster.as_ref(), container)).collect();
    let judge = |occupant: &Occupant, held: &Allocation| judge(opened, containers, occupant, held);
    let restorations = opened.store.plan_restorations(&occupants, judge, Timestamp::now()).await?;
    let (findings, well, plans) = (Vec::new(), String::new(), Vec::new());
    let mut compared = Compared { findings, well, plans, living: living.len(), unknown: 0 };
    for (restoration, container) in restorations.into_iter().zip(living) {
        compared.unknown += usize::from(restoration.is_needed() || !restoration.shared.is_empty());
        compared.add(restoration, container, containers);
    }
    Ok(compared)
}

/// Libcni does not know clusters: what runs here is of this node's.
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

/// What libcni's cache says of somebody who holds the address of a living container.
fn judge(opened: &Opened, containers: &Containers, occupant: &Occupant, held: &Allocation) -> Rival {
    let is_same_pod = occupant.pod.as_ref().zip(held.pod.as_ref()).is_some_and(|(one, two)| one.is_same_pod(two));
    if let Some(rival) = containers.get(&held.attachment) {
        let own = containers.get(&occupant.attachment);
        return match own {
            _ if matches!(rival.life, Life::Gone(_)) => Rival::GivesWay,
            Some(own) if is_same_pod && own.written < rival.written => Rival::Succeeds,
            Some(_) if is_same_pod => Rival::GivesWay,
            _ => Rival::Stays,
        };
    }
    if is_gone(opened, containers, &held.node, &held.machine, held.since) && !containers.has(&held.attachment) {
        return Rival::GivesWay;
    }
    // A sandbox of the same pod that has just been made: libcni writes its result when the whole ADD has ended.
    if is_same_pod && held.node == opened.base.node { Rival::Succeeds } else { Rival::Stays }
}

/// Whether libcni would have a result here, if whoever claimed this lived.
fn is_gone(opened: &Opened, containers: &Containers, node: &str, machine: &str, since: Timestamp) -> bool {
    let is_here = node == opened.base.node && machine == opened.base.machine;
    is_here && containers.must_know(since, Timestamp::now())
}

/// Claims of this node and network whose containers are not there any more.
async fn gone(opened: &Opened, containers: &Containers) -> Result<Vec<Finding>, verbs::Error> {
    let mut findings = Vec::new();
    let base = &opened.base;
    for standing in opened.store.claims_on(&base.node, &base.machine, &base.network).await? {
        let claim = standing.claim();
        if is_gone_by_libcni(opened, containers, claim) {
            let problem = match containers.get(&claim.attachment).map(|container| &container.life) {
                Some(Life::Gone(netns)) => {
                    format!(
                        "{} holds {}, but its network namespace {} is gone",
                        who(claim),
                        list(claim),
                        netns.display()
                    )
                }
                _ => format!("{} holds {}, but libcni has no result for it", who(claim), list(claim)),
            };
            let container = &claim.attachment.container;
            findings.push(Finding::left(problem, format!("its DEL was lost: `kube-ipam release {container}`")));
        }
    }
    Ok(findings)
}

/// Whether this node is the claim's, and libcni here has no living container of it.
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
    fn add(&mut self, restoration: Restoration, container: &Container, containers: &Containers) {
        let name = container_name(container);
        // What a main plugin got elsewhere, or outside the ranges of today, is the container's nevertheless.
        let all = containers.get(&container.attachment).map(|whole| whole.addresses.as_slice()).unwrap_or_default();
        for address in restoration.unused.iter().filter(|unused| !all.iter().any(|has| has.address == **unused)) {
            let problem = format!("the store has {address} for {name}, whose ADD returned other addresses");
            self.findings.push(Finding::left(problem, "it stays held until its DEL"));
        }
        for held in &restoration.shared {
            let problem =
                format!("{} has {}, and according to the store so does {}", name, held.address, holder_name(held));
            let remedy = match held.pod.as_ref().or(container.pod.as_ref()) {
                Some(_) => "the two share it: delete one of the pods, or `kube-ipam release` whichever is gone",
                None => "the two share it: remove one of them, or `kube-ipam release` whichever is gone",
            };
            self.findings.push(Finding::left(problem, remedy));
        }
        if restoration.is_needed() {
            self.plans.push((self.findings.len(), restoration.clone()));
            self.findings.push(missing(&name, &restoration));
        }
    }

    /// Write what is missing. Whose records have changed since is looked at once more by whoever runs this again.
    async fn carry_out(&mut self, opened: &Opened, containers: &Containers) -> Result<(), verbs::Error> {
        let mut written = Vec::new();
        for (finding, restoration) in &self.plans {
            let attachment = &restoration.occupant.attachment;
            let is_there = containers.get(attachment).is_some_and(|container| container.file.exists());
            let done = is_there && opened.store.restore(restoration).await?;
            self.findings[*finding].outcome = if done { Outcome::Repaired } else { Outcome::Changed };
            if done {
                tracing::info!(%attachment, addresses = ?restoration.missing, "claimed again");
                written.push((*finding, restoration));
            }
        }
        if written.is_empty() {
            return Ok(());
        }
        // A DEL releases first and removes the result afterwards: between the two, a claim would outlive its container.
        tokio::time::sleep(DEL_MAY_TAKE).await;
        for (finding, restoration) in written {
            let attachment = &restoration.occupant.attachment;
            if containers.get(attachment).is_some_and(|container| !container.file.exists()) {
                opened.store.release(attachment, Timestamp::now()).await?;
                self.findings[finding].outcome = Outcome::Changed;
            }
        }
        Ok(())
    }
}

fn missing(name: &str, restoration: &Restoration) -> Finding {
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
    Finding { problems, remedy: remedy.join("; "), outcome: Outcome::Found }
}

fn container_name(container: &Container) -> String {
    name(container.pod.as_ref(), &container.attachment.container, &container.attachment.interface)
}

fn who(claim: &Claim) -> String {
    name(claim.pod.as_ref(), &claim.attachment.container, &claim.attachment.interface)
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

fn list(claim: &Claim) -> String {
    let mut addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
    addresses.extend(claim.ceded.iter().map(|ceded| format!("{} (ceded)", ceded.assignment.address)));
    if addresses.is_empty() { "nothing".to_owned() } else { addresses.join(", ") }
}
