//! Limits of the address store.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Addresses read at once around a place where a free one is looked for. One etcd answer of this size is 15 KiB;
/// the chance that 256 neighbours are all held while the range is not nearly full is slim. Never seen: when all
/// of them are held, the search goes on by counting.
pub const WINDOW: u128 = 256;

/// Addresses a first read has to show beyond the cursor, so that no second read is made for those that follow: four
/// times as many as a policy proposes as a rule. Where most of them are held, the policy asks for more.
pub const WINDOW_AHEAD: u128 = 64;

/// Records, with their values, that are read at once around an address whose holder is asked for: at some 400 bytes each,
/// far below 4 MiB. Never seen: who else is asked about is read again.
pub const HOLDERS_AT_ONCE: usize = 1_000;

/// Addresses a search lists at most in one read once it had to go on: 8,192 keys with the records of their holds
/// stay below the 4 MiB a gRPC client takes in one message. Never seen: the search asks again.
pub const WIDEST_WINDOW: u128 = 8_192;

/// Spans a first read of one range set covers. A set cut into more pieces is read on demand.
pub const WINDOW_SPANS: usize = 8;

/// Neighbouring spans closer than this are read as one: cheaper than one more read for a gateway in between.
pub const WINDOW_GAP: u128 = 16;

/// Range sets of a network of which a node remembers where they were claimed last: pods may bring ranges of their own.
/// Beyond it an ADD makes a read more.
pub const CURSORS_NOTED: usize = 16;

/// How long a node remembers how fast a cursor moved: twice as long as the pause between two calls of STATUS, so that the
/// pace of a rollout is known when its second pod starts on a node.
pub const CURSOR_PACE: Duration = Duration::from_secs(10);

/// Parts a half-known span is counted in at once: not more than [`ETCD_RANGES`].
pub const COUNTED_PARTS: u128 = 64;

/// Parts of doubling size that a search counts at first, 65,000 addresses: etcd walks all keys of what it counts, and the gap is
/// near as a rule. Never seen: those further away are counted next.
pub const COUNTED_AHEAD: usize = 8;

/// Blocks that a search reads at once where they are not marked as full: as many as a policy brings proposals as a rule, so
/// that each may be found in another one. Never seen.
pub const UNMARKED_AT_ONCE: usize = 4;

/// Reads of unmarked blocks before a search counts what is left. More are needed only where marks are missing. Never seen.
pub const UNMARKED_READS: u32 = 8;

/// Blocks that one claim marks as full, at most: a claim that fills one marks it, and one more where that fills the wide block
/// around it. A claim that found many without a mark, as after an update from a version that made none, leaves the
/// rest to the next. At some 70 bytes each; an etcd transaction takes 128 operations. Never seen.
pub const FULL_BLOCKS_AT_ONCE: usize = 32;

/// Writes of a change beyond which it writes and deletes no more marks of full blocks: a claim may have sixteen addresses, each
/// in other blocks, and an etcd transaction takes 128 operations. Never seen: marks are hints, and one that is missing or stays
/// is put right by a later claim.
pub const WRITES_WITH_MARKS: usize = 64;

/// Records of one page when everything is listed or inspected: at some 400 bytes each, far below 4 MiB.
pub const PAGE: usize = 1_000;

/// Rows that are listed in another order than that of their addresses: what they are sorted by is kept, some 100 bytes each,
/// and the rows are read again one page after the other. Where there are more, the operator is told how to have fewer.
pub const ROWS_SORTED: usize = 1_000_000;

/// Bytes of a note that kube-ipam keeps for itself on a node, such as which members of etcd are safe, or how a shadow answered: far
/// more than it ever writes. One that is longer counts as damaged.
pub const NOTE: u64 = 1 << 20;

/// Records that `doctor` compares with each other, which takes some tenths of a second; an address has four. Where there are
/// more it says so, and names `fsck`.
pub const RECORDS_COMPARED: u64 = 40_000;

/// Holds that are over and are removed by the way: by each claim and each release, and by each transaction of GC and
/// reclaim. A release makes at most a few new ones, so that none pile up. Three keys each, well below the 128
/// operations of an etcd transaction.
pub const EXPIRED_AT_ONCE: usize = 4;

/// How many transactions GC spends on holds that are over, with [`EXPIRED_AT_ONCE`] in each: runtimes wait for it.
pub const EXPIRED_BY_GC: u32 = 64;

/// How far ahead of its node's clock a claim may be for GC to take it for one that is just being made. One further ahead was
/// made before the clock was set back, and goes like any other whose container is gone.
pub const CLOCK_AHEAD: Duration = Duration::from_secs(60 * 60);

/// How long an address may be kept for an identity after its release. A pod that comes back later gets another one. A
/// policy that proposes more is at fault (105); the operator sees the limit in the error.
pub const HOLD: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Addresses that one command reserves at most, and as many it puts back in circulation: two small records each, which
/// claims read wherever they look for a free address. Whoever wants more is told to exclude them in the network's
/// configuration, which costs nothing.
pub const RESERVED_AT_ONCE: usize = 16_384;

/// Bytes of the reason for a reservation: [`WIDEST_WINDOW`] records with it fit into one answer of etcd. A longer one is
/// refused by the command.
pub const REASON_BYTES: usize = 160;

/// Bytes of the name of whoever reserves an address, and of that of a list. A longer one is refused by the command.
pub const RESERVED_BY_BYTES: usize = 64;

/// Bytes of a list of addresses to reserve: [`RESERVED_AT_ONCE`] lines with their reasons, and as many without effect.
pub const RESERVATION_LIST: u64 = 8 << 20;

/// Bytes of a line of an export: a claim of as many addresses as an attachment may have, with all names as long as they may
/// be, has a quarter of it. A longer one is refused by its number.
pub const EXPORT_LINE: u64 = 1 << 20;

/// Claims, or holds, of an export that are looked at and written at once: four keys each, and some of them in each
/// transaction. Never seen.
pub const ADMITTED_AT_ONCE: usize = 240;

/// Records of an export that could not be imported and are told one by one; of more, their number.
pub const PROBLEMS_TOLD: usize = 1_000;

/// Bytes of the pools of whereabouts: half a million allocations. A longer file is refused.
pub const WHEREABOUTS_POOLS: u64 = 64 << 20;

/// Addresses kept for one identity that a policy is told of.
pub const HELD_FOR: usize = 256;

/// Taken slots of one list that a policy is told of: as many keys as [`WIDEST_WINDOW`], and for the same reason. A rule
/// that draws from more slots than this would miss some; `quota` takes no larger limit.
pub const TAKEN_SLOTS: usize = 8_192;

/// Slots that are listed at once where free ones are looked for: of a list of which 19 of 20 are taken a dozen is free among
/// them, more than proposals bring. Never seen: where there are too few, the others are counted.
pub const SLOTS_AT_ONCE: u32 = 256;

/// Subnets that the registry remembers of a network. A network whose pods bring ranges of their own may have any number;
/// beyond these a renamed network is no longer noticed by its subnets.
pub const REGISTERED_SUBNETS: usize = 64;

/// How often a release looks again after it lost a race. Each loss means that somebody else changed the same
/// claim in that moment; the operator sees "changed at every attempt", code 11, and the runtime calls again.
pub const RELEASE_ATTEMPTS: u32 = 8;

/// How often a command tries to register a network: each time somebody else has registered it a moment before.
pub const REGISTER_ATTEMPTS: u32 = 8;

/// Bytes of a key. LMDB takes 1,982 on pages of 4 KiB; names from Kubernetes and the runtimes need less than a
/// third of it. A longer one is refused by name, code 7.
pub const KEY_BYTES: usize = 1_900;

/// Characters of a range set's name in the store before its digest takes the place.
pub const RANGE_SET_NAME: usize = 200;

/// Processes that read the embedded store at one moment. The table takes 256 KiB; when it is full the operator
/// sees "busy", code 11. A node starts at most some hundreds of pods at once.
pub const READERS: u32 = 4_096;

/// How long a command waits for its turn to write the embedded store; a call of the plugin waits until its `timeout`. A turn
/// takes milliseconds: whoever has it for longer was stopped, and the error says how to find it.
pub const COMMANDS_TURN: Duration = Duration::from_secs(10);

/// Bytes of address space for a small embedded store; a large one takes twice its size. Address space alone:
/// neither memory nor disk. Not available: the error names `ulimit -v`.
pub const MAP_BYTES: u64 = 256 << 20;

/// Bytes on disk that the embedded store keeps beyond the end of its file, so that releases work on a full disk: one takes
/// some ten pages of 4 KiB, and thirty where there are a hundred thousand claims. Below the least of it no claim is made; it
/// is filled up to the most, so that few claims have to ask for more. The operator sees that the disk is full, code 11.
pub const RESERVE_BYTES: RangeInclusive<u64> = 512 << 10..=2 << 20;

/// How often opening the embedded store is tried while another process dies in the middle of creating it.
pub const OPEN_ATTEMPTS: u32 = 5;

/// How long one etcd member may take to connect and answer before the next one is asked. An answer takes some
/// milliseconds; a member that is frozen or cut off gives none at all. The operator sees "no answer within 3s".
pub const ETCD_ANSWER: Duration = Duration::from_secs(3);

/// Bytes of the metrics of an etcd member that `doctor` reads: a member has some hundred KiB. Of a longer page nothing is read.
pub const ETCD_METRICS: usize = 8 << 20;

/// How often a transaction is sent again when etcd did not say how it ended and it is found not to have happened.
pub const ETCD_RESENDS: u32 = 2;

/// Ranges that etcd is asked for at once, each a stream of its own: as many as HTTP/2 asks every server to take. Never
/// seen: those beyond it are asked for after these.
pub const ETCD_RANGES: usize = 100;

/// For how long a node remembers which members of etcd outlive a caller that is killed. Until then a member that was
/// replaced by one of 3.5.0 to 3.5.6 is sent transactions of reads.
pub const MEMBER_NOTED: Duration = Duration::from_secs(24 * 60 * 60);

/// How often everything is read from the beginning because etcd compacted its history meanwhile: kube-apiserver has it do
/// so every five minutes, and reading 150,000 allocations takes seconds. The operator sees a warning at each, and then
/// "etcd compacted its history".
pub const READ_AGAIN: u32 = 4;

/// Operations of one etcd transaction with all that is nested in it. etcd takes 128 (`--max-txn-ops`).
pub const ETCD_OPERATIONS: usize = 120;

/// How deep alternatives are nested in one transaction. The client decodes 100 levels, two for each.
pub const ETCD_NESTING: usize = 40;

/// How many alternatives the first transaction of a contender brings, who has lost a race. Whoever brings no more than these
/// sends the first alone: a lonely claim gets it, and each further one is a kilobyte to log on every member. The rest is sent
/// when these are gone.
pub const ETCD_FIRST: usize = 4;
