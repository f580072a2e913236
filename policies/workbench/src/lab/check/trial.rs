//! A scene is played, and whatever is done in it is noted, so that it can be done again as a test case.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Bench;
use super::counterexample::{Action, Expect, Step, Steps};
use super::scene::Scene;
use crate::lab::{Mishap, Proposed, TrialOutcome, TrialRequester, World};
use cni::{Fail, code};
use engine::{Fault, Policy, PolicyError};
use ipam::{Attachment, Kind, Span};
use kube_ipam::verbs::Error;
use store::StoreError;

/// A world under way, with the steps that led to where it is.
pub(super) struct Trial<'a> {
    bench: &'a Bench,
    scene: &'a Scene,
    settings: Map<String, Value>,
    held: Vec<(Span, Kind)>,
    pub(super) world: World,
    steps: RefCell<Vec<Step>>,
}

/// A property that does not hold.
#[derive(Debug)]
pub(super) struct Broken {
    /// What the policy did, in a sentence.
    pub(super) what: String,
    /// How to see it again; absent where no world is needed for that.
    pub(super) steps: Option<Steps>,
}

/// Whether the world could have broken the property, or how it did.
pub(super) type Finding = Result<bool, Box<Broken>>;

impl Broken {
    /// A finding for which no world is needed.
    pub(super) fn plainly(what: impl Into<String>) -> Box<Self> {
        Box::new(Self { what: what.into(), steps: None })
    }
}

impl From<Mishap> for Box<Broken> {
    fn from(mishap: Mishap) -> Self {
        Broken::plainly(mishap.to_string())
    }
}

impl From<StoreError> for Box<Broken> {
    fn from(error: StoreError) -> Self {
        Broken::plainly(error.to_string())
    }
}

impl<'a> Trial<'a> {
    /// The scene as the requester finds it.
    pub(super) fn of(bench: &'a Bench, scene: &'a Scene) -> Result<Self, Mishap> {
        Self::with(bench, scene, &bench.policy)
    }

    /// The scene as the requester finds it, with the module that was loaded again.
    pub(super) fn loaded_again(bench: &'a Bench, scene: &'a Scene) -> Result<Self, Mishap> {
        Self::with(bench, scene, &bench.loaded_again)
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
            let mut older = scene.requester.clone();
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

    pub(super) fn allocate(&self, requester: &TrialRequester) -> TrialOutcome {
        let allocation = self.world.allocate(requester);
        self.bench.note(&allocation.calls);
        // A step of a case succeeds unless it says otherwise. That this one was refused is part of how the world came to
        // be as it is, and not what is wrong.
        let refused = allocation.outcome.as_ref().err().map(|error| Expect::refused(reason(error), None));
        self.add_step(Action::Allocate(Box::new(requester.into())), refused);
        allocation
    }

    pub(super) fn contend(&self, requesters: &[TrialRequester]) -> Vec<TrialOutcome> {
        self.add_step(Action::Contend(requesters.iter().map(Into::into).collect()), None);
        let allocations = self.world.contend(requesters);
        for allocation in &allocations {
            self.bench.note(&allocation.calls);
        }
        allocations
    }

    pub(super) fn release(&self, attachment: &Attachment) {
        self.add_step(Action::Release(attachment.container.clone()), None);
        // A store in memory cannot fail at this, and an attachment that holds nothing releases nothing.
        drop(self.world.release(attachment));
    }

    pub(super) fn advance(&self, by: Duration) {
        self.add_step(Action::Advance(format!("{}s", by.as_secs())), None);
        self.world.advance(by);
    }

    /// Ask the policy without claiming anything. It is not a step: the world stays as it is.
    pub(super) fn propose(&self, requester: &TrialRequester, attempt: u32, contested: &[IpAddr]) -> Proposed {
        let proposed = self.world.propose(requester, attempt, contested);
        self.bench.note(&proposed.calls);
        proposed
    }

    /// A property is broken, because the last step should have had this outcome.
    pub(super) fn broken(&self, what: impl Into<String>, expect: Expect) -> Box<Broken> {
        let mut steps = self.steps.borrow().clone();
        if let Some(last) = steps.last_mut() {
            last.expect = Some(expect);
        }
        let Self { scene, settings, held, .. } = self;
        let steps = Steps::new(&scene.network, settings, held, steps);
        Box::new(Broken { what: what.into(), steps: Some(steps) })
    }

    /// A property is broken, because the requester, asking now, should have this outcome.
    pub(super) fn broken_asking(
        &self,
        requester: &TrialRequester,
        what: impl Into<String>,
        expect: Expect,
    ) -> Box<Broken> {
        self.add_step(Action::Allocate(Box::new(requester.into())), None);
        self.broken(what, expect)
    }

    fn add_step(&self, action: Action, expect: Option<Expect>) {
        self.steps.borrow_mut().push(Step { action, expect });
    }
}

/// Mark the last span of each range set as dynamic: behind it the search for the next address goes on.
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

/// The word of a test case for an error.
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

/// How a call of the policy ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ill {
    /// It spent all that it may.
    Overspent(String),
    /// It trapped, or proposed what cannot be used.
    Faulted(String),
}

/// The fault of a policy behind an error; a refusal is none.
pub(super) fn ill(error: &Error) -> Option<Ill> {
    match error {
        Error::Policy(PolicyError::Inquisitive { .. }) => Some(Ill::Overspent(error.to_string())),
        Error::Policy(PolicyError::Faulted { fault: Fault::Limit { limit, .. }, .. }) if limit.least < limit.most => {
            Some(Ill::Overspent(error.to_string()))
        }
        Error::Policy(_) => Some(Ill::Faulted(error.to_string())),
        _ => None,
    }
}
