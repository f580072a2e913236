//! A simulation runs its model: round after round, pods end and others start.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::history::{Change, Event, History};
use super::model::{Dice, Lifetimes, Model};
use super::space::Space;
use crate::lab::world::attachment;
use crate::lab::{TrialRequester, World};
use ipam::{Attachment, Claim, Owner, Pod, PodName};
use kube_ipam::verbs::Error;

/// Run a model in a world. `progress` is told how many pods have started.
pub fn simulate(world: &World, model: &Model, mut progress: impl FnMut(u64)) -> Result<History, Error> {
    let target = model.target(world.range_sets());
    let mut run = Simulation::new(world, model);
    let (mut started, mut lived, mut due) = (0, 0, Duration::ZERO);
    while started < model.pods {
        let filling = started < target;
        let mut asking = model.contention.min(model.pods - started);
        if filling {
            asking = asking.min(target - started);
        } else {
            // Events move the clock, too, by a millisecond each. So the time until the next round is not added to it;
            // the clock is put to where the round is due, or is left alone where it is there already.
            due += model.interval(started, target);
            world.advance((run.history.filled + due).saturating_sub(run.elapsed()));
            lived += model.interval_in_lifetimes(target);
            run.end(lived)?;
        }
        let names: Vec<Name> = (started..started + asking).map(|nth| run.name(nth, filling)).collect();
        run.start(started, &names, lived);
        started += asking;
        if started <= target {
            run.history.filled = run.elapsed();
        }
        progress(started);
    }
    run.history.ended = run.elapsed();
    Ok(run.history)
}

/// The name of a pod. A StatefulSet's pod comes back under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name {
    namespace: u64,
    nth: u64,
    stateful: bool,
}

struct Simulation<'a> {
    world: &'a World,
    model: &'a Model,
    spaces: Vec<Space>,
    dice: Dice,
    /// The pods that run: when each ends, and its container. The one that ends first comes first.
    running: BinaryHeap<Reverse<(Lifetimes, u64, Name)>>,
    /// Pods of StatefulSets that ended or were refused. They start before any new pod does.
    away: VecDeque<Name>,
    /// The addresses that each pod of a StatefulSet held the last time.
    had: HashMap<Name, BTreeSet<IpAddr>>,
    beginning: Timestamp,
    round: u64,
    history: History,
}

impl<'a> Simulation<'a> {
    fn new(world: &'a World, model: &'a Model) -> Self {
        Self {
            world,
            model,
            spaces: world.range_sets().iter().map(Space::of).collect(),
            dice: Dice::new(model.seed),
            running: BinaryHeap::new(),
            away: VecDeque::new(),
            had: HashMap::new(),
            beginning: world.now(),
            round: 0,
            history: History::default(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.world.now().duration_since(self.beginning).unsigned_abs()
    }

    /// End the pods whose time is over, and release their addresses.
    fn end(&mut self, lived: Lifetimes) -> Result<(), Error> {
        while self.running.peek().is_some_and(|Reverse((end, ..))| *end <= lived) {
            let Some(Reverse((_, nth, name))) = self.running.pop() else { break };
            if let Some(claim) = self.world.release(&container(nth))? {
                self.add_events(&claim, Change::Release);
            }
            self.leave(name);
        }
        Ok(())
    }

    fn leave(&mut self, name: Name) {
        if name.stateful {
            self.away.push_back(name);
        }
    }

    /// The name of the pod that starts next. StatefulSets are made while the ranges are filled.
    fn name(&mut self, nth: u64, filling: bool) -> Name {
        if let Some(name) = self.away.pop_front() {
            return name;
        }
        let namespace = self.dice.below(self.model.namespaces) + 1;
        Name { namespace, nth, stateful: filling && self.dice.hits(self.model.stateful) }
    }

    /// Start these pods at once, each on another node as far as there are nodes.
    fn start(&mut self, first: u64, names: &[Name], lived: Lifetimes) {
        let nodes = self.model.nodes;
        let node = self.dice.below(nodes);
        let mut requesters = Vec::new();
        for (nth, name) in (0..).zip(names) {
            requesters.push(self.requester(*name, first + nth, (node + nth) % nodes));
        }
        let allocations = self.world.contend(&requesters);
        for ((nth, name), allocation) in (first..).zip(names).zip(allocations) {
            // Drawn for a pod that is refused, too: so a policy's refusals do not change what is drawn for other pods.
            let lifetime = self.dice.lifetime();
            self.history.add_runs(&allocation.calls);
            match allocation.outcome {
                Ok(claim) => {
                    self.history.add_allocation(allocation.calls.len());
                    self.add_events(&claim, Change::Claim);
                    self.running.push(Reverse((lived.saturating_add(lifetime), nth, *name)));
                    if name.stateful {
                        self.note_return(*name, &claim);
                    }
                }
                Err(error) => {
                    self.history.add_refusal(&error);
                    self.leave(*name);
                }
            }
        }
        self.round += 1;
    }

    /// Note whether a pod that comes back got the addresses it had. One that comes for the first time had none.
    fn note_return(&mut self, name: Name, claim: &Claim) {
        let holds: BTreeSet<IpAddr> = claim.addresses().collect();
        if let Some(had) = self.had.insert(name, holds.clone()) {
            self.history.returns.push(had == holds);
        }
    }

    /// The policy is told of a StatefulSet where the network's configuration asks for that.
    fn requester(&self, Name { namespace, nth, stateful }: Name, container_nth: u64, node: u64) -> TrialRequester {
        let set = if stateful { "stateful" } else { "pod" };
        let name = PodName {
            namespace: format!("namespace-{namespace}"),
            name: format!("{set}-{nth}"),
            uid: Some(format!("uid-{container_nth}")),
            cluster: None,
        };
        let mut owner = None;
        if stateful && self.world.tells_owners() {
            owner = Some(Owner { kind: "StatefulSet".to_owned(), name: set.to_owned() });
        }
        TrialRequester {
            attachment: container(container_nth),
            node: format!("node-{}", node + 1),
            pod: Some(Pod { name, annotations: BTreeMap::new(), labels: BTreeMap::new(), owner }),
            ..TrialRequester::container("")
        }
    }

    /// Add an event for each address of a claim. One outside the ranges, which a policy may give to a pod that names it,
    /// has no place and is not counted.
    fn add_events(&mut self, claim: &Claim, change: Change) {
        let (at, round) = (self.elapsed(), self.round);
        for address in claim.addresses() {
            for (range_set, space) in self.spaces.iter().enumerate() {
                if let Some(place) = space.place(address) {
                    self.history.events.push(Event { at, round, range_set, place, change });
                    break;
                }
            }
        }
    }
}

fn container(nth: u64) -> Attachment {
    attachment(&format!("container-{nth}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::lab::simulate::{Share, SimulationReport};
    use engine::{Policy, Source};

    fn world(ipam: &Value) -> World {
        let source = Source::alone(None);
        World::new(ipam.as_object().unwrap(), Policy::load(&source).unwrap()).unwrap()
    }

    fn model(pods: u64, fill: &str, seed: u64) -> Model {
        let (fill, churn) = (fill.parse().unwrap(), vec!["0.5".parse().unwrap()]);
        Model { pods, churn, fill, stateful: Share::NONE, contention: 5, nodes: 7, namespaces: 2, seed }
    }

    /// Without the times.
    fn report(seed: u64) -> Value {
        let world = world(&json!({"ranges": [[{"subnet": "10.0.0.0/26"}], [{"subnet": "fd00::/64"}]]}));
        let model = model(500, "0.5", seed);
        let history = simulate(&world, &model, |_| ()).unwrap();
        let mut report = serde_json::to_value(SimulationReport::of(&world, &model, &history, Duration::ZERO)).unwrap();
        report.as_object_mut().unwrap().remove("times").unwrap();
        report.as_object_mut().unwrap().remove("model").unwrap();
        report
    }

    #[test]
    fn the_same_seed_gives_the_same_report_and_another_another() {
        let one = report(1);
        assert_eq!(one, report(1));
        assert_ne!(one, report(2));
        assert_eq!(one["allocations"], 500);
        assert_eq!(one["rangeSets"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_population_stays_around_its_target() {
        let world = world(&json!({"subnet": "10.0.0.0/22"}));
        let model = model(4_000, "0.5", 3);
        let report = SimulationReport::of(&world, &model, &simulate(&world, &model, |_| ()).unwrap(), Duration::ZERO);
        let utilisation = report.range_sets[0].utilisation;
        assert!((0.45..0.55).contains(&utilisation.mean), "{utilisation:?}");
        // 3,490 of 510 are replaced at half of them an hour.
        assert!((13..15).contains(&(report.simulated_seconds / 3_600)), "{report:?}");
    }

    #[test]
    fn pods_of_stateful_sets_come_back_and_are_no_fewer_for_it() {
        let world = world(&json!({"subnet": "10.0.0.0/26"}));
        let model = Model { stateful: "0.5".parse().unwrap(), ..model(2_002, "0.95", 1) };
        let mut run = Simulation::new(&world, &model);
        let (first, names): (u64, Vec<Name>) = (0, (0..57).map(|nth| run.name(nth, true)).collect());
        run.start(first, &names, 0);
        let stateful = names.iter().filter(|name| name.stateful).count();
        assert!((20..38).contains(&stateful), "{stateful}");
        run.end(Lifetimes::MAX).unwrap();
        let names: Vec<Name> = (57..114).map(|nth| run.name(nth, false)).collect();
        assert!(names[..stateful].iter().all(|name| name.stateful && name.nth < 57));
        assert!(names[stateful..].iter().all(|name| !name.stateful && name.nth >= 57));

        let history = simulate(&world, &model, |_| ()).unwrap();
        assert!(history.refusals["exhausted"].count > 10);
        // Half of those that live, and so half of those that end.
        assert!((800..1_150).contains(&history.returns.len()), "{}", history.returns.len());
    }

    #[test]
    fn the_built_in_policy_refuses_nobody_while_an_address_is_free() {
        let world = world(&json!({"subnet": "10.0.0.0/26"}));
        // 57 of them fill the range, five by five come the others.
        let model = model(2_002, "0.95", 1);
        let history = simulate(&world, &model, |_| ()).unwrap();
        assert_eq!(history.refusals.keys().copied().collect::<Vec<_>>(), ["exhausted"]);
        // What ends is released before a round; a round with a refusal ends with everything held.
        let mut held = 0_i64;
        let mut claims = 0;
        let mut events = history.events.iter().peekable();
        let mut full = 0;
        while let Some(event) = events.next() {
            let claim = event.change == Change::Claim;
            held += if claim { 1 } else { -1 };
            claims += u64::from(claim);
            if events.peek().is_none_or(|next| next.round != event.round) {
                let refused = model.contention.saturating_sub(claims);
                let is_filling = event.at <= history.filled;
                if refused > 0 && !is_filling {
                    assert_eq!(held, 61, "{event:?}");
                    full += 1;
                }
                claims = 0;
            }
        }
        assert!(full > 10, "{full}");
    }
}
