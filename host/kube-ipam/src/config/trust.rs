//! Who has to have signed a network's module before it is installed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::error::Error;
use super::field::{Held, stated, wrong};
use cni::Stated;
use cni::netconf::Trust;

pub(crate) const TRUST: &str = "ipam.policy.trust";
const KEYS: &str = "ipam.policy.trust.keys";
const THRESHOLD: &str = "ipam.policy.trust.threshold";

/// Public keys, and how many of them must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustConfig {
    /// Never empty.
    pub keys: Vec<PathBuf>,
    /// From 1 to the number of keys.
    pub threshold: NonZeroUsize,
}

pub(super) fn read(written: &Stated<Trust>) -> Result<Option<TrustConfig>, Error> {
    let Some(trust) = stated(written, TRUST, "nobody has to have signed the module")? else { return Ok(None) };
    let mut keys = Vec::new();
    for held in Held::entries(KEYS, &trust.keys) {
        keys.push(held.absolute_path()?);
    }
    // An empty list would mean that nobody is trusted, and look as if somebody were.
    if keys.is_empty() {
        return Err(Error::Missing {
            path: KEYS.to_owned(),
            expected: "the files with the public keys that are trusted",
        });
    }
    let threshold = trust.threshold.unwrap_or(1);
    match usize::try_from(threshold).ok().and_then(NonZeroUsize::new) {
        Some(threshold) if threshold.get() <= keys.len() => Ok(Some(TrustConfig { keys, threshold })),
        _ => Err(wrong(THRESHOLD, threshold, format!("1 to {}, the number of ipam.policy.trust.keys", keys.len()))),
    }
}
