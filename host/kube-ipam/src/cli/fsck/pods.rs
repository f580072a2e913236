//! Compares the store with the pods of the cluster. Changes nothing: the API server does not know the containers, without
//! which no claim can be written. A finding about a missing claim names the node that knows more.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::inconsistency::Inconsistency;
use crate::cli::network::Opened;
use crate::verbs;
use cluster::{ApiServer, Fate, Home, Inventory, PodAddresses};
use ipam::{Allocation, Claim, Holder, PodName, RangeSets};
use store::StandingClaim;

/// The findings, and the sentence to print where there are none.
///
/// Pods are read before claims, so that a claim seems to be missing only if it was missing all the time. The other way
/// round, the pod of a new claim may be missing from the list, so that a claim is called superfluous only if it is older
/// than an ADD may take (`--grace`).
pub(super) async fn run(
    opened: &Opened,
    server: &ApiServer,
    grace: SignedDuration,
) -> Result<(Vec<Inconsistency>, String), verbs::Error> {
    let range_sets = opened.range_sets()?;
    let inventory = server.inventory().await?;
    let pods = inventory.addresses();
    let home = opened.home(server).await?;
    let standing = opened.store.claims(&opened.base.network).await?;
    let mut claims: Vec<&Claim> = Vec::new();
    for claim in standing.iter().map(StandingClaim::claim) {
        // Pods of another cluster are not in this API server: it would seem that they are gone.
        if claim.pod.as_ref().is_none_or(|pod| home.foreign(pod).is_none()) {
            claims.push(claim);
        }
    }
    let (mut findings, mut inside) = (Vec::new(), 0);
    let by_pod = ClaimsByPod::new(&claims, &inventory);
    for pod in &pods {
        let addresses: Vec<IpAddr> = of_network(pod, &range_sets);
        inside += usize::from(!addresses.is_empty());
        if !pod.is_terminating {
            findings.extend(missing(opened, &home, &by_pod, pod, &addresses).await?);
        }
        findings.extend(other_addresses(&by_pod, pod, &addresses));
    }
    findings.extend(gone(opened, &claims, &inventory, grace));
    let network = &opened.base.network;
    let praise = match inside {
        1 => format!("1 pod has addresses of network {network:?}, and the store knows them"),
        count => format!("{count} pods have addresses of network {network:?}, and the store knows them all"),
    };
    Ok((findings, praise))
}

/// The addresses of a pod inside the network's subnets.
fn of_network(pod: &PodAddresses, range_sets: &RangeSets) -> Vec<IpAddr> {
    pod.addresses.iter().map(|one| one.address).filter(|address| range_sets.is_inside(*address)).collect()
}

/// The claims of each pod that exists, by namespace and name.
struct ClaimsByPod<'a> {
    by_pod: BTreeMap<(&'a str, &'a str), Vec<&'a Claim>>,
}

impl<'a> ClaimsByPod<'a> {
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

/// Finds addresses that a pod has and that the store does not give to it.
async fn missing(
    opened: &Opened,
    home: &Home,
    claims: &ClaimsByPod<'_>,
    pod: &PodAddresses,
    addresses: &[IpAddr],
) -> Result<Vec<Inconsistency>, verbs::Error> {
    let missing: Vec<IpAddr> = addresses.iter().copied().filter(|address| !claims.gives(&pod.pod, *address)).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let PodAddresses { pod: name, node, .. } = pod;
    let mut findings = Vec::new();
    let holders = opened.store.holders(&missing, Timestamp::now()).await?;
    for (address, holder) in missing.into_iter().zip(holders) {
        findings.push(match holder {
            // The pod holds it, in another network of the same domain.
            Some(Holder::Attachment(held)) if is_of(&held, home, name) => continue,
            Some(Holder::Attachment(held)) => Inconsistency::left(
                format!(
                    "pod {name} on node {node} has {address}, and according to the store so does {}",
                    holder_name(&held)
                ),
                format!(
                    "`{}` on nodes {node} and {} shows which one still runs",
                    opened.command("fsck --containers"),
                    held.node
                ),
            ),
            _ => Inconsistency::left(
                format!("pod {name} on node {node} has {address}, of which the store does not know"),
                format!("run `{}` on node {node}", opened.command("fsck --containers --repair")),
            ),
        });
    }
    Ok(findings)
}

fn is_of(held: &Allocation, home: &Home, pod: &PodName) -> bool {
    let Some(holder) = &held.pod else { return false };
    holder.namespace == pod.namespace && holder.name == pod.name && home.foreign(holder).is_none()
}

fn holder_name(held: &Allocation) -> String {
    let pod = held.pod.as_ref().map_or_else(String::new, |pod| format!("pod {pod}, "));
    format!("{pod}container {} on node {} since {}", held.attachment.container, held.node, held.since)
}

/// Finds addresses that the store gives to a pod and that the pod does not report.
///
/// An address alone that is not reported means nothing: Kubernetes does not list the addresses of every interface. So a pod
/// is judged only if it reports some other address that the store does not give to it.
fn other_addresses(claims: &ClaimsByPod<'_>, pod: &PodAddresses, addresses: &[IpAddr]) -> Vec<Inconsistency> {
    let PodAddresses { pod: name, node, .. } = pod;
    if pod.is_terminating || addresses.iter().all(|address| claims.gives(name, *address)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for address in claims.of(name).iter().flat_map(|claim| claim.addresses()) {
        if !addresses.contains(&address) {
            let problem =
                format!("the store has {address} for pod {name} on node {node}, which reports other addresses");
            findings.push(Inconsistency::left(problem, "it stays held until the DEL of its container"));
        }
    }
    findings
}

/// Finds claims of pods that do not exist.
fn gone(opened: &Opened, claims: &[&Claim], inventory: &Inventory, grace: SignedDuration) -> Vec<Inconsistency> {
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
        findings.push(Inconsistency::left(problem, format!("`{}` releases it", opened.command("reclaim"))));
    }
    findings
}
