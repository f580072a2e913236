//! Many containers that come and go on two nodes, for schedules at random.

use std::rc::Rc;

use serde_json::json;

use super::{Cast, Play, Scenario, offer, ranges};
use crate::scene::{PodRequest, Site, pause};
use crate::sim::{Fault, with};

struct Crowd {
    nodes: [Site; 2],
    containers: Vec<PodRequest>,
}

const NAMES: [&str; 12] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11"];

/// Containers on the node with this number.
fn on(node: usize) -> Vec<&'static str> {
    NAMES.iter().enumerate().filter(|(nth, _)| nth % 2 == node).map(|(_, name)| *name).collect()
}

pub(super) fn scenario() -> Scenario {
    let node = |name: &str| {
        let mut ipam = ranges(2, 9);
        ipam["cooldown"] = json!("5s");
        Site::new("blue", name, ipam, None)
    };
    let nodes = [node("node-1"), node("node-2")];
    let containers = NAMES.iter().enumerate().map(|(nth, name)| nodes[nth % 2].asking(name, None)).collect();
    let cast = Cast::new(Crowd { nodes, containers });
    let mut plays: Vec<Play<Crowd>> = Vec::new();
    for nth in 0..NAMES.len() {
        plays.push(Box::new(move |cast: Rc<Crowd>| Box::pin(come_and_go(cast, nth))));
    }
    for node in 0..2 {
        plays.push(Box::new(move |cast: Rc<Crowd>| Box::pin(collect(cast, node))));
    }
    Scenario {
        name: "crowd",
        what: "twelve containers that come and go on two nodes, GC on both",
        // Containers are added again under their own names after their DEL, as no runtime does. A repeated ADD answers what it
        // reads: one that is shown the past would answer the claim that its DEL has ended.
        possible: Fault::OF_STORE.into_iter().filter(|fault| *fault != Fault::StaleView).collect(),
        begin: cast.piece(|_: Rc<Crowd>| async move { offer(2, 9) }),
        processes: cast.processes(plays),
        end: cast.piece(|cast: Rc<Crowd>| async move {
            for (node, site) in cast.nodes.iter().enumerate() {
                let all: Vec<&PodRequest> = cast.containers.iter().skip(node).step_by(2).collect();
                site.judge_end(&all).await;
                site.empty(&all).await;
            }
            cast.nodes[0].judge_emptiness(&[]).await;
        }),
    }
}

async fn come_and_go(cast: Rc<Crowd>, nth: usize) {
    let (site, asking) = (&cast.nodes[nth % 2], &cast.containers[nth]);
    let container = asking.container.as_str();
    for _ in 0..2 {
        pause().await;
        let told = site.add(asking).await;
        pause().await;
        let Some(told) = told else {
            site.del_until_done(container).await;
            continue;
        };
        if with(|state| state.choices.choose(2)) == 1 {
            site.check(container, told).await;
            pause().await;
        }
        // A node that was rebooted never calls it, and its GC finds what is left.
        if with(|state| state.choices.choose(4)) == 3 {
            with(|state| state.judge.ends(container));
            return;
        }
        site.del_until_done(container).await;
    }
}

async fn collect(cast: Rc<Crowd>, node: usize) {
    for _ in 0..2 {
        pause().await;
        cast.nodes[node].gc(&on(node)).await;
    }
}
