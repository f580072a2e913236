//! What happens in a round: drawn from a seed, between the storms.

use std::collections::BTreeSet;

use kube_ipam_tests::apiserver::ReplicaSet;

use super::deed::{Deed, Then};
use super::scene::{FIXED, NODES, Pod, SIDES, Scene};
use crate::draw::Draw;

/// Pods that want any address, of the same names in both clusters.
const DYNAMIC: u64 = 6;
/// Pods of no Deployment that want an address by name.
const SOLO: u64 = 2;
/// The first two let a newer revision have their address.
const DEPLOYMENTS: usize = 3;

pub(crate) struct Plan {
    draw: Draw,
    pub(crate) pods: Vec<Pod>,
    /// The uids of those that end because their roll-out is undone.
    undone: BTreeSet<String>,
    deployments: Vec<Deployment>,
}

struct Deployment {
    side: usize,
    name: String,
    uid: String,
    wants: &'static str,
    cedes: bool,
    sets: Vec<ReplicaSet>,
    /// Which of its sets its new pods are of.
    current: usize,
    revision: u32,
    born: usize,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self { draw: Draw(seed), pods: Vec::new(), undone: BTreeSet::new(), deployments: Vec::new() }
    }

    pub(crate) fn round(&mut self, scene: &Scene) -> Vec<Deed> {
        let mut deeds = Vec::new();
        if self.draw.one_in(4) {
            deeds.push(self.restart_a_node(scene));
        }
        self.come(scene);
        self.roll_out(scene);
        for pod in std::mem::take(&mut self.pods) {
            deeds.push(self.fate(pod));
        }
        for side in 0..SIDES.len() {
            if self.draw.one_in(3) {
                deeds.push(Deed::Reclaim { side });
            }
            for node in 0..NODES.len() {
                if self.draw.one_in(4) {
                    deeds.push(Deed::Collect { side, node });
                }
            }
        }
        for at in (1..deeds.len()).rev() {
            deeds.swap(at, self.draw.index(at + 1));
        }
        deeds
    }

    /// Everything on it ends at once; nobody makes a DEL of that before the pods have new sandboxes.
    fn restart_a_node(&mut self, scene: &Scene) -> Deed {
        let (side, node) = (self.draw.index(SIDES.len()), self.draw.index(NODES.len()));
        for pod in self.pods.iter_mut().filter(|pod| pod.side == side && pod.node == node) {
            if let Some(container) = scene.end_sandbox(pod) {
                pod.died = Some(container);
            }
        }
        scene.counts.add("restarts", 1);
        Deed::Collect { side, node }
    }

    /// Pods of no Deployment that are not there.
    fn come(&mut self, scene: &Scene) {
        for side in 0..SIDES.len() {
            let dynamic = (0..DYNAMIC).map(|nth| (format!("db-{nth}"), false));
            let names = dynamic.chain((0..SOLO).map(|nth| (format!("solo-{nth}"), true)));
            for (name, is_fixed) in names.collect::<Vec<_>>() {
                let is_there = self.pods.iter().any(|pod| pod.side == side && pod.name == name);
                if is_there || self.draw.one_in(3) {
                    continue;
                }
                let wants = if is_fixed { Some(FIXED[self.draw.index(FIXED.len())]) } else { None };
                self.create(scene, side, name, wants, None);
            }
        }
    }

    /// New revisions, pods of the same one, and the undoing of roll-outs.
    fn roll_out(&mut self, scene: &Scene) {
        for side in 0..SIDES.len() {
            for nth in 0..DEPLOYMENTS {
                if self.deployments.len() < SIDES.len() * DEPLOYMENTS {
                    self.deployments.push(Deployment::new(scene, side, nth));
                }
                self.roll_out_of(scene, side * DEPLOYMENTS + nth);
            }
        }
    }

    fn roll_out_of(&mut self, scene: &Scene, nth: usize) {
        let deployment = &mut self.deployments[nth];
        let is_of = |pod: &&Pod| pod.owner.as_ref().is_some_and(|(uid, _)| *uid == deployment.uid);
        let pods = self.pods.iter().filter(is_of).count();
        let comes = match (pods, self.draw.below(4)) {
            (0, _) => true,
            (1, 2) => true,
            (1..3, 0 | 1) => {
                deployment.revise(scene);
                true
            }
            (2.., 2) => {
                let newer = deployment.undo(scene);
                let is_newer = |pod: &&Pod| pod.owner.as_ref().is_some_and(|(_, set)| set.uid == newer);
                self.undone.extend(self.pods.iter().filter(is_newer).map(|pod| pod.uid.clone()));
                false
            }
            _ => false,
        };
        if comes {
            deployment.born += 1;
            let set = deployment.sets[deployment.current].clone();
            let name = format!("{}-{}", set.name, deployment.born);
            let (side, wants) = (deployment.side, deployment.wants);
            let owner = (deployment.uid.clone(), set, deployment.cedes);
            self.create(scene, side, name, Some(wants), Some(owner));
        }
    }

    fn create(
        &mut self,
        scene: &Scene,
        side: usize,
        name: String,
        wants: Option<&'static str>,
        owner: Option<(String, ReplicaSet, bool)>,
    ) {
        let node = self.draw.index(NODES.len());
        let cedes = owner.as_ref().is_some_and(|(.., cedes)| *cedes);
        let owner = owner.map(|(deployment, set, _)| (deployment, set));
        let uid = String::new();
        let mut pod = Pod { side, node, name, uid, wants, cedes, owner, container: None, died: None };
        pod.uid = scene.sides[side].build(&pod).create();
        self.pods.push(pod);
    }

    fn fate(&mut self, pod: Pod) -> Deed {
        if self.undone.remove(&pod.uid) {
            return match self.draw.below(4) {
                0 => Deed::Lose(pod),
                1 => Deed::StopLate(pod),
                _ => Deed::Stop(pod),
            };
        }
        // Pods of Deployments live longer, so that their roll-outs meet some that live.
        let drawn = self.draw.below(if pod.owner.is_some() { 28 } else { 16 });
        if pod.container.is_none() {
            let then = [Then::Del, Then::Add, Then::Nothing][self.draw.index(3)];
            let after = self.draw.below(40);
            return match drawn {
                0 => Deed::Stop(pod),
                1 | 2 => Deed::Die { pod, after, then },
                _ => Deed::Start { pod, late_del: drawn.is_multiple_of(2) },
            };
        }
        match drawn {
            0..3 => Deed::Stop(pod),
            3 => Deed::StopLate(pod),
            4 | 5 => Deed::Lose(pod),
            6 => Deed::Finish(pod),
            7 | 8 => Deed::Replace(pod),
            9 => Deed::Repeat(pod),
            10 | 11 => Deed::Check(pod),
            _ => Deed::Rest(pod),
        }
    }
}

impl Deployment {
    /// Its address is wanted by a Deployment of another name in the other cluster, with few exceptions.
    fn new(scene: &Scene, side: usize, nth: usize) -> Self {
        let name = format!("web-{nth}");
        let uid = scene.sides[side].server.deployment("shop", &name);
        let (wants, cedes) = (FIXED[side + nth], nth < 2);
        let mut deployment = Self { side, name, uid, wants, cedes, sets: Vec::new(), current: 0, revision: 0, born: 0 };
        deployment.revise(scene);
        deployment
    }

    fn revise(&mut self, scene: &Scene) {
        self.revision += 1;
        let name = format!("{}-r{}", self.name, self.revision);
        let server = &scene.sides[self.side].server;
        let set = server.replica_set("shop", &name, (&self.name, &self.uid), self.revision);
        scene.judge.revision(&set.uid, self.revision);
        self.current = self.sets.len();
        self.sets.push(set);
    }

    /// The set before counts as the newest. The uid of the one that does no longer.
    fn undo(&mut self, scene: &Scene) -> String {
        let newer = self.sets[self.current].uid.clone();
        self.revision += 1;
        self.current = self.current.saturating_sub(1);
        let set = &self.sets[self.current];
        scene.sides[self.side].server.set_revision("shop", set, self.revision);
        scene.judge.revision(&set.uid, self.revision);
        newer
    }
}
