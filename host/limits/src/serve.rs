//! What one request may cost `serve`, and how much it serves at once.

use std::time::Duration;

/// Connections at one moment. A browser opens six; whoever comes beyond these waits until one ends, which is never longer than
/// [`CONNECTION_LIFE`].
pub const CONNECTIONS: usize = 64;

/// Bytes of a request's line and headers. Browsers send one or two thousand; a longer head is answered with 431.
pub const REQUEST_HEAD: usize = 16 << 10;

/// Headers of a request. Beyond it the answer is 431.
pub const REQUEST_HEADERS: usize = 64;

/// How long a client may take to send the head of its request, and how long a connection may be idle.
pub const REQUEST_HEAD_TIME: Duration = Duration::from_secs(10);

/// How long an answer may take. A store that does not answer for so long is reported with status 504.
pub const ANSWER_TIME: Duration = Duration::from_secs(20);

/// How long a connection lasts, however slowly its client reads. A browser opens another one and shows nothing of it.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// How long the answer that is on its way may take when a connection or the program ends.
pub const LAST_ANSWER: Duration = Duration::from_secs(5);

/// For how long the networks' files and the connections to their stores are used before they are read and made again:
/// networks, certificates and passwords are renewed.
pub const NETWORKS_KNOWN: Duration = Duration::from_secs(30);

/// For how long a count or a picture is shown again at least. What takes long is shown for ten times as long as it took.
pub const COUNT_KNOWN: Duration = Duration::from_secs(2);

/// For how long the sums by node and namespace are shown at least, for which every allocation is read.
pub const CENSUS_KNOWN: Duration = Duration::from_secs(60);

/// Names of nodes, and as many of namespaces, that are counted by themselves. Others are counted together.
pub const CENSUS_NAMES: usize = 20_000;

/// Rows of a table that counts: the most of the nodes and namespaces. The answer says how many there are besides.
pub const CENSUS_ROWS: usize = 1_000;

/// Rows of one page of a list, and how many of them come where the request does not say.
pub const LISTED: usize = 500;

/// See [`LISTED`].
pub const LISTED_BY_DEFAULT: usize = 100;

/// Records that one request looks at, however few of them it is about: a tenth of a second. The answer says where the next
/// request goes on.
pub const LOOKED_AT: usize = 10_000;

/// Claims of containers that begin with what was searched for.
pub const SEARCHED: usize = 100;

/// Bytes that are read from the end of each log: some thousands of calls.
pub const LOG_SHOWN: u64 = 4 << 20;

/// Refusals that are told, newest first.
pub const REFUSALS: usize = 500;

/// Bytes of a token. A longer file is taken for another one.
pub const TOKEN: u64 = 4 << 10;

/// The shortest token: 16 characters of base64 cannot be guessed over a network.
pub const TOKEN_LEAST: usize = 16;
