//! Limits of `install-node`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes read of a service account's token or CA bundle. A token has one or two KiB, a bundle of all public CAs 250.
pub const CREDENTIAL_BYTES: u64 = 1 << 20;

/// `--watch`: every look reads the binary once; kubelet renews a token twelve minutes before it expires.
pub const WATCH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
