//! The deadline of an invocation: ours, shorter than the runtime's, so that nothing is claimed for a sandbox that the
//! runtime has given up.

use std::time::{Duration, Instant};

use super::Error;

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
        if Instant::now() < self.at { Ok(()) } else { Err(self.passed()) }
    }

    /// The work, unless it takes too long. Only what waits can be interrupted.
    pub async fn bound<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout_at(self.at.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(self.passed()),
        }
    }

    fn passed(&self) -> Error {
        Error::Late { timeout: self.timeout }
    }
}
