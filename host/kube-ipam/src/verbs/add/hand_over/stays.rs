//! Why the holder of a wanted address keeps it, and what to do about it.

use std::net::IpAddr;
use std::time::Duration;

use cluster::{self, Keeps};
use ipam::{Attachment, Ceded, Holder, Party};

/// Why the holder of a wanted address keeps it.
#[derive(Debug)]
pub enum Stays {
    /// It is not a pod.
    NoPod,
    /// There is no API server to ask.
    NotAsked,
    /// The API server could not be asked.
    Unknown(String),
    /// The API server was asked.
    Judged(Keeps),
    /// Its pod is still being deleted after so long a wait.
    Leaving(Duration),
    /// Nobody holds it, but it is on hold for somebody, or reserved.
    Kept,
    /// It is another interface of the very container that asks, with this network and interface.
    Sibling(Box<Attachment>),
}

impl Stays {
    pub(super) fn unknown(error: cluster::Error) -> Self {
        let hint = match &error {
            cluster::Error::Forbidden { .. } => error.hint().map(|hint| format!("; {hint}")),
            _ => None,
        };
        Self::Unknown(format!("{error}{}", hint.unwrap_or_default()))
    }

    /// What will release the address.
    pub(in crate::verbs) fn hint(&self, address: IpAddr, holder: &Holder) -> String {
        let by_hand = format!("`kube-ipam release {address} --network NETWORK`");
        let held = match holder {
            Holder::Hold { until, .. } => return format!("it is free again at {until}; {by_hand} frees it at once"),
            Holder::Reservation(_) => {
                return format!(
                    "name another address, or put it back in circulation: `kube-ipam unreserve {address} --network NETWORK`"
                );
            }
            Holder::Attachment(held) => held,
        };
        let when = "the address is free as soon as its holder is deleted; the runtime retries until then";
        match self {
            Self::NoPod => {
                format!("{when}; once that container is gone and its DEL was lost, {by_hand} frees the address")
            }
            Self::NotAsked => format!(
                "{when}; with ipam.kubeConfig, addresses of deleted pods would be taken over at once; without it, {by_hand} \
                 frees the address of a pod that is gone"
            ),
            // With a hint of its own.
            Self::Unknown(error) => format!("{when}; could not find out whether that pod gives way: {error}"),
            Self::Judged(keeps) => hint_of(keeps, when, &by_hand, &held.node),
            Self::Leaving(waited) => format!(
                "that pod is being deleted, and did not release the address within the {:.1} s that this call waited \
                 (ipam.handOverWait); the runtime tries again; {}",
                waited.as_secs_f64(),
                where_a_node_is_lost(&held.node)
            ),
            Self::Kept => when.to_owned(),
            Self::Sibling(asks) => format!(
                "that is another interface of the same container, so it stays: name an address for each, here by annotation \
                 kube-ipam.ip.{}.{}",
                asks.network, asks.interface
            ),
        }
    }
}

/// What an operator declares of a node that will not come back: its pods count as gone then, also to kube-ipam.
fn where_a_node_is_lost(node: &str) -> String {
    format!(
        "if that node is lost for good: `kubectl taint node {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`"
    )
}

fn hint_of(keeps: &Keeps, when: &str, by_hand: &str, node: &str) -> String {
    match keeps {
        Keeps::Alive | Keeps::Leaving => format!("that pod still exists; {when}; {}", where_a_node_is_lost(node)),
        Keeps::OlderRevision => "that pod is of an older revision of the same Deployment and still exists, and the \
             address of a living pod is not taken over: set the Deployment's strategy to Recreate, or to RollingUpdate \
             with maxSurge: 0 and maxUnavailable: 1, or annotate its pods with kube-ipam.hand-over: \"rolling-update\", \
             which counts from the next roll-out on"
            .to_owned(),
        Keeps::Borrowed(former) => {
            format!("that pod has the address from {}, which still exists and gets it back; {when}", name_of(former))
        }
        Keeps::Former(former) => format!(
            "that pod is gone, but {} had ceded the address to it and still exists: it gets the address back when the claim \
             of the deleted pod is released (by its DEL, or by `kube-ipam reclaim --network NETWORK`)",
            name_of(former)
        ),
        Keeps::Unknowable(why) => {
            format!("{when} (kube-ipam cannot tell whether it is gone: {why}); once it is, {by_hand} frees the address")
        }
    }
}

/// A party by the name that people know.
pub(crate) fn name_of(party: &Party) -> String {
    match &party.pod {
        Some(pod) => format!("pod {pod} (container {})", party.attachment.container),
        None => format!("container {}", party.attachment.container),
    }
}

/// What has become of addresses that their pod still uses although another has them.
pub(crate) fn sum_up(ceded: &[Ceded]) -> String {
    let mut all = Vec::new();
    for Ceded { assignment, to } in ceded {
        all.push(format!("{} was ceded to {} on node {} at {}", assignment.address, name_of(to), to.node, to.since));
    }
    format!("{}, and comes back when that one is deleted", all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::PodName;
    use jiff::Timestamp;

    /// A kubelet's event has room for 700 characters, of which the holder takes some 300.
    #[test]
    fn hints_are_short_enough_for_an_event() {
        let attachment = Attachment { network: "blue".into(), container: "c".repeat(64), interface: "eth0".into() };
        let name = "n".repeat(63);
        let pod = PodName { namespace: "shop".into(), name, uid: None, cluster: None };
        let former = Party { attachment, node: "node-1".into(), pod: Some(pod), since: Timestamp::UNIX_EPOCH };
        let all =
            [Keeps::Alive, Keeps::OlderRevision, Keeps::Borrowed(former.clone().into()), Keeps::Former(former.into())];
        let holder = Holder::Attachment(Box::new(ipam::Allocation {
            address: "10.0.0.1".parse().unwrap(),
            kind: ipam::Kind::Fixed,
            attachment: Attachment { network: "blue".into(), container: "c".into(), interface: "eth0".into() },
            node: String::new(),
            machine: String::new(),
            pod: None,
            policy: None,
            since: Timestamp::UNIX_EPOCH,
            hold: None,
            slot: None,
            why: None,
            former: None,
        }));
        let address = "10.0.0.1".parse().unwrap();
        for keeps in all {
            let hint = Stays::Judged(keeps).hint(address, &holder);
            assert!(hint.len() < 420, "{} in {hint}", hint.len());
        }
    }
}
