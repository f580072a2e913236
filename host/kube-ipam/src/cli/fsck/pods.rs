//! The store beside the pods of the cluster. The API server knows no containers, and without one there is nobody to write
//! a claim for: what is missing is shown, with the node that knows more. Nothing is changed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::network::Opened;
use super::Finding;
use crate::verbs;
use cluster::{ApiServer, Fate, Home, Inventory, PodAddresses};
use ipam::{Allocation, Claim, Holder, PodName, RangeSets};

/// What was found, and what to say where that is nothing.
///
/// Pods are read before claims: a claim that is missing has not just been made. One that is too many may have been, and has
/// to be older than an ADD may take (`--grace`).
pub(super) async fn run(
    opened: &Opened,
    server: &ApiServer,
    grace: SignedDuration,
) -> Result<(Vec<Finding>, String), verbs::Error> {
    let range_sets = opened.range_sets()?;
    let inventory = server.inventory().await?;
    let pods = inventory.addresses();
    let home = opened.home(server).await?;
    let standing = opened.store.claims(&opened.base.network).await?;
    // What another cluster's pods hold, this API server knows nothing of.
    let is_ours = |claim: &&Claim| claim.pod.as_ref().is_none_or(|pod| home.foreign(pod).is_none());
    let claims: Vec<&Claim> = standing.iter().map(|standing| standing.claim()).filter(is_ours).collect();
    let mut findings = Vec::new();
    let mut inside = 0;
    let books = Books::new(&claims, &inventory);
    for pod in &pods {
        let addresses: Vec<IpAddr> = of_network(pod, &range_sets);
        inside += usize::from(!addresses.is_empty());
        if !pod.is_terminating {
            missing(opened, &home, &books, pod, &addresses, &mut findings).await?;
        }
        findings.extend(other_addresses(&books, pod, &addresses));
    }
    findings.extend(gone(&claims, &inventory, grace));
    let network = &opened.base.network;
    let well = match inside {
        1 => format!("1 pod has addresses of network {network:?}, and the store knows them"),
        count => format!("{count} pods have addresses of network {network:?}, and the store knows them all"),
    };
    Ok((findings, well))
}

/// Those that lie inside the network's subnets.
fn of_network(pod: &PodAddresses, range_sets: &RangeSets) -> Vec<IpAddr> {
    pod.addresses.iter().map(|one| one.address).filter(|address| range_sets.is_inside(*address)).collect()
}

/// The claims of each pod that is there.
struct Books<'a> {
    by_pod: BTreeMap<(&'a str, &'a str), Vec<&'a Claim>>,
}

impl<'a> Books<'a> {
    fn new(claims: &[&'a Claim], inventory: &Inventory) -> Self {
        let mut by_pod: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for claim in claims {
            if let Some(pod) = &claim.pod
                && !matches!(inventory.fate(pod), Fate::Gone(_))
            {
                by_pod.entry((pod.namespace.as_str(), pod.name.as_str())).or_default().push(*claim);
            }
        }
        Self { by_pod }
    }

    fn of<'b>(&'b self, pod: &'b PodName) -> &'b [&'a Claim] {
        self.by_pod.get(&(pod.namespace.as_str(), pod.name.as_str())).map(Vec::as_slice).unwrap_or_default()
    }

    fn gives(&self, pod: &PodName, address: IpAddr) -> bool {
        self.of(pod).iter().any(|claim| has(claim, address))
    }
}

/// Whether an address is a claim's, or was ceded by it.
fn has(claim: &Claim, address: IpAddr) -> bool {
    let mut ceded = claim.ceded.iter().map(|ceded| ceded.assignment.address);
    claim.addresses().any(|held| held == address) || ceded.any(|ceded| ceded == address)
}

/// Addresses that a pod has and that the store does not give to it.
async fn missing(
    opened: &Opened,
    home: &Home,
    books: &Books<'_>,
    pod: &PodAddresses,
    addresses: &[IpAddr],
    findings: &mut Vec<Finding>,
) -> Result<(), verbs::Error> {
    let missing: Vec<IpAddr> = addresses.iter().copied().filter(|address| !books.gives(&pod.pod, *address)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let holders = opened.store.holders(&missing, Timestamp::now()).await?;
    for (address, holder) in missing.into_iter().zip(holders) {
        let PodAddresses { pod: name, node, .. } = pod;
        findings.push(match holder {
            // Another network of the same domain gave it.
            Some(Holder::Attachment(held)) if is_of(&held, home, name) => continue,
            Some(Holder::Attachment(held)) => Finding::left(
                format!(
                    "pod {name} on node {node} has {address}, and according to the store so does {}",
                    holder_name(&held)
                ),
                format!("`kube-ipam fsck --containers` on nodes {node} and {} shows which one still runs", held.node),
            ),
            _ => Finding::left(
                format!("pod {name} on node {node} has {address}, of which the store does not know"),
                format!("run `kube-ipam fsck --containers --repair` on node {node}"),
            ),
        });
    }
    Ok(())
}

fn is_of(held: &Allocation, home: &Home, pod: &PodName) -> bool {
    let Some(holder) = &held.pod else { return false };
    holder.namespace == pod.namespace && holder.name == pod.name && home.foreign(holder).is_none()
}

fn holder_name(held: &Allocation) -> String {
    let pod = held.pod.as_ref().map_or_else(String::new, |pod| format!("pod {pod}, "));
    format!("{pod}container {} on node {} since {}", held.attachment.container, held.node, held.since)
}

/// Addresses that the store gives to a pod and that it does not show. Of an interface that nobody reports nothing is
/// known, so that only a pod of which some other address is missing is judged.
fn other_addresses(books: &Books<'_>, pod: &PodAddresses, addresses: &[IpAddr]) -> Vec<Finding> {
    let name = &pod.pod;
    if pod.is_terminating || addresses.iter().all(|address| books.gives(name, *address)) {
        return Vec::new();
    }
    let claimed = books.of(name).iter().flat_map(|claim| claim.addresses());
    let other = claimed.filter(|address| !addresses.contains(address));
    let found = other.map(|address| {
        let problem =
            format!("the store has {address} for pod {name} on node {}, which reports other addresses", pod.node);
        Finding::left(problem, "it stays held until the DEL of its container")
    });
    found.collect()
}

/// Claims of pods that are not there.
fn gone(claims: &[&Claim], inventory: &Inventory, grace: SignedDuration) -> Vec<Finding> {
    let mut findings = Vec::new();
    for claim in claims {
        let Some(pod) = &claim.pod else { continue };
        let Fate::Gone(why) = inventory.fate(pod) else { continue };
        if Timestamp::now().duration_since(claim.since) < grace {
            continue;
        }
        let addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
        let container = &claim.attachment.container;
        let problem = format!("container {container} on node {} holds {}, but {why}", claim.node, addresses.join(", "));
        findings.push(Finding::left(problem, "`kube-ipam reclaim` releases it"));
    }
    findings
}
