//! The model, run: round after round, pods end and others start.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use jiff::Timestamp;

use super::history::{Change, Event, History};
use super::model::{Dice, Lives, Model};
use super::space::Space;
use crate::ipam::{Attachment, Claim, Pod, PodName};
use crate::lab::world::attachment;
use crate::lab::{Asker, World};
use crate::verbs::Error;

/// Run a model in a world. `progress` is told how many pods have started.
pub fn simulate(world: &World, model: &Model, mut progress: impl FnMut(u64)) -> Result<History, Error> {
    let target = model.target(world.range_sets());
    let mut run = Run::new(world, model);
    let (mut started, mut lived, mut due) = (0, 0, Duration::ZERO);
    while started < model.pods {
        let mut asking = model.contention.min(model.pods - started);
        if started < target {
            asking = asking.min(target - started);
        } else {
            // The clock is moved by what happens, too: never back.
            due += model.interval(started, target);
            world.advance((run.history.filled + due).saturating_sub(run.elapsed()));
            lived += model.interval_in_lives(target);
            run.end(lived)?;
        }
        run.start(started, asking, lived);
        started += asking;
        if started <= target {
            run.history.filled = run.elapsed();
        }
        progress(started);
    }
    run.history.ended = run.elapsed();
    Ok(run.history)
}

struct Run<'a> {
    world: &'a World,
    model: &'a Model,
    spaces: Vec<Space>,
    dice: Dice,
    living: BinaryHeap<Reverse<(Lives, u64)>>,
    beginning: Timestamp,
    round: u64,
    history: History,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, model: &'a Model) -> Self {
        Self {
            world,
            model,
            spaces: world.range_sets().iter().map(Space::of).collect(),
            dice: Dice::new(model.seed),
            living: BinaryHeap::new(),
            beginning: world.now(),
            round: 0,
            history: History::default(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.world.now().duration_since(self.beginning).unsigned_abs()
    }

    /// The pods whose time is over give their addresses back.
    fn end(&mut self, lived: Lives) -> Result<(), Error> {
        while self.living.peek().is_some_and(|Reverse((end, _))| *end <= lived) {
            let Some(Reverse((_, nth))) = self.living.pop() else { break };
            if let Some(claim) = self.world.release(&container(nth))? {
                self.write_down(&claim, Change::Release);
            }
        }
        Ok(())
    }

    /// Pods start on so many nodes at once.
    fn start(&mut self, first: u64, asking: u64, lived: Lives) {
        let node = self.dice.below(self.model.nodes);
        let askers: Vec<Asker> =
            (0..asking).map(|nth| self.asker(first + nth, (node + nth) % self.model.nodes)).collect();
        let allocations = self.world.contend(&askers);
        for (nth, allocation) in (first..).zip(allocations) {
            let life = self.dice.life();
            self.history.ran(&allocation.calls);
            match allocation.outcome {
                Ok(claim) => {
                    self.history.allocated(allocation.calls.len());
                    self.write_down(&claim, Change::Claim);
                    self.living.push(Reverse((lived.saturating_add(life), nth)));
                }
                Err(error) => self.history.refused(&error),
            }
        }
        self.round += 1;
    }

    fn asker(&mut self, nth: u64, node: u64) -> Asker {
        let namespace = self.dice.below(self.model.namespaces) + 1;
        let name = PodName {
            namespace: format!("namespace-{namespace}"),
            name: format!("pod-{nth}"),
            uid: Some(format!("uid-{nth}")),
        };
        Asker {
            attachment: container(nth),
            node: format!("node-{}", node + 1),
            pod: Some(Pod { name, annotations: BTreeMap::new(), labels: BTreeMap::new(), owner: None }),
            ..Asker::container("")
        }
    }

    /// Addresses outside the ranges, which only a pod can name, are not counted.
    fn write_down(&mut self, claim: &Claim, change: Change) {
        let (at, round) = (self.elapsed(), self.round);
        let place = |address| {
            let place = |(range_set, space): (usize, &Space)| Some((range_set, space.place(address)?));
            self.spaces.iter().enumerate().find_map(place)
        };
        let events = claim.addresses().filter_map(place);
        self.history.events.extend(events.map(|(range_set, place)| Event { at, round, range_set, place, change }));
    }
}

fn container(nth: u64) -> Attachment {
    attachment(&format!("container-{nth}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::lab::simulate::Report;
    use crate::policy::{Policy, Source};

    fn world(ipam: &Value) -> World {
        let source = Source::alone(None);
        World::new(ipam.as_object().unwrap(), Policy::load(&source).unwrap()).unwrap()
    }

    fn model(pods: u64, fill: &str, seed: u64) -> Model {
        let fill = fill.parse().unwrap();
        Model { pods, churn: vec!["0.5".parse().unwrap()], fill, contention: 5, nodes: 7, namespaces: 2, seed }
    }

    /// Without the times.
    fn report(seed: u64) -> Value {
        let world = world(&json!({"ranges": [[{"subnet": "10.0.0.0/26"}], [{"subnet": "fd00::/64"}]]}));
        let model = model(500, "0.5", seed);
        let history = simulate(&world, &model, |_| ()).unwrap();
        let mut report = serde_json::to_value(Report::of(&world, &model, &history, Duration::ZERO)).unwrap();
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
        let report = Report::of(&world, &model, &simulate(&world, &model, |_| ()).unwrap(), Duration::ZERO);
        let utilisation = report.range_sets[0].utilisation;
        assert!((0.45..0.55).contains(&utilisation.mean), "{utilisation:?}");
        // 3,490 of 510 are replaced at half of them an hour.
        assert!((13..15).contains(&(report.simulated_seconds / 3_600)), "{report:?}");
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
