//! Who lives with which address: by what pods were told and by when they ended, whatever the books say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::Value;

use super::scene::Pod;

#[derive(Default)]
pub(crate) struct Judge(Mutex<Knowledge>);

#[derive(Default)]
struct Knowledge {
    /// Sandboxes that use an address, from the end of their ADD until they are stopped.
    living: BTreeMap<String, Life>,
    /// Sandboxes that use none any more, or never did, and may still be in the books.
    dead: BTreeMap<String, Pod>,
    /// What a DEL says of these is not certain: their ADD was killed, and its claim may be still on its way.
    killed: BTreeSet<String>,
    /// Which pod ceded its address to which, by uid.
    ceded: BTreeSet<(String, String)>,
    /// Revisions of ReplicaSets, by uid. They change between rounds only.
    revisions: BTreeMap<String, u32>,
}

/// What the books say of those that live, besides what has to be so.
#[derive(Default)]
pub(crate) struct Comparison {
    /// The addresses that are ceded, and the pods that ceded them.
    pub(crate) ceded: Vec<(String, String)>,
    /// How many have again what they had ceded when the books were compared before.
    pub(crate) given_back: usize,
}

#[derive(Clone, Debug)]
struct Life {
    pod: Pod,
    address: String,
}

impl Judge {
    pub(crate) fn revision(&self, set: &str, revision: u32) {
        self.0.lock().unwrap().revisions.insert(set.to_owned(), revision);
    }

    /// A sandbox was told an address: nobody who lives may have it, but one pod that cedes it. Whether one does.
    pub(crate) fn told(&self, pod: &Pod, container: &str, address: &str) -> bool {
        let mut known = self.0.lock().unwrap();
        let is_other = |(name, life): &(&String, &Life)| life.address == address && *name != container;
        let others: Vec<Life> = known.living.iter().filter(is_other).map(|(_, life)| life.clone()).collect();
        assert!(others.len() < 2, "{address} of {others:?} was given to {pod:?}");
        for other in &others {
            // The newer one may hear of it first.
            let shared = known.cedes(&other.pod, pod) || known.cedes(pod, &other.pod);
            assert!(shared, "{address} of {other:?}, which lives, was given to {pod:?}");
        }
        known.dead.remove(container);
        known.living.insert(container.to_owned(), Life { pod: pod.clone(), address: address.to_owned() });
        !others.is_empty()
    }

    /// What a living sandbox was told.
    pub(crate) fn address_of(&self, container: &str) -> Option<String> {
        self.0.lock().unwrap().living.get(container).map(|life| life.address.clone())
    }

    /// A sandbox is stopped. What it has in the books is no longer used.
    pub(crate) fn ended(&self, pod: &Pod, container: &str) {
        let mut known = self.0.lock().unwrap();
        known.living.remove(container);
        known.dead.insert(container.to_owned(), pod.clone());
    }

    /// An ADD was killed: nobody knows what came of it.
    pub(crate) fn killed(&self, pod: &Pod, container: &str) {
        let mut known = self.0.lock().unwrap();
        known.dead.insert(container.to_owned(), pod.clone());
        known.killed.insert(container.to_owned());
    }

    /// A DEL of this sandbox succeeded.
    pub(crate) fn released(&self, container: &str) {
        let mut known = self.0.lock().unwrap();
        if !known.killed.contains(container) {
            known.dead.remove(container);
        }
    }

    /// Nothing that is dead may be in the books from now on.
    pub(crate) fn forget_the_dead(&self) {
        let mut known = self.0.lock().unwrap();
        known.dead.clear();
        assert!(known.living.is_empty(), "{:?}", known.living.keys());
    }

    /// The sandboxes that live on a node, as its runtime knows them.
    pub(crate) fn living_on(&self, side: usize, node: usize) -> Vec<String> {
        let known = self.0.lock().unwrap();
        let here = |life: &Life| life.pod.side == side && life.pod.node == node;
        known.living.iter().filter(|(_, life)| here(life)).map(|(container, _)| container.clone()).collect()
    }

    /// When all is quiet: what every living pod was told is in the books as its own or as ceded by it, and nobody else is
    /// there but the dead.
    pub(crate) fn compare(&self, rows: &[Value]) -> Comparison {
        let mut known = self.0.lock().unwrap();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows: BTreeMap<String, &Value> = rows.iter().map(|row| (text(row, "address"), row)).collect();
        for row in rows.values() {
            let container = text(row, "container");
            let life = known.living.get(&container);
            let is_known =
                life.map_or(known.dead.contains_key(&container), |life| life.address == text(row, "address"));
            assert!(is_known, "nobody was told this: {row}");
        }
        let mut ceded = BTreeSet::new();
        let mut comparison = Comparison::default();
        for (container, Life { pod, address }) in &known.living {
            let row = rows.get(address).unwrap_or_else(|| panic!("{address} of {container} is not in the books"));
            let holder = text(row, "container");
            if holder == *container {
                comparison.given_back += usize::from(known.ceded.iter().any(|(former, _)| *former == pod.uid));
                continue;
            }
            assert_eq!(text(&row["former"], "container"), *container, "{address} was lost: {row}");
            let heir = known.living.get(&holder).map(|life| &life.pod).or_else(|| known.dead.get(&holder)).unwrap();
            assert!(known.cedes(pod, heir), "{pod:?} did not cede {address} to {heir:?}");
            ceded.insert((pod.uid.clone(), heir.uid.clone()));
            comparison.ceded.push((address.clone(), pod.name.clone()));
        }
        known.ceded = ceded;
        comparison
    }
}

impl Knowledge {
    /// Whether the first pod cedes its address to the second one, or has done so before.
    fn cedes(&self, old: &Pod, new: &Pod) -> bool {
        if self.ceded.contains(&(old.uid.clone(), new.uid.clone())) {
            return true;
        }
        let (Some((old_deployment, old_set)), Some((deployment, set))) = (&old.owner, &new.owner) else { return false };
        old.cedes && old_deployment == deployment && self.revisions[&set.uid] > self.revisions[&old_set.uid]
    }
}
