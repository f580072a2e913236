//! The deadline of an invocation: ours, shorter than the runtime's, so that nothing is claimed for an attachment
//! that the runtime has given up.

use std::fmt;
use std::time::{Duration, Instant};

use super::Error;

/// What a call was waiting for when its time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The compiler it had started for this module.
    Compiler(String),
    /// Another process, which was compiling, before this module could be.
    OtherCompiler(String),
    ApiServer,
    Store,
    /// Nothing: it was at work.
    Nothing,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler(module) => write!(f, "policy {module} was still being compiled"),
            Self::OtherCompiler(module) => {
                write!(f, "policy {module} was waiting for another process of this node that compiles a policy")
            }
            Self::ApiServer => f.write_str("the API server had not answered"),
            Self::Store => f.write_str("the address store had not answered"),
            Self::Nothing => f.write_str("the call was still running"),
        }
    }
}

/// `timeout` of the configuration, counted from when the configuration was read.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    timeout: Duration,
    at: Instant,
}

impl Deadline {
    /// This long from now.
    pub fn after(timeout: Duration) -> Self {
        Self { timeout, at: Instant::now() + timeout }
    }

    /// The moment it passes.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// How long it is still to come.
    pub(crate) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Asked just before a commit: a late claim is worse than none.
    pub fn check(&self) -> Result<(), Error> {
        if Instant::now() < self.at { Ok(()) } else { Err(self.passed(Waited::Nothing)) }
    }

    /// The work, unless it waits too long. Only what waits can be interrupted.
    pub async fn bound<T>(&self, on: Waited, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout_at(self.at.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(self.passed(on)),
        }
    }

    /// The error of a call whose time is over.
    pub(crate) fn passed(&self, waited: Waited) -> Error {
        Error::Late { timeout: self.timeout, waited }
    }
}
