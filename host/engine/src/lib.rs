//! Policies: WebAssembly components that say which address a pod gets.
//!
//! ```text
//!  policy.module ── digest ── pin ── cache ──┬── hit ──────────────┬── link ──► Policy
//!                                            └── compile (child) ──┘
//!
//!  Policy::decide ───► allocate ───► fresh instance ───► every proposal checked ───► Verdict
//!        ▲                               │ ▲ pool, log
//!        │                               ▼ │
//!        │                            one snapshot
//!        │                               │ a question it cannot answer ends the run
//!        └── the caller answers it ◄─────┘
//! ```
//!
//! A policy is somebody else's program, it has a say in the network of every pod, and the process that runs it is root's.
//! Three things make that bearable.
//!
//! **A policy is a function** of the request, the settings and the snapshot. It has no clock, no randomness, no file and no
//! memory: each run has a fresh instance, and nothing of one run reaches the next. So it may be run again wherever that is
//! convenient: after each read of the store (`decide`), after a lost race, beside another policy, and months later on
//! an author's laptop, from a decision that a node wrote down.
//!
//! **The policy proposes, the host disposes.** What comes back is checked against the ranges before anybody sees it, and an
//! address is claimed by the host, in a transaction that the policy knows nothing of. However hostile a policy is, the worst it
//! can do is to give no address.
//!
//! **Whatever may take long is bounded, and most of it is done before.** A run ends with its fuel, its time, its memory or
//! its calls into the host (`sandbox`). Compiling takes longer than a whole ADD, so it is done once for a node, by a child
//! process that is itself confined (`compile`), and its code is kept (`cache`). The built-in policy is native code inside
//! this program (`native`), and needs neither.
//!
//! Two kinds of things go wrong. A *flaw* is of the module: it is refused before it runs, and an operator corrects the
//! configuration. A *fault* is of a run: the module's author has to know. They have different CNI error codes ([`Class`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alarm;
mod bindings;
mod cache;
pub mod compile;
mod convert;
mod decide;
mod error;
mod examine;
mod file;
mod host;
pub mod inspect;
pub mod install;
mod known;
mod module;
mod native;
mod recording;
mod sandbox;
pub mod text;
mod turn;
mod world;

use std::cell::Cell;
use std::path::Path;

pub use compile::Compiler;
pub use convert::Description;
pub use decide::{Answers, Undecided};
pub use error::{Class, Compiling, Fault, Flaw, Function, PolicyError};
pub use module::{DEFAULT_POLICY, Source};
pub use recording::Call;
pub use sandbox::{Asked, Line, Spent};

use ipam::{PolicyName, Question, RangeSets, Request, Snapshot, Verdict, proposal};
use limits::{Limits, TEXT};
use recording::Recording;
use sandbox::{Run, Stopped};
use spelling::schema::nearest_setting;

/// The annotations that the built-in policy reads: to have it say so would cost every pod with one of them a run of it.
pub const READ_BY_DEFAULT: [&str; 4] = ["kube-ipam.ip", "kube-ipam.ip-pool", "kube-ipam.netmask", "kube-ipam.gateway"];

/// A module that is ready to run. A copy shares its code.
#[derive(Clone)]
pub struct Policy {
    loaded: module::Loaded,
    limits: Limits,
    // Written by `&self`: what a run costs is of interest to a few callers, and would be in the way of all the others.
    spent: Cell<Spent>,
    recording: Option<Recording>,
}

/// How one run of `allocate` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every proposal in it has passed [`proposal::check`].
    Verdict(Verdict),
    /// The snapshot could not answer this. [`Policy::decide`] has it answered, and runs the policy again.
    Unread(Question),
}

impl Policy {
    /// Load a module: from the binary, from the cache, or by compiling it.
    pub fn load(source: &Source<'_>) -> Result<Self, PolicyError> {
        Ok(Self::of(module::load(source)?, source.limits))
    }

    fn of(loaded: module::Loaded, limits: Limits) -> Self {
        Self { loaded, limits, spent: Cell::default(), recording: None }
    }

    /// The same module with other limits on its runs.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What a run may spend.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is recorded with each address the policy chose.
    pub fn name(&self) -> &PolicyName {
        &self.loaded.name
    }

    /// The same policy, deciding in the stead of another.
    pub fn instead_of(mut self, other: String) -> Self {
        self.loaded.name.instead_of = Some(other);
        self
    }

    /// What the last call cost.
    pub fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// What the module says of itself.
    pub fn describe(&self) -> Result<Description, PolicyError> {
        let function = Function::Describe;
        let run = sandbox::run(&self.loaded.pre, self.limits, None, function, false, |policy, store| {
            policy.kube_ipam_policy_allocator().call_describe(store)
        });
        let description = self.finish(run)?.map_err(|_| self.asked_without_snapshot(function))?;
        convert::description_from(description).map_err(|fault| self.faulted(function, fault))
    }

    /// The annotations beginning with `kube-ipam.` that the module reads, without network and interface. One that says nothing
    /// of them is taken to read what the built-in policy reads.
    pub fn annotations(&self) -> Result<Vec<String>, PolicyError> {
        let told = match &self.loaded.told {
            Some(told) => told.clone(),
            None => self.describe()?.annotations,
        };
        Ok(told.unwrap_or_else(|| READ_BY_DEFAULT.map(str::to_owned).to_vec()))
    }

    /// Whether the module understands these settings.
    pub fn validate_settings(&self, settings: &str) -> Result<(), PolicyError> {
        let function = Function::ValidateSettings;
        let run = sandbox::run(&self.loaded.pre, self.limits, None, function, false, |policy, store| {
            policy.kube_ipam_policy_allocator().call_validate_settings(store, settings)
        });
        let accepted = self.finish(run)?.map_err(|_| self.asked_without_snapshot(function))?;
        let Err(reason) = accepted else { return Ok(()) };
        let reason = convert::text(&reason, &TEXT).map_err(|fault| self.faulted(function, fault))?;
        // The schema is asked for only now that there is something to say: every ADD with settings comes through here. What
        // the question costs is not what the caller wants to know.
        let spent = self.spent.get();
        let schema = self.describe().map(|description| description.settings_schema).unwrap_or_default();
        self.spent.set(spent);
        let nearest = nearest_setting(settings, &schema).map(|nearest| text::tame(&nearest, TEXT.default));
        Err(PolicyError::Settings { module: self.loaded.label.clone(), reason, nearest })
    }

    /// Run the policy once, for an attachment's addresses. [`Policy::decide`] runs it until it has all it wants to know.
    pub fn allocate(&self, request: &Request, settings: &str, snapshot: &Snapshot) -> Result<Outcome, PolicyError> {
        let (run, call) = self.record(|| {
            let told = convert::request(request);
            let is_recorded = self.recording.is_some();
            sandbox::run(
                &self.loaded.pre,
                self.limits,
                Some(snapshot),
                Function::Allocate,
                is_recorded,
                |policy, store| policy.kube_ipam_policy_allocator().call_allocate(store, &told, settings),
            )
        });
        let outcome = self.judge(run, request);
        self.recorded(call, &outcome);
        outcome
    }

    fn judge(&self, run: Run<convert::GuestVerdict>, request: &Request) -> Result<Outcome, PolicyError> {
        let verdict = match self.finish(run)? {
            Ok(verdict) => verdict,
            Err(question) => return Ok(Outcome::Unread(question)),
        };
        convert::verdict_from(verdict)
            .and_then(|verdict| check(verdict, &request.range_sets))
            .map(Outcome::Verdict)
            .map_err(|fault| self.faulted(Function::Allocate, fault))
    }

    /// What the guest returned, or the question that ended its run.
    fn finish<T>(&self, run: Run<T>) -> Result<Result<T, Question>, PolicyError> {
        self.spent.set(run.spent);
        let ended = match run.returned {
            // Its lines are not logged: the run is repeated, and writes them again.
            Err(Stopped::Unread(question)) => return Ok(Err(question)),
            Err(Stopped::Fault(function, fault)) => Err(self.faulted(function, fault)),
            Ok(returned) => Ok(Ok(returned)),
        };
        self.log(&run.lines);
        ended
    }

    fn log(&self, lines: &[Line]) {
        if self.recording.is_some() {
            return;
        }
        let policy = self.loaded.label.as_str();
        for Line { level, text } in lines {
            match *level {
                tracing::Level::ERROR => tracing::error!(policy, "{text}"),
                tracing::Level::WARN => tracing::warn!(policy, "{text}"),
                tracing::Level::INFO => tracing::info!(policy, "{text}"),
                _ => tracing::debug!(policy, "{text}"),
            }
        }
    }

    fn faulted(&self, function: Function, fault: Fault) -> PolicyError {
        PolicyError::Faulted { module: self.loaded.label.clone(), function, fault }
    }

    /// Without a snapshot no question gets as far as being unread; the sandbox refuses it before.
    fn asked_without_snapshot(&self, function: Function) -> PolicyError {
        self.faulted(function, Fault::Question("the pool may only be asked by allocate".to_owned()))
    }
}

/// Whether compiled modules could be kept in this directory, or why what is there would not be believed. Makes nothing.
pub fn check_cache(dir: &Path) -> Result<(), String> {
    // One that is missing is made by the first ADD.
    if !dir.exists() {
        return Ok(());
    }
    cache::Cache::open(dir).map(drop).map_err(|miss| miss.to_string())
}

/// A policy cannot leave the configured subnets nor hand out a special address: nobody sees a proposal before this.
fn check(verdict: Verdict, range_sets: &RangeSets) -> Result<Verdict, Fault> {
    let Verdict::Propose(proposals) = &verdict else { return Ok(verdict) };
    if proposals.is_empty() {
        return Err(Fault::NoProposal);
    }
    // All of them, although one is enough for an ADD: a policy that is wrong now and then is found at once, and not on the
    // day on which its first proposals are taken.
    for (nth, one) in (1..).zip(proposals) {
        proposal::check(one, range_sets).map_err(|error| Fault::Proposal { nth, of: proposals.len(), error })?;
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policy_reads_what_is_said_of_it() {
        let policy = Policy::load(&Source::alone(None)).unwrap();
        assert_eq!(policy.describe().unwrap().annotations.unwrap(), READ_BY_DEFAULT);
    }
}
