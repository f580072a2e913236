//! Every limit of the program in one room: its unit, why it is what it is, and what the operator sees when it is hit.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod decisions;
mod doctor;
mod install;
mod kubernetes;
mod policy;
mod protocol;
pub mod serve;
pub mod store;
mod verbs;

#[cfg(test)]
mod page;

pub use decisions::*;
pub use doctor::*;
pub use install::*;
pub use kubernetes::*;
pub use policy::*;
pub use protocol::*;
pub use verbs::*;
