//! Limits of what is kept of decisions and calls: their record, a shadow's answers, and the counts.

use std::time::Duration;

/// `policy.record.maxMiB`: where a record is put aside as FILE.1, whose predecessor goes. One decision takes one to
/// four KiB, so the default keeps ten thousand at least.
pub const RECORD_MIB: u64 = 16;

/// The largest `policy.record.maxMiB`: more than anybody replays, and still no full disk.
pub const RECORD_MIB_MOST: u64 = 4_096;

/// Bytes of one decision as it is recorded, or read from a record. A range of which thousands of scattered addresses
/// are held takes 200 KiB. A longer one is left out, with a line in the log.
pub const RECORDED_DECISION: usize = 1 << 20;

/// Bytes of one annotation in a record, but for those of `kube-ipam.`. What is longer is cut, and named in the record.
pub const RECORDED_VALUE: usize = 4_096;

/// Annotations that are never recorded: whole manifests, with whatever their authors wrote into them. No rule about
/// addresses reads them; the record names what it left out.
pub const NEVER_RECORDED: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "objectset.rio.cattle.io/applied",
    "banzaicloud.com/last-applied",
];

/// Held addresses in a snapshot that is read from a file: more than the store ever lists for one decision.
pub const RECORDED_HELD: u128 = 1 << 20;

/// How long an ADD waits for its turn to write a record or to count, before it goes without. A turn takes some ten
/// microseconds; a thousand ADDs at once are done in a fraction of this. The log says so.
pub const RECORD_WAIT: Duration = Duration::from_secs(1);

/// Pairs of modules whose agreement is counted on one node. The oldest goes first.
pub const SHADOWS: usize = 64;

/// A shadow may take one part in so many of the time that is left: for being compiled, and again for answering; and so may
/// a wait for a turn to write. The rest is the pod's. A shadow that takes longer counts as faulted.
pub const SHADOW_SHARE: u32 = 4;

/// Bytes of a file of counted calls from which on the sum of its lines takes its place: some 400 calls, whose sum is made in a
/// millisecond by one of them. Never seen.
pub const CALLS_BYTES: u64 = 128 << 10;

/// Bytes of such a file beyond which no more calls are counted in it: nobody has been able to put the sum in its place. `doctor`
/// says why, and the counters stand still.
pub const CALLS_BYTES_MOST: u64 = 1 << 20;

/// Counters of one kind that a node has, one for each network, policy, verb or code: a node has a few dozen. Beyond that, what
/// is counted first is counted under its own name, and the rest as `(others)`.
pub const COUNTED_SERIES: usize = 256;
