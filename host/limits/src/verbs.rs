//! Limits of a verb.

use std::time::Duration;

/// How often an ADD decides again after it lost every race. Each attempt offers more and other proposals than the one
/// before; the operator sees code 11, and the runtime calls again.
pub const ATTEMPTS: u32 = 16;

/// How often one decision may make the store read more. A search in a nearly full range of sixty thousand takes three;
/// only a policy that asks about everything needs more. The operator sees code 105.
pub const READS_PER_DECISION: u32 = 64;

/// How long STATUS may take, where `timeout` allows more: runtimes poll it and wait for the answer. Time enough to pass
/// over one etcd member that is silent, and what it reads does not grow with what is held. The operator sees code 50.
pub const STATUS: Duration = Duration::from_secs(5);

/// How long STATUS waits for a compiler, its own or that of another process. Rust takes a tenth of a second, on a node under load
/// a second. What takes longer is compiled all the same; until then the operator sees code 50, and for how long it has been.
pub const STATUS_COMPILE: Duration = Duration::from_secs(4);

/// Claims of the node that an ADD looks at, once it has found no address, to say how many are older than the machine's boot:
/// two round trips, and as many as a node has pods as a rule. The operator sees "at least".
pub const JUDGED_BY_BOOT: usize = 64;

/// How long after the release of a container's addresses its result may still be in libcni's cache, the other plugins of
/// the network having to be called first.
pub const DEL_MAY_TAKE: Duration = Duration::from_secs(1);

/// Bytes of the log from which on it is put aside as FILE.1, whose predecessor goes. A call takes some 300 bytes, so that
/// a busy node keeps the last 50,000 calls at least. Never seen.
pub const LOG_BYTES: u64 = 16 << 20;

/// `historyMiB`: what the history of a node may take on its disk, half of it in an older file that goes when the newer one is full.
/// A pod that comes and goes takes about one KiB, so that the default keeps the last 8,000 pods of a node at least. `history` says how
/// far it reaches back.
pub const HISTORY_MIB: u64 = 16;

/// The largest `historyMiB`: years of a busy node, and still no full disk.
pub const HISTORY_MIB_MOST: u64 = 4_096;

/// Bytes of one line of a history: a claim with all addresses that a proposal may have, and their holds. A longer one is counted as
/// damaged.
pub const HISTORY_LINE: usize = 1 << 20;
