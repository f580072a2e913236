//! The deadline of an invocation. It is earlier than the runtime's, so that nothing is claimed for an attachment that the
//! runtime has given up.

use std::fmt;
use std::time::{Duration, Instant};

use super::Error;

/// What a call was waiting for when its time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The compiler that it, or an earlier call, had started for this module.
    Compiler {
        module: String,
        seconds: u64,
    },
    /// Its turn to compile this module: another process compiles another one.
    OtherCompiler {
        module: String,
        seconds: u64,
    },
    ApiServer,
    Store,
    /// Nothing: it was computing.
    Nothing,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It goes on after the call has ended.
            Self::Compiler { module, seconds } => {
                write!(f, "policy {module} is still being compiled, for {seconds} s so far")
            }
            Self::OtherCompiler { module, seconds } => write!(
                f,
                "policy {module} waits for another process of this node that compiles a policy, for {seconds} s so far"
            ),
            Self::ApiServer => f.write_str("the API server had not answered"),
            Self::Store => f.write_str("the address store had not answered"),
            Self::Nothing => f.write_str("the call was still running"),
        }
    }
}

/// The moment at which `ipam.timeout` has passed, counted from when the configuration was read.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    timeout: Duration,
    at: Instant,
}

impl Deadline {
    pub fn after(timeout: Duration) -> Self {
        Self { timeout, at: Instant::now() + timeout }
    }

    pub fn at(&self) -> Instant {
        self.at
    }

    /// The time that is left; zero once the deadline has passed.
    pub(crate) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Fails if the deadline has passed. Called just before a commit: a late claim is worse than none.
    pub fn check(&self) -> Result<(), Error> {
        if Instant::now() < self.at { Ok(()) } else { Err(self.passed(Waited::Nothing)) }
    }

    /// Does the work, or fails at the deadline. Only work that waits can be interrupted, not work that computes.
    pub async fn bound<T>(&self, on: Waited, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout_at(self.at.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(self.passed(on)),
        }
    }

    /// The error of a call whose deadline has passed.
    pub(crate) fn passed(&self, waited: Waited) -> Error {
        Error::Late { timeout: self.timeout, waited }
    }
}
