//! The properties of every good policy, tried in worlds that are made up.
//!
//! ```text
//!  seed ── generate ──► WorldPlan ── scene ──► Scene ── trial ──► World ── property ──► holds?
//!            ▲                                                             │ no
//!            └───────────────────── shrink ◄───────────────────────────────┤
//!                                                       counterexample ◄───┘ a test case
//! ```
//!
//! A property is demanded of every policy, whatever its rules: a policy may deny whom it likes, keep addresses for whom
//! it likes and prefer what it likes. So each property is stated relative to what the policy itself was seen doing.

mod annotations;
mod counterexample;
mod generate;
mod properties;
mod report;
mod scene;
mod trial;
mod writer;

use std::cell::{Cell, RefCell};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use serde_json::{Map, Value, json};

pub use report::{CheckReport, Counterexample, PropertyResult};

use crate::lab::{Mishap, World};
use cni::Fail;
use engine::{Call, Compiler, Policy, PolicyError, Source, Spent};
use generate::{WorldPlan, plans};
use limits::Limits;
use properties::Property;
use scene::{Scene, Site};
use trial::{Broken, Finding};

/// The number of worlds that a failing one may be shrunk through.
const SHRINKING: u32 = 2_000;

/// The module that is checked, and what is given for it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The module's file; without one the built-in policy is checked.
    pub module: Option<PathBuf>,
    /// The policy's settings in every world.
    pub settings: Map<String, Value>,
    /// Names of annotations that the policy reads, beside those that its description names.
    pub annotations: Vec<String>,
    /// The `ipam` section of a network that takes the place of generated ones.
    pub network: Option<Map<String, Value>>,
    /// What a run may spend.
    pub limits: Limits,
}

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Properties by name; all of them where there is none.
    pub only: Vec<String>,
    /// How many worlds are made for each property.
    pub worlds: u32,
    /// What the worlds are drawn from: the same seed, the same worlds.
    pub seed: u64,
}

/// Why a module cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The module is not a policy, or does not accept its settings.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A module that does not accept the settings it has where nobody gives it any.
    #[error(transparent)]
    NoSettings(PolicyError),
    /// The given network cannot be used.
    #[error(transparent)]
    Network(#[from] Mishap),
    /// An author names an annotation with which no pod gets as far as this policy.
    #[error(
        "the policy does not declare that it reads {0}, and the host refuses pods with it: add it to x-annotations in the settings schema"
    )]
    Undeclared(String),
    /// There is no room for the compiled module.
    #[error("cannot make a temporary directory")]
    Directory(#[from] std::io::Error),
}

impl Fail for CheckError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Policy(error) => error.hint(),
            Self::NoSettings(_) => Some("give it settings: --settings '{…}' or --settings @FILE.json".to_owned()),
            Self::Network(error) => error.hint(),
            Self::Undeclared(_) | Self::Directory(_) => None,
        }
    }
}

/// A module with everything that is the same in all its worlds, and what was seen in them.
struct Bench {
    policy: Policy,
    /// The same module, loaded a second time.
    loaded_again: Policy,
    settings: Map<String, Value>,
    site: Site,
    /// The most that any run of a property has spent.
    worst: Cell<Spent>,
    /// Whether any run has proposed an address.
    answered: Cell<bool>,
    /// The last refusal.
    refused: RefCell<Option<String>>,
}

/// The names of the properties.
pub fn names() -> impl Iterator<Item = &'static str> {
    properties::ALL.iter().map(|property| property.name)
}

/// Try the properties. `done` is called after each of them.
pub fn check(
    subject: &Subject,
    effort: &Effort,
    mut done: impl FnMut(&PropertyResult),
) -> Result<CheckReport, CheckError> {
    let bench = Bench::load(subject)?;
    let mut results = Vec::new();
    for property in &properties::ALL {
        if effort.only.is_empty() || effort.only.iter().any(|name| name == property.name) {
            let result = bench.try_out(property, effort);
            done(&result);
            results.push(result);
        }
    }
    Ok(CheckReport {
        policy: bench.policy.name().clone(),
        description: bench.policy.describe()?,
        seed: effort.seed,
        results,
        never_served: bench.never_served(),
    })
}

impl Bench {
    fn load(subject: &Subject) -> Result<Self, CheckError> {
        // A cache that others could write to would not be used, and the second load would compile once more.
        let mode = Permissions::from_mode(0o700);
        let cache = tempfile::Builder::new().permissions(mode).tempdir()?;
        let source = Source {
            module: subject.module.as_deref(),
            sha256: None,
            cache_dir: Some(cache.path()),
            limits: subject.limits,
            compiler: Compiler::InProcess,
            deadline: None,
        };
        let policy = Policy::load(&source)?;
        let site = Site {
            network: subject.network.clone(),
            words: writer::words(&subject.settings),
            read: policy.annotations()?,
            annotations: subject.annotations.clone(),
        };
        for name in &site.annotations {
            if annotations::is_ours(name) && !site.read.contains(name) {
                return Err(CheckError::Undeclared(name.clone()));
            }
        }
        let bench = Self {
            policy,
            loaded_again: Policy::load(&source)?,
            settings: subject.settings.clone(),
            site,
            worst: Cell::default(),
            answered: Cell::new(false),
            refused: RefCell::default(),
        };
        let settings = Value::Object(bench.settings.clone()).to_string();
        bench.policy.validate_settings(&settings)?;
        if let Some(network) = &bench.site.network {
            world(network, &bench.settings, &bench.policy)?;
        }
        Ok(bench)
    }

    fn try_out(&self, property: &'static Property, effort: &Effort) -> PropertyResult {
        self.worst.take();
        let began = Instant::now();
        let (tried, concerned, failed) = (Cell::new(0), Cell::new(0), Cell::new(false));
        let ended = TestRunner::new(config(effort)).run(&plans(property.is_small), |plan| {
            let found = self.find(property, &plan);
            // After the first failure, the worlds that follow are the failing one's shrunk forms: they are not counted,
            // or the report would tell of worlds that nobody asked for.
            if !failed.get() {
                tried.set(tried.get() + 1);
                let concerns = *found.as_ref().unwrap_or(&true);
                concerned.set(concerned.get() + u32::from(concerns));
            }
            failed.set(failed.get() || found.is_err());
            found.map(drop).map_err(|broken| TestCaseError::fail(broken.what))
        });
        // The runner keeps no more of a failure than its plan, so that the smallest world is played once more for the
        // steps that show it. It breaks again, as a policy is a function; one that is not breaks `same-answer`.
        let broken = match ended {
            Ok(()) => None,
            Err(TestError::Fail(_, plan)) => self.find(property, &plan).err(),
            Err(TestError::Abort(why)) => Some(Broken::plainly(why.message())),
        };
        let counterexample = broken.map(|broken| Counterexample::new(property, *broken, effort.seed));
        PropertyResult {
            name: property.name,
            why: property.why,
            worlds: tried.get(),
            concerned: concerned.get(),
            worst: self.worst.get(),
            limits: self.policy.limits(),
            took: began.elapsed(),
            counterexample,
        }
    }

    fn find(&self, property: &Property, plan: &WorldPlan) -> Finding {
        (property.check)(self, &Scene::of(plan, &self.site))
    }

    /// Note what these calls spent and answered. Every call of a check passes here.
    fn note(&self, calls: &[Call]) {
        for call in calls {
            let Spent { fuel, host_calls } = self.worst.get();
            self.worst
                .set(Spent { fuel: fuel.max(call.spent.fuel), host_calls: host_calls.max(call.spent.host_calls) });
            match &call.answer {
                Ok(ipam::Verdict::Propose(_)) => self.answered.set(true),
                Ok(ipam::Verdict::Refuse(refusal)) => *self.refused.borrow_mut() = Some(refusal.to_string()),
                Err(_) => {}
            }
        }
    }

    /// The last refusal of a policy that has proposed no address in any world, and so was not really checked.
    fn never_served(&self) -> Option<String> {
        if self.answered.get() {
            return None;
        }
        self.refused.borrow().clone()
    }
}

fn config(effort: &Effort) -> Config {
    Config {
        cases: effort.worlds,
        // A failure is saved as a case, and not as a seed in a file that proptest would read on the next run.
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(effort.seed),
        max_shrink_iters: SHRINKING,
        verbose: 0,
        ..Config::default()
    }
}

/// A world of this network, under this policy.
fn world(network: &Map<String, Value>, settings: &Map<String, Value>, policy: &Policy) -> Result<World, Mishap> {
    let mut ipam = network.clone();
    ipam.insert("policy".to_owned(), json!({"settings": settings}));
    World::new(&ipam, policy.clone())
}
