//! Limits of `install-node`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes read of a token, a password, a key or a bundle of CAs. A token has one or two KiB, a bundle of all public CAs 250.
pub const CREDENTIAL_BYTES: u64 = 1 << 20;

/// `--watch`: every look reads the binary once; kubelet renews a token twelve minutes before it expires.
pub const WATCH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// How long to wait while another process installs into the same directory. It copies some files of a few MiB; whoever has
/// it for longer was stopped, and the error says how to find it.
pub const INSTALL_TURN: Duration = Duration::from_secs(30);

/// How long `install-node` goes on with what it is at when it is told to end. A file takes some milliseconds, its way to a
/// busy disk a second or two; what takes longer is given up: a file is either in its place or not there. A kubelet waits
/// 30 s before it kills.
pub const LAST_WRITE: Duration = Duration::from_secs(3);
