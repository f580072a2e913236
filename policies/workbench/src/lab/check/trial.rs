//! A scene, played: whatever is done in it is written down, so that it can be done again as a test case.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Bench;
use super::counterexample::{Action, Expect, Step, Steps};
use super::scene::Scene;
use crate::lab::{Asker, Mishap, Proposed, TrialOutcome, World};
use cni::{Fail, code};
use engine::{Fault, Policy, PolicyError};
use ipam::{Attachment, Kind, Span};
use kube_ipam::verbs::Error;

/// A world under way.
pub(super) struct Trial<'a> {
    bench: &'a Bench,
    scene: &'a Scene,
    settings: Map<String, Value>,
    held: Vec<(Span, Kind)>,
    pub(super) world: World,
    steps: RefCell<Vec<Step>>,
}

/// A property does not hold.
#[derive(Debug)]
pub(super) struct Broken {
    /// What was seen.
    pub(super) what: String,
    /// How to see it again; absent where no world is needed.
    pub(super) steps: Option<Steps>,
}

/// Whether the world had anything to do with the property.
pub(super) type Finding = Result<bool, Box<Broken>>;

impl Broken {
    /// Without a world.
    pub(super) fn plainly(what: impl Into<String>) -> Box<Self> {
        Box::new(Self { what: what.into(), steps: None })
    }
}

impl From<Mishap> for Box<Broken> {
    fn from(mishap: Mishap) -> Self {
        Broken::plainly(mishap.to_string())
    }
}

impl<'a> Trial<'a> {
    /// The scene as it is found when the asker comes.
    pub(super) fn of(bench: &'a Bench, scene: &'a Scene) -> Result<Self, Mishap> {
        Self::with(bench, scene, &bench.policy)
    }

    /// The same, with a module that was loaded anew.
    pub(super) fn anew(bench: &'a Bench, scene: &'a Scene) -> Result<Self, Mishap> {
        Self::with(bench, scene, &bench.anew)
    }

    /// The scene's network with nothing held, and other settings.
    pub(super) fn with_settings(
        bench: &'a Bench,
        scene: &'a Scene,
        settings: Map<String, Value>,
    ) -> Result<Self, Mishap> {
        Self::begin(bench, scene, settings, Vec::new(), &bench.policy)
    }

    fn with(bench: &'a Bench, scene: &'a Scene, policy: &Policy) -> Result<Self, Mishap> {
        let trial = Self::begin(bench, scene, bench.settings.clone(), scene.held.clone(), policy)?;
        for (visitor, leaves) in &scene.visits {
            trial.allocate(visitor);
            if *leaves {
                trial.release(&visitor.attachment);
            }
        }
        if scene.older {
            let mut older = scene.asker.clone();
            older.attachment.container = "older".to_owned();
            trial.allocate(&older);
        }
        Ok(trial)
    }

    /// The scene's network, with these addresses held and nothing else.
    pub(super) fn holding(bench: &'a Bench, scene: &'a Scene, held: Vec<Span>) -> Result<Self, Mishap> {
        Self::begin(bench, scene, bench.settings.clone(), held, &bench.policy)
    }

    fn begin(
        bench: &'a Bench,
        scene: &'a Scene,
        settings: Map<String, Value>,
        held: Vec<Span>,
        policy: &Policy,
    ) -> Result<Self, Mishap> {
        let world = super::world(&scene.network, &settings, policy)?;
        let held = marked(scene, held);
        for (span, kind) in &held {
            world.hold(*span, *kind)?;
        }
        Ok(Self { bench, scene, settings, held, world, steps: RefCell::default() })
    }

    pub(super) fn allocate(&self, asker: &Asker) -> TrialOutcome {
        let allocation = self.world.allocate(asker);
        self.bench.note(&allocation.calls);
        let refused = allocation.outcome.as_ref().err().map(|error| Expect::refused(reason(error), None));
        self.write_down(Action::Allocate(Box::new(asker.into())), refused);
        allocation
    }

    pub(super) fn contend(&self, askers: &[Asker]) -> Vec<TrialOutcome> {
        self.write_down(Action::Contend(askers.iter().map(Into::into).collect()), None);
        let allocations = self.world.contend(askers);
        allocations.iter().for_each(|allocation| self.bench.note(&allocation.calls));
        allocations
    }

    pub(super) fn release(&self, attachment: &Attachment) {
        self.write_down(Action::Release(attachment.container.clone()), None);
        // A store in memory has nothing to fail at; whoever holds nothing releases nothing.
        drop(self.world.release(attachment));
    }

    pub(super) fn advance(&self, by: Duration) {
        self.write_down(Action::Advance(format!("{}s", by.as_secs())), None);
        self.world.advance(by);
    }

    /// What the policy would answer; nothing comes of it.
    pub(super) fn propose(&self, asker: &Asker, attempt: u32, contested: &[IpAddr]) -> Proposed {
        let proposed = self.world.propose(asker, attempt, contested);
        self.bench.note(&proposed.calls);
        proposed
    }

    /// The last step should have gone otherwise.
    pub(super) fn broken(&self, what: impl Into<String>, expect: Expect) -> Box<Broken> {
        let mut steps = self.steps.borrow().clone();
        if let Some(last) = steps.last_mut() {
            last.expect = Some(expect);
        }
        let Self { scene, settings, held, .. } = self;
        let steps = Steps::new(&scene.network, settings, held, steps);
        Box::new(Broken { what: what.into(), steps: Some(steps) })
    }

    /// The asker, asking now, should get another answer.
    pub(super) fn broken_asking(&self, asker: &Asker, what: impl Into<String>, expect: Expect) -> Box<Broken> {
        self.write_down(Action::Allocate(Box::new(asker.into())), None);
        self.broken(what, expect)
    }

    fn write_down(&self, action: Action, expect: Option<Expect>) {
        self.steps.borrow_mut().push(Step { action, expect });
    }
}

/// Of each range set the last one is dynamic: there the search for the next address goes on.
fn marked(scene: &Scene, held: Vec<Span>) -> Vec<(Span, Kind)> {
    let mut marked: Vec<(Span, Kind)> = held.into_iter().map(|span| (span, Kind::Fixed)).collect();
    let mut seen = Vec::new();
    for (span, kind) in marked.iter_mut().rev() {
        let set = scene.range_sets.offering(span.last());
        if !seen.contains(&set) {
            *kind = Kind::Dynamic;
            seen.push(set);
        }
    }
    marked
}

/// As a test case calls it.
fn reason(error: &Error) -> &'static str {
    match error.code() {
        code::EXHAUSTED => "exhausted",
        code::TAKEN => "taken",
        code::INVALID_REQUEST => "invalid",
        code::DENIED => "denied",
        code::POLICY_FAULT => "fault",
        code::TRY_AGAIN => "contended",
        _ => "other",
    }
}

/// What a call ended in when it ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// It spent what it may.
    Overspent(String),
    /// It trapped, or answered what cannot be.
    Faulted(String),
}

/// A fault of the policy, told apart from a refusal.
pub(super) fn ill(error: &Error) -> Option<Ill> {
    match error {
        Error::Inquisitive { .. } => Some(Ill::Overspent(error.to_string())),
        Error::Policy(PolicyError::Faulted { fault: Fault::Limit { limit, .. }, .. }) if limit.least < limit.most => {
            Some(Ill::Overspent(error.to_string()))
        }
        Error::Policy(_) => Some(Ill::Faulted(error.to_string())),
        _ => None,
    }
}
