//! Limits of what is read from the API server.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How long one question may take, connecting included. An API server answers a GET in some milliseconds; the operator
/// sees "did not answer", code 11, and the runtime calls again.
pub const KUBERNETES_ANSWER: Duration = Duration::from_secs(5);

/// How long one page of a list may take: nobody waits for a reclaim.
pub const KUBERNETES_LIST: Duration = Duration::from_secs(60);

/// How long to wait before a server that is too busy is asked again: as long as API servers ask for.
pub const KUBERNETES_BUSY: Duration = Duration::from_secs(1);

/// How often a list is begun. A server remembers five minutes; where it forgets a list between two pages again and again,
/// the operator sees its 410, and nothing is released.
pub const KUBERNETES_LISTS: u32 = 3;

/// Objects of one page of a list: at some 10 KB each, 5 MB.
pub const KUBERNETES_PAGE: u32 = 500;

/// How long the first ADD of a node may ask which cluster it is in. It goes on without: the operator sees a warning in the
/// log, and the claim says no cluster.
pub const KUBERNETES_CLUSTER: Duration = Duration::from_secs(1);

/// How long an ADD does without asking which cluster it is in after the API server refused to say it. The operator sees a
/// warning in the log, and in the claim no cluster.
pub const CLUSTER_REFUSED: Duration = Duration::from_secs(60);

/// Bytes read of the note that says which cluster a node is in: some hundred, and a path.
pub const CLUSTER_NOTE_BYTES: u64 = 16 << 10;

/// After which pauses an ADD looks again whether a holder on its way out has released its address: from the first to the
/// last, doubling. A DEL takes some milliseconds, a pod's end some seconds.
pub const HAND_OVER_PAUSE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(500);

/// How often the API server is asked again meanwhile, at most: its pod may be gone without a DEL.
pub const HAND_OVER_ASK: Duration = Duration::from_secs(2);

/// The part of `timeout` that is kept for the answer when an ADD waits, and the part it may wait for unless
/// `handOverWait` says otherwise.
pub const HAND_OVER_WAIT: (u32, u32) = (4, 5);

/// So many leaks are released at once whatever else is seen; more of them only where they are not a large share of the
/// claims on nodes that exist, one in [`RECLAIM_SHARE`]. The operator sees "refused", and `--force`.
pub const RECLAIM_FEW: usize = 10;

/// What counts as a large share: one claim in so many, see [`RECLAIM_FEW`].
pub const RECLAIM_SHARE: usize = 3;
