//! Cases: situations as data, and what a policy answers in them. Who writes rules need not write Rust to test them.
//!
//! ```text
//!  file ──► Case ── run, in a fresh World ──► Trial: requests, what came of them, what was expected
//!    └────► Layout: what stands where ────► update ◄──┘
//! ```
//!
//! A decision of a production record becomes a case, too ([`Case::of`]).
//!
//! A case tells of a network, of who holds what in it, and of steps: pods that ask, pods that go, time that passes.

mod expect;
mod file;
mod format;
mod layout;
mod record;
mod run;
mod settle;
mod update;
pub mod words;
mod yaml;

pub use expect::{Check, Observed, Refused};
pub use file::{CaseError, CaseFile};
pub use format::{Case, CaseRequester, Expectation, Held, Kept, Step};
pub use run::{CheckedRequest, Trial};
pub use update::{Change, update};
pub use yaml::flow;
