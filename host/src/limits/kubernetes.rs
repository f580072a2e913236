//! Limits of what is asked of the API server.

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
