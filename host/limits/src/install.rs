//! Limits of `install-node`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A signature of a module, or the key that it was made with, has some hundred bytes.
pub const SIGNATURE_BYTES: u64 = 16 << 10;

/// Bytes read of a token, a password, a key or a bundle of CAs. A token has one or two KiB, a bundle of all public CAs 250.
pub const CREDENTIAL_BYTES: u64 = 1 << 20;

/// A network file of a ConfigMap, which has at most 1 MiB itself.
pub const NETWORK_BYTES: u64 = 1 << 20;

/// The note of all installed files: some hundred bytes for each of a few dozen.
pub const MANIFEST_BYTES: u64 = 4 << 20;

/// How long a network that is to be installed is tried, where its `timeout` allows more: the token has to be renewed meanwhile.
/// What does not answer is asked again at the next look.
pub const NETWORK_TRIED: Duration = Duration::from_secs(10);

/// When a module that was refused is tried again, though it has not changed: what was missing may have been memory. To compile
/// one takes up to two minutes of a processor.
pub const REFUSED_AGAIN: Duration = Duration::from_secs(300);

/// `--watch`: every look reads the binary once; kubelet renews a token twelve minutes before it expires.
pub const WATCH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// How long to wait while another process installs into the same directory. It copies some files of a few MiB; whoever has
/// it for longer was stopped, and the error says how to find it.
pub const INSTALL_TURN: Duration = Duration::from_secs(30);

/// How long `install-node` goes on with what it is at when it is told to end. A file takes some milliseconds, its way to a
/// busy disk a second or two; what takes longer is given up: a file is either in its place or not there. A kubelet waits
/// 30 s before it kills.
pub const LAST_WRITE: Duration = Duration::from_secs(3);
