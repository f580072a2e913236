//! Limits of what is asked of the API server.

use std::time::Duration;

/// How long one question may take, connecting included. An API server answers a GET in some milliseconds; the operator
/// sees "did not answer", code 11, and the runtime calls again.
pub const KUBERNETES_ANSWER: Duration = Duration::from_secs(5);

/// How long one page of a list may take: nobody waits for a reclaim.
pub const KUBERNETES_LIST: Duration = Duration::from_secs(60);

/// Objects of one page of a list: at some 10 KB each, 5 MB.
pub const KUBERNETES_PAGE: u32 = 500;
