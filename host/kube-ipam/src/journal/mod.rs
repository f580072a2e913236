//! What is kept of calls on disk: a journal of what policies were told and answered, how often a shadow answered otherwise, how
//! many calls there were, and the history of addresses.
//!
//! ```text
//!  Decision ── redact ── one line of JSON ──► policy.record         ──► FILE.1, when it is full
//!  answer of the policy ─ agreement ────────► cacheDir/shadow.json   ◄── answer of the shadow
//!  call, once it is answered ───────────────► dataDir/calls.0, .1    ──► kube-ipam metrics
//!  a claim that began or ended ─────────────► dataDir/history.jsonl  ──► kube-ipam history
//! ```
//!
//! Nothing here may cost a pod its address: a caller logs a failure and goes on. Hundreds of processes write at once;
//! each waits for its turn on a file lock, for a bounded time, or for nobody.

pub mod calls;
pub mod counts;
pub mod history;
pub mod lines;
mod lock;
pub mod record;
mod redact;
pub mod tally;

pub use counts::{Counts, Durations};
pub use lines::{Damaged, Lines};
pub use redact::redact;
pub use tally::{Pair, Tally};
