//! A second policy, asked beside the one that decides: the same request, the same look, and a part of the time that is
//! left. Whatever becomes of it is an answer; nothing of it is an error of the ADD.

use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{Instrument, debug_span};

use crate::config::{PolicyConfig, ShadowConfig};
use crate::verbs::load::load_with;
use crate::verbs::{Deadline, Error};
use engine::{Compiler, Outcome, Policy, PolicyError, Source};
use ipam::{Answer, PolicyName, Request, Shadowed};
use limits::{Limits, READS_PER_DECISION, SHADOW_SHARE};
use store::Look;

/// A second policy; loaded when it is asked first.
pub(crate) struct Shadow<'a> {
    config: &'a ShadowConfig,
    limits: Limits,
    cache_dir: &'a Path,
    loaded: Option<Result<Policy, PolicyError>>,
}

impl<'a> Shadow<'a> {
    pub(crate) fn new(config: &'a ShadowConfig, policy: &'a PolicyConfig) -> Self {
        Self { config, limits: policy.limits, cache_dir: &policy.cache_dir, loaded: None }
    }

    /// Its answer. What it is told of the store beyond what the policy was told stays in the snapshot, and has no part in
    /// the claim.
    pub(super) async fn ask(&mut self, request: &Request, look: &mut Look, deadline: &Deadline) -> Shadowed {
        let share = deadline.left() / SHADOW_SHARE;
        let (config, limits, cache_dir) = (self.config, self.limits, self.cache_dir);
        let until = Instant::now() + share;
        let policy = self.loaded.get_or_insert_with(|| load(config, within(limits, share), cache_dir, Some(until)));
        let answer = match policy {
            Ok(policy) => {
                look.aside(async |look| answer(policy, request, &config.settings, look, share).await)
                    .instrument(debug_span!("shadow"))
                    .await
            }
            Err(fault) => Answer::Fault(fault.to_string()),
        };
        Shadowed { policy: self.name(), settings: serde_json::from_str(&config.settings).unwrap_or_default(), answer }
    }

    /// Load it as it would be for a pod that can wait.
    pub(crate) fn load(&self) -> Result<Policy, PolicyError> {
        load(self.config, self.limits, self.cache_dir, None)
    }

    fn name(&self) -> PolicyName {
        match &self.loaded {
            Some(Ok(policy)) => policy.name().clone(),
            _ => self.config.name(),
        }
    }
}

fn load(
    config: &ShadowConfig,
    limits: Limits,
    cache_dir: &Path,
    deadline: Option<Instant>,
) -> Result<Policy, PolicyError> {
    let _inside = debug_span!("load the shadow").entered();
    let source = Source {
        module: Some(&config.module),
        sha256: config.sha256.as_deref(),
        cache_dir: Some(cache_dir),
        limits,
        compiler: Compiler::Child,
        deadline,
    };
    load_with(&source, &config.settings)
}

/// No longer than its share for being compiled. One run takes at most half of it: the last one begins in the first half.
fn within(limits: Limits, share: Duration) -> Limits {
    let run = u64::try_from(share.as_millis() / 2).unwrap_or(u64::MAX);
    Limits {
        milliseconds: limits.milliseconds.min(run),
        compile_seconds: limits.compile_seconds.min(share.as_secs()),
        ..limits
    }
}

async fn answer(policy: &Policy, request: &Request, settings: &str, look: &mut Look, share: Duration) -> Answer {
    let until = Instant::now() + share / 2;
    let late = || Answer::Fault(format!("no answer within {share:?}, its share of ipam.timeout"));
    for _ in 0..READS_PER_DECISION {
        if Instant::now() >= until {
            return late();
        }
        let question = match policy.allocate(request, settings, &look.snapshot) {
            Ok(Outcome::Verdict(verdict)) => return verdict.into(),
            Ok(Outcome::Unread(question)) => question,
            Err(fault) => return Answer::Fault(fault.to_string()),
        };
        match tokio::time::timeout_at(until.into(), look.answer(question)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Answer::Fault(format!("what it asked about could not be read: {error}")),
            Err(_) => return late(),
        }
    }
    Answer::Fault(Error::Inquisitive { policy: policy.name().name.clone(), limit: READS_PER_DECISION }.to_string())
}
