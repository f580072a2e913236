//! Policies: WebAssembly components that say which address a pod gets.
//!
//! ```text
//!  policy.module ── digest ── pin ── cache ──┬── hit ──────────────┬── link ── Policy
//!                                            └── compile (child) ──┘
//!  Policy::allocate ── fresh instance ── verdict ── every proposal checked ── Outcome
//!                          │  ▲
//!            pool and log  ▼  │  answers from one snapshot; what it does not know ends the run
//! ```
//!
//! A policy is a function: nothing of one run reaches the next, and a run sees only the request, the settings and the
//! snapshot. However hostile it is, the worst it can do is to give no address.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alarm;
mod bindings;
mod cache;
pub mod compile;
mod convert;
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
mod world;

use std::cell::Cell;
use std::path::Path;

pub use compile::Compiler;
pub use convert::Description;
pub use error::{Class, Compiling, Fault, Flaw, Function, PolicyError};
pub use module::{DEFAULT_POLICY, Source};
pub use recording::Call;
pub use sandbox::{Line, Spent};

use ipam::{PolicyName, Proposal, Question, RangeSets, Request, Snapshot, Verdict, proposal};
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
    spent: Cell<Spent>,
    recording: Option<Recording>,
}

/// How a run of `allocate` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The policy's answer; every proposal passed [`proposal::check`].
    Verdict(Verdict),
    /// The snapshot could not answer this. Read it at the same point in time and run the policy again: being a
    /// function, it will ask the same questions up to here.
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
        let run = sandbox::run(&self.loaded.pre, self.limits, None, function, |policy, store| {
            policy.kube_ipam_policy_allocator().call_describe(store)
        });
        let description = self.finish(run)?.map_err(|_| self.asked(function))?;
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
        let run = sandbox::run(&self.loaded.pre, self.limits, None, function, |policy, store| {
            policy.kube_ipam_policy_allocator().call_validate_settings(store, settings)
        });
        let Err(reason) = self.finish(run)?.map_err(|_| self.asked(function))? else { return Ok(()) };
        let reason = convert::text(&reason, &TEXT).map_err(|fault| self.faulted(function, fault))?;
        // The module's schema is asked for now that there is something to say.
        let spent = self.spent.get();
        let schema = self.describe().map(|description| description.settings_schema).unwrap_or_default();
        self.spent.set(spent);
        let nearest = nearest_setting(settings, &schema).map(|nearest| text::tame(&nearest, TEXT.default));
        Err(PolicyError::Settings { module: self.loaded.label.clone(), reason, nearest })
    }

    /// Ask the policy for an attachment's addresses.
    pub fn allocate(&self, request: &Request, settings: &str, snapshot: &Snapshot) -> Result<Outcome, PolicyError> {
        let (run, call) = self.record(|| {
            let told = convert::request(request);
            sandbox::run(&self.loaded.pre, self.limits, Some(snapshot), Function::Allocate, |policy, store| {
                policy.kube_ipam_policy_allocator().call_allocate(store, &told, settings)
            })
        });
        let outcome = self.judge(run, request);
        self.recorded(call, &outcome);
        outcome
    }

    fn judge(&self, run: Run<convert::Answer>, request: &Request) -> Result<Outcome, PolicyError> {
        let answer = match self.finish(run)? {
            Ok(answer) => answer,
            Err(question) => return Ok(Outcome::Unread(question)),
        };
        convert::verdict_from(answer)
            .and_then(|verdict| check(verdict, &request.range_sets))
            .map(Outcome::Verdict)
            .map_err(|fault| self.faulted(Function::Allocate, fault))
    }

    /// Take the run apart. Its log lines are written now, unless it will be repeated.
    fn finish<T>(&self, run: Run<T>) -> Result<Result<T, Question>, PolicyError> {
        self.spent.set(run.spent);
        match run.answer {
            Err(Stopped::Unread(question)) => Ok(Err(question)),
            Err(Stopped::Fault(function, fault)) => {
                self.log(&run.lines);
                Err(self.faulted(function, fault))
            }
            Ok(answer) => {
                self.log(&run.lines);
                Ok(Ok(answer))
            }
        }
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
    fn asked(&self, function: Function) -> PolicyError {
        self.faulted(function, Fault::Question("the pool may only be asked by allocate".to_owned()))
    }
}

/// Whether compiled modules could be kept in this directory, or why what is there would not be believed. Makes nothing.
pub fn check_cache(dir: &Path) -> Result<(), String> {
    match dir.exists() {
        true => cache::Cache::open(dir).map(drop).map_err(|miss| miss.to_string()),
        false => Ok(()),
    }
}

/// A policy cannot leave the configured subnets nor hand out a special address: nobody sees a proposal before this.
fn check(verdict: Verdict, range_sets: &RangeSets) -> Result<Verdict, Fault> {
    let Verdict::Propose(proposals) = &verdict else { return Ok(verdict) };
    if proposals.is_empty() {
        return Err(Fault::NoProposal);
    }
    let bad = |(nth, one): (usize, &Proposal)| proposal::check(one, range_sets).err().map(|error| (nth + 1, error));
    match proposals.iter().enumerate().find_map(bad) {
        Some((nth, error)) => Err(Fault::Proposal { nth, of: proposals.len(), error }),
        None => Ok(verdict),
    }
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
