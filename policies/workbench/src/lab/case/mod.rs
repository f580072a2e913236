//! Cases: situations as data, and what a policy answers in them. An author of rules need not write Rust to test them.
//!
//! ```text
//!  file ──► Case ── run, in a fresh World ──► CaseRun: answers beside expectations
//!    └────► layout: what stands where ────► update ◄──┘
//! ```
//!
//! A case has a network, what is held and kept in it, and steps: pods that ask, pods that go, time that passes. A
//! decision from a journal becomes a case, too ([`Case::of`]).

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
pub use run::{CaseRun, CheckedRequest};
pub use update::{CaseChange, update};
pub use yaml::flow;
