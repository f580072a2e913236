//! What a reclaim sees before it releases anything, and whether that can be true.
//!
//! To a wrong kubeconfig, or an API server restored from an old backup, every pod looks deleted. Leaks are few and on nodes
//! that exist; anything else is shown to an operator first.

use std::collections::BTreeSet;

use serde::Serialize;

use cluster::{Home, Inventory};
use ipam::Claim;
use limits::{RECLAIM_FEW, RECLAIM_SHARE};

/// The claims of a network, counted by whether the API server can be asked about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sight {
    pub(super) claims: usize,
    pub(super) without_pod: usize,
    /// Claims of pods of another cluster, or of an unknown one.
    pub(super) elsewhere: usize,
    /// The cluster whose API server is asked.
    pub(super) cluster: String,
}

/// What would be released, compared with what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Balance {
    /// Nodes that claims of this cluster name.
    nodes: usize,
    /// How many of them the API server has.
    known_nodes: usize,
    /// Claims of this cluster on those.
    on_known_nodes: usize,
    /// How many of these would go.
    going: usize,
}

/// Whether a claim is of a pod of this cluster, so that the API server can be asked about it.
pub(super) fn is_ours(claim: &Claim, home: &Home) -> bool {
    claim.pod.as_ref().is_some_and(|pod| home.foreign(pod).is_none())
}

impl Sight {
    pub(super) fn of<'a>(claims: impl Iterator<Item = &'a Claim>, home: &Home) -> Self {
        let mut sight = Self { claims: 0, without_pod: 0, elsewhere: 0, cluster: home.cluster.clone() };
        for claim in claims {
            sight.claims += 1;
            match &claim.pod {
                None => sight.without_pod += 1,
                Some(pod) => sight.elsewhere += usize::from(home.foreign(pod).is_some()),
            }
        }
        sight
    }

    /// Why this cannot be the cluster in which the claims were made, if it cannot.
    pub(super) fn doubt(&self) -> Option<String> {
        let Self { claims, without_pod, elsewhere, cluster } = self;
        if *elsewhere == 0 || without_pod + elsewhere < *claims {
            return None;
        }
        Some(format!(
            "the API server belongs to cluster {cluster}, and {elsewhere} of {claims} claims belong to another or an \
             unknown cluster, none to this one"
        ))
    }
}

impl Balance {
    /// `ours` are the claims of this cluster, `going` those among them that would be released.
    pub(super) fn of<'a>(
        ours: impl Iterator<Item = &'a Claim>,
        going: impl Iterator<Item = &'a Claim>,
        inventory: &Inventory,
    ) -> Self {
        let known = inventory.nodes();
        let (mut nodes, mut on_known_nodes) = (BTreeSet::new(), 0);
        for claim in ours {
            nodes.insert(claim.node.as_str());
            on_known_nodes += usize::from(known.contains(claim.node.as_str()));
        }
        // Claims of nodes that are gone count neither way: a node that was removed takes all its pods with it, which is no
        // sign of a mistake.
        Self {
            nodes: nodes.len(),
            known_nodes: nodes.iter().filter(|node| known.contains(*node)).count(),
            on_known_nodes,
            going: going.filter(|claim| known.contains(claim.node.as_str())).count(),
        }
    }

    /// Why these releases look like a mistake, if they do.
    pub(super) fn doubt(&self) -> Option<String> {
        let Self { nodes, known_nodes, on_known_nodes, going } = *self;
        if nodes > 0 && known_nodes == 0 {
            return Some(format!("the API server has none of the {nodes} nodes that the claims name"));
        }
        if going > RECLAIM_FEW && going * RECLAIM_SHARE > on_known_nodes {
            return Some(format!("{going} of the {on_known_nodes} claims of nodes that exist would go at once"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(nodes: usize, known_nodes: usize, on_known_nodes: usize, going: usize) -> Option<String> {
        Balance { nodes, known_nodes, on_known_nodes, going }.doubt()
    }

    #[test]
    fn few_leaks_of_known_nodes_are_believed() {
        assert_eq!(balance(0, 0, 0, 0), None);
        assert_eq!(balance(3, 1, 10, 10), None, "a small cluster that was shut down");
        assert_eq!(balance(3, 3, 33, 11), None, "a third");
        assert!(balance(3, 3, 32, 11).unwrap().contains("11 of the 32 claims"));
        assert!(balance(3, 0, 0, 0).unwrap().contains("none of the 3 nodes"));
        assert_eq!(balance(30, 10, 900, 300), None, "the claims of lost nodes do not count");
    }

    #[test]
    fn a_cluster_that_made_none_of_the_claims_is_doubted() {
        let sight = |without_pod, elsewhere| Sight { claims: 5, without_pod, elsewhere, cluster: "east".into() };
        assert!(sight(0, 5).doubt().unwrap().contains("cluster east"));
        assert!(sight(2, 3).doubt().unwrap().contains("3 of 5 claims"));
        assert_eq!(sight(0, 4).doubt(), None, "two clusters share the store");
        assert_eq!(sight(5, 0).doubt(), None);
    }
}
