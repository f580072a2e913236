//! What `doctor` calls doubtful, and how much it reads.

use std::time::Duration;

/// Days that a certificate is still valid, below which `doctor` warns: two weeks with a holiday in them.
pub const CERTIFICATE_DAYS: i64 = 21;

/// The part of its life that a token of a service account still has, below which `doctor` warns: kubelet renews one that has
/// a fifth of it left, so that this one is not renewed.
pub const TOKEN_LEFT: i32 = 10;

/// Percent of etcd's quota from which on `doctor` warns. At 100 every ADD is refused, and a database that was never
/// compacted fills the last fifth as fast as the others.
pub const ETCD_FULL: u64 = 80;

/// How long an answer of an etcd member may take before `doctor` warns. An ADD waits for two; a disk that flushes in ten
/// milliseconds is what etcd asks for.
pub const ETCD_SLOW: Duration = Duration::from_millis(100);

/// How far a clock may be off before `doctor` warns. Dates of answers have whole seconds, and NTP is better than one.
pub const CLOCK_DOUBTFUL: Duration = Duration::from_secs(5);

/// How far a clock may be off before `doctor` calls it bad: from here on tokens and new certificates are refused.
pub const CLOCK_BAD: Duration = Duration::from_secs(300);

/// Bytes that `doctor` reads from the end of each file of the log: all of one, as large as it gets ([`crate::LOG_BYTES`]).
pub const LOG_READ: u64 = 17 << 20;

/// Bytes of the end of each file of the log that a support archive has.
pub const BUNDLED_LOG: u64 = 2 << 20;
