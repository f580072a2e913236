//! Where a policy is tried without a cluster: a world in memory with a clock of its own. What happens in it is what
//! happens in production, for it walks the very path of an ADD, over a store that keeps the same contract.

pub mod case;
pub mod check;
pub mod measure;
pub mod network;
pub mod races;
pub mod simulate;
pub mod world;

pub use network::TrialNetwork;
pub use races::Proposed;
pub use world::{Mishap, TrialOutcome, TrialRequester, World};
