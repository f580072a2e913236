//! What holds of every good policy, tried in worlds nobody thought of.
//!
//! ```text
//!  seed ── generate ──► Plan ── scene ──► Scene ── trial ──► World ── property ──► holds?
//!            ▲                                                             │ no
//!            └───────────────────── shrink ◄───────────────────────────────┤
//!                                                       counterexample ◄───┘ a test case
//! ```
//!
//! A property is demanded of every policy, whatever its rules: it may deny whom it likes, keep addresses for whom it
//! likes and prefer what it likes. So each is stated relative to what the policy itself was seen doing.

mod annotations;
mod counterexample;
mod generate;
mod properties;
mod report;
mod scene;
mod trial;

use std::cell::{Cell, RefCell};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use serde_json::{Map, Value, json};

pub use report::{Counterexample, Report, Result as PropertyResult};

use crate::lab::{Mishap, World};
use cni::Fail;
use engine::{Call, Compiler, Policy, PolicyError, Source, Spent};
use generate::{Plan, plans};
use limits::Limits;
use properties::Property;
use scene::{Scene, Site};
use trial::{Broken, Finding};

/// How many worlds a failing one may be shrunk through.
const SHRINKING: u32 = 2_000;

/// What is checked.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The module; without it the one that is built in.
    pub module: Option<PathBuf>,
    /// Its settings in every world.
    pub settings: Map<String, Value>,
    /// Names of annotations that it reads, beside those of kube-ipam that it says so of itself.
    pub annotations: Vec<String>,
    /// The `ipam` section of a network that takes the place of the generated ones.
    pub network: Option<Map<String, Value>>,
    /// What a run may spend.
    pub limits: Limits,
}

/// How much is tried.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Properties by name; all without one.
    pub only: Vec<String>,
    /// Worlds for each property.
    pub worlds: u32,
    /// The same seed, the same worlds.
    pub seed: u64,
}

/// Why a module cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is no policy, or does not accept its settings.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// It does not accept the settings that it has where nobody gives it any.
    #[error(transparent)]
    NoSettings(PolicyError),
    /// The given network is none.
    #[error(transparent)]
    Network(#[from] Mishap),
    /// An annotation with which no pod gets as far as this policy.
    #[error(
        "the policy does not say that it reads {0}, so that a pod with it is refused: name it in x-annotations of the settings schema"
    )]
    Undeclared(String),
    /// In a directory for the compiled module.
    #[error("a temporary directory cannot be made")]
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

/// A module with everything that is the same in all its worlds.
struct Bench {
    policy: Policy,
    /// Loaded a second time.
    anew: Policy,
    settings: Map<String, Value>,
    site: Site,
    worst: Cell<Spent>,
    answered: Cell<bool>,
    refused: RefCell<Option<String>>,
}

/// The properties' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    properties::ALL.iter().map(|property| property.name)
}

/// Try the properties; `done` hears of each when it is through.
pub fn check(subject: &Subject, effort: &Effort, mut done: impl FnMut(&PropertyResult)) -> Result<Report, CheckError> {
    let bench = Bench::load(subject)?;
    let wanted = |property: &&Property| effort.only.is_empty() || effort.only.iter().any(|name| name == property.name);
    let results = properties::ALL
        .iter()
        .filter(wanted)
        .map(|property| bench.try_out(property, effort))
        .inspect(&mut done)
        .collect();
    Ok(Report {
        policy: bench.policy.name().clone(),
        description: bench.policy.describe()?,
        seed: effort.seed,
        results,
        never_served: bench.never_served(),
    })
}

impl Bench {
    fn load(subject: &Subject) -> Result<Self, CheckError> {
        // As the cache of compiled modules demands.
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
            words: scene::words(&subject.settings),
            read: policy.annotations()?,
            annotations: subject.annotations.clone(),
        };
        let is_undeclared = |name: &&String| annotations::is_ours(name) && !site.read.contains(name);
        if let Some(name) = site.annotations.iter().find(is_undeclared) {
            return Err(CheckError::Undeclared(name.clone()));
        }
        let bench = Self {
            policy,
            anew: Policy::load(&source)?,
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
        let config = Config {
            cases: effort.worlds,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(effort.seed),
            max_shrink_iters: SHRINKING,
            verbose: 0,
            ..Config::default()
        };
        let ended = TestRunner::new(config).run(&plans(property.is_small), |plan| {
            let found = self.find(property, &plan);
            // What comes after the first failure is to shrink it.
            if !failed.get() {
                tried.set(tried.get() + 1);
                concerned.set(concerned.get() + u32::from(found.as_ref().map_or(true, |concerns| *concerns)));
            }
            failed.set(failed.get() || found.is_err());
            found.map(drop).map_err(|broken| TestCaseError::fail(broken.what))
        });
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

    fn find(&self, property: &Property, plan: &Plan) -> Finding {
        (property.check)(self, &Scene::of(plan, &self.site))
    }

    /// Every call passes here.
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

    /// The last refusal, where there was nothing else: nothing was checked then.
    fn never_served(&self) -> Option<String> {
        self.refused.borrow().clone().filter(|_| !self.answered.get())
    }
}

/// A world of this network, ruled by this policy.
fn world(network: &Map<String, Value>, settings: &Map<String, Value>, policy: &Policy) -> Result<World, Mishap> {
    let mut ipam = network.clone();
    ipam.insert("policy".to_owned(), json!({"settings": settings}));
    World::new(&ipam, policy.clone())
}
