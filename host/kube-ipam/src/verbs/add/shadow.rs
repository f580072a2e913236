//! A second policy, asked beside the one that decides: the same request, the same look, and a part of the time that is
//! left. A site tries a rule like this on its real pods before any of them depends on it. Whatever becomes of a shadow is
//! noted; nothing of it is an error of the ADD.

use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{Instrument, info_span};

use crate::config::{PolicyConfig, ShadowConfig};
use crate::verbs::Deadline;
use crate::verbs::load::load_with;
use engine::{Answers, Compiler, Policy, PolicyError, Source};
use ipam::{PolicyName, Question, Request, Shadowed, Snapshot, VerdictOrFault};
use limits::{Limits, SHADOW_SHARE};
use store::{Look, StoreError};

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

    /// What it makes of the request. What it is told of the store beyond what the policy was told stays in the snapshot, and
    /// has no part in the claim.
    pub(super) async fn ask(&mut self, request: &Request, look: &mut Look, deadline: &Deadline) -> Shadowed {
        let share = deadline.left() / SHADOW_SHARE;
        let (config, limits, cache_dir) = (self.config, self.limits, self.cache_dir);
        let until = Instant::now() + share;
        let policy = self.loaded.get_or_insert_with(|| load(config, within(limits, share), cache_dir, Some(until)));
        let answer = match policy {
            Ok(policy) => {
                look.aside(async |look| decide_in_time(policy, request, &config.settings, look, share).await)
                    .instrument(info_span!("shadow"))
                    .await
            }
            Err(fault) => VerdictOrFault::Fault(fault.to_string()),
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
    let _inside = info_span!("load_shadow").entered();
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

/// What a shadow may spend: no longer than its share for being compiled, and half of it for one run. The last run begins in
/// the first half of the share, so that it ends in the second.
fn within(limits: Limits, share: Duration) -> Limits {
    let run = u64::try_from(share.as_millis() / 2).unwrap_or(u64::MAX);
    Limits {
        milliseconds: limits.milliseconds.min(run),
        compile_seconds: limits.compile_seconds.min(share.as_secs()),
        ..limits
    }
}

async fn decide_in_time(
    policy: &Policy,
    request: &Request,
    settings: &str,
    look: &mut Look,
    share: Duration,
) -> VerdictOrFault {
    // A run that begins at the end of the first half ends in the second.
    let half = share / 2;
    let mut answers = TimedAnswers { look, share: half, until: Instant::now() + half };
    match policy.decide(request, settings, &mut answers).await {
        Ok(verdict) => verdict.into(),
        Err(undecided) => VerdictOrFault::Fault(undecided.to_string()),
    }
}

/// The store, as long as there is time.
struct TimedAnswers<'a> {
    look: &'a mut Look,
    share: Duration,
    until: Instant,
}

/// Why a shadow is not asked any further.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("no answer within {0:?}, its share of ipam.timeout")]
    Late(Duration),
    #[error("what it asked about could not be read: {0}")]
    Unreadable(StoreError),
}

impl Answers for TimedAnswers<'_> {
    type Error = NoAnswer;

    fn snapshot(&self) -> &Snapshot {
        &self.look.snapshot
    }

    fn admit_run(&self) -> Result<(), NoAnswer> {
        if Instant::now() >= self.until {
            return Err(NoAnswer::Late(self.share));
        }
        Ok(())
    }

    async fn answer(&mut self, question: Question) -> Result<(), NoAnswer> {
        match tokio::time::timeout_at(self.until.into(), self.look.answer(question)).await {
            Ok(answered) => answered.map_err(NoAnswer::Unreadable),
            Err(_) => Err(NoAnswer::Late(self.share)),
        }
    }
}
